use clap::Args;
use url::Url;

use crate::cli::client::{Answer, Call, Client};
use crate::cli::failure::Failure;

/// Which link is meant.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct LinkName {
    /// Slug of the link, or its whole short URL
    #[arg(value_name = "SLUG|URL")]
    name: String,
    /// Domain of the link [default: the server's default domain]
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
}

impl LinkName {
    /// A link named in another way than by its own arguments.
    pub(in crate::cli) const fn new(name: String, domain: Option<String>) -> Self {
        Self { name, domain }
    }

    /// Sends `call` to what is at `below` the link (nothing: the link itself).
    pub(in crate::cli) fn call(
        &self,
        client: &Client,
        below: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Answer, Failure> {
        let (slug, domain) = self.parts();
        let path = ["links", &slug].into_iter().chain(below).collect::<Vec<_>>();
        let domain = domain.as_deref().map(|domain| ("domain", domain));
        let query: Vec<_> = domain.into_iter().chain(call.query.iter().copied()).collect();
        client.api(&Call { path: &path, query: &query, ..call.clone() })
    }

    /// The slug, and the domain if one is named.
    pub(super) fn parts(&self) -> (String, Option<String>) {
        if !self.name.contains("://") {
            return (self.name.clone(), self.domain.clone());
        }
        // What is no URL is no slug either; the server says so.
        let Ok(url) = Url::parse(self.name.trim()) else {
            return (self.name.clone(), self.domain.clone());
        };
        let host = url.host_str().map(str::to_owned);
        (url.path().trim_matches('/').to_owned(), self.domain.clone().or(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str, domain: Option<&str>) -> (String, Option<String>) {
        LinkName::new(name.into(), domain.map(Into::into)).parts()
    }

    #[test]
    fn a_link_is_named_by_slug_or_address() {
        for (name, domain, slug, on) in [
            ("a", None, "a", None),
            ("docs/a", Some("go.example"), "docs/a", Some("go.example")),
            ("https://go.example/docs/a", None, "docs/a", Some("go.example")),
            ("http://127.0.0.1:8080/Ab3?x=1#y", None, "Ab3", Some("127.0.0.1")),
            ("http://127.0.0.1:8080/Ab3", Some("go.example"), "Ab3", Some("go.example")),
            ("https://Bücher.example/a/", None, "a", Some("xn--bcher-kva.example")),
            ("https://go.example", None, "", Some("go.example")),
            ("http://[", None, "http://[", None),
        ] {
            assert_eq!(parts(name, domain), (slug.into(), on.map(Into::into)), "{name}");
        }
    }
}
