//! Calls to the API of a running server.

use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;
use ureq::http;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, RETRY_AFTER};
use url::{Host, Url};

use super::failure::{Failure, ProblemDocument};
use super::surroundings::Surroundings;

/// Where a server listens if nobody says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Most time for a call: the longest ones are clean-ups and searches.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read: a page of a hundred of the largest links is well below.
const ANSWER_MAX_BYTES: u64 = 64 << 20;

const NO_KEY: &str = "no key: set WAYPOST_KEY (or use --key)
  The admin key was shown when the server started for the first time, and is stored nowhere.
  If it is lost, start the server once with a new one, and make other keys with it:
    waypost keys generate
    WAYPOST_ADMIN_KEY=<the key that was printed> waypost serve";

/// Which server to call, as whom, and how to show the answer.
#[derive(Args, Clone, Debug)]
pub(super) struct Remote {
    /// Address of the server [env: WAYPOST_URL] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    url: Option<String>,
    /// API key; better given by WAYPOST_KEY, as other users see arguments [env: WAYPOST_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Server")]
    key: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Remote {
    /// A client for the server, once address and key are known to be usable.
    pub(super) fn client(&self, surroundings: &Surroundings<'_>) -> Result<Client, Failure> {
        let url = self.url.as_deref().or_else(|| surroundings.variable("WAYPOST_URL"));
        let base = base_url(url.unwrap_or(DEFAULT_URL))?;
        let key = self.key.as_deref().or_else(|| surroundings.variable("WAYPOST_KEY"));
        let key = key.map(str::trim).ok_or_else(|| Failure::Usage(NO_KEY.to_owned()))?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Usage("the key has characters that no key has".to_owned()));
        }
        Ok(Client::new(base, Some(key)))
    }
}

/// Reads the address of a server.
pub(super) fn base_url(text: &str) -> Result<Url, Failure> {
    let expected = "expected http:// or https://, a host and maybe a port";
    let refused =
        |why: String| Failure::Usage(format!("the server's address {text:?} {why}; {expected}"));
    let url = Url::parse(text.trim()).map_err(|error| refused(format!("is not valid: {error}")))?;
    let is_plain = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if is_plain => Ok(url),
        "http" | "https" => Err(refused("has too many parts".to_owned())),
        scheme => Err(refused(format!("has the scheme {scheme}"))),
    }
}

/// Calls one server. Can be used from several threads at once.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    base: Url,
    key: Option<String>,
}

/// A call.
#[derive(Clone, Debug, Default)]
pub(super) struct Call<'a> {
    /// GET if empty.
    pub(super) method: &'static str,
    /// Path below the server's address, segment by segment, not escaped.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
}

/// What the server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) retry_after_seconds: Option<u64>,
    /// The `Date` header.
    pub(super) date: Option<String>,
    pub(super) body: Vec<u8>,
}

/// A client of `base` alone, whose calls end after `timeout`. It follows no redirects: none is
/// expected, and a wrong address is the user's to see.
pub(in crate::cli) fn agent(base: &Url, timeout: Duration) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(timeout))
        .user_agent(concat!("waypost/", env!("CARGO_PKG_VERSION")));
    let is_local = match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if is_local {
        // No proxy leads to this machine.
        config = config.proxy(None);
    }
    config.build().into()
}

impl Client {
    /// A client that shows `key`, if there is one.
    pub(super) fn new(base: Url, key: Option<&str>) -> Self {
        Self { agent: agent(&base, CALL_TIMEOUT), base, key: key.map(str::to_owned) }
    }

    /// The server, as the user named it.
    pub(super) fn address(&self) -> &Url {
        &self.base
    }

    /// Sends a call to the API (`call.path` is below `/api/v1`); an answer that is not a success is
    /// a failure.
    pub(super) fn api(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let path = [&["api", "v1"], call.path].concat();
        let answer = self.send(&Call { path: &path, ..call.clone() })?;
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(answer.refusal(&self.base)),
        }
    }

    /// Sends a call; every answer is a success.
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let request = self.request(call)?;
        let unreachable = |error: ureq::Error| {
            Failure::Failed(format!(
                "no answer from {}: {error}; is the server running, and is this its address?",
                self.base
            ))
        };
        let mut response = match &call.body {
            Some(body) => self.agent.run(request.map(|()| body.as_slice())),
            None => self.agent.run(request),
        }
        .map_err(unreachable)?;
        let header =
            |name: http::HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (etag, retry_after, date) =
            (header(ETAG), header(RETRY_AFTER), header(http::header::DATE));
        let body = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec();
        Ok(Answer {
            status: response.status().as_u16(),
            etag,
            retry_after_seconds: retry_after.and_then(|text| text.parse().ok()),
            date,
            body: body.map_err(unreachable)?,
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<http::Request<()>, Failure> {
        let method = if call.method.is_empty() { "GET" } else { call.method };
        let mut request = http::Request::builder().method(method).uri(self.url(call)?.as_str());
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        request.body(()).map_err(|error| Failure::Usage(format!("this cannot be asked: {error}")))
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, Failure> {
        // An URL drops these segments, and another resource would be meant.
        if let Some(name) = call.path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::Usage(format!("{name:?} is no name of anything")));
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(url)
    }
}

impl Answer {
    /// The body, read as what it should be.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Failed(format!(
                "the answer is not what Waypost answers ({error}); is this its address?"
            ))
        })
    }

    /// The body as one line of output; JSON as the server wrote it.
    pub(super) fn json(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    /// What this answer, which is not a success, means.
    pub(super) fn refusal(&self, from: &Url) -> Failure {
        match serde_json::from_slice::<ProblemDocument>(&self.body) {
            Ok(mut problem) => {
                problem.status = self.status;
                Failure::Problem(Box::new(problem))
            }
            Err(_) => Failure::Failed(format!(
                "{from} answered {} and no problem document; is this the address of Waypost?",
                self.status
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        Client::new(base_url(base).expect("a base"), None)
    }

    fn url(base: &str, path: &[&str], query: &[(&str, &str)]) -> Option<String> {
        let call = Call { path, query, ..Call::default() };
        client(base).url(&call).ok().map(String::from)
    }

    #[test]
    fn names_are_escaped() {
        let links = "http://h.example/api/links";
        for (name, escaped) in [
            ("Ab-1_", "Ab-1_"),
            ("docs/2026", "docs%2F2026"),
            ("a%2Fb", "a%252Fb"),
            ("ü ?#", "%C3%BC%20%3F%23"),
        ] {
            let found = url("http://h.example", &["api", "links", name], &[]);
            assert_eq!(found, Some(format!("{links}/{escaped}")));
        }
        assert_eq!(
            url("http://h.example/behind/", &["a"], &[("q", "x & y"), ("tag", "ü=")]).as_deref(),
            Some("http://h.example/behind/a?q=x+%26+y&tag=%C3%BC%3D")
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", ".."] {
            assert_eq!(url("http://h.example", &["links", name], &[]), None, "{name:?}");
        }
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for text in [
            "",
            "localhost:8080",
            "127.0.0.1:8080",
            "ftp://h.example",
            "http://",
            "http://u@h.example",
            "http://h.example/?a",
        ] {
            assert!(base_url(text).is_err(), "{text}");
        }
        assert_eq!(base_url(" https://h.example ").expect("fine").as_str(), "https://h.example/");
    }
}
