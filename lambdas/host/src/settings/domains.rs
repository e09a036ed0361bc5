use serde::Deserialize;

use super::parse::Parser;

/// A domain to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSettings {
    /// Lower-case host name.
    pub name: String,
    /// Scheme, host and port that visitors use.
    pub base_url: String,
    /// Slugs that differ in case only are the same.
    pub ignore_case: bool,
    /// Refuse mistyped and guessed codes before any read. Off, slugs brought along from another
    /// service may look like generated ones.
    pub check_characters: bool,
    /// Where the bare address leads.
    pub home: Option<String>,
}

/// One `[[domains]]` of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    name: String,
    url: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default = "yes")]
    check_characters: bool,
    home: Option<String>,
}

const fn yes() -> bool {
    true
}

const EXPECTED_URL: &str = "http:// or https://, a host and maybe a port, nothing else";
const EXPECTED_NAME: &str = "a host name, for example go.example.com";

impl Parser<'_> {
    pub(super) fn public_url(&mut self) -> String {
        let Some(raw) = self.raw("public_url") else {
            return String::new();
        };
        match base_url(&raw.text) {
            Some((base_url, _)) => base_url,
            None => {
                self.fault(&raw.origin, format!("{:?}", raw.text), EXPECTED_URL);
                String::new()
            }
        }
    }

    /// The default domain, then the others.
    pub(super) fn domains(&mut self, public_url: &str) -> Vec<DomainSettings> {
        let default = base_url(public_url).map_or_else(String::new, |(_, host)| host);
        let mut domains = vec![plain(default, public_url.to_owned())];
        let https = public_url.starts_with("https://");
        for raw in self.list("domains") {
            match host(&raw.text) {
                Some(name) => add(&mut domains, plain_at(name, https)),
                None => self.fault(&raw.origin, format!("{:?}", raw.text), EXPECTED_NAME),
            }
        }
        let Some((file, table)) = self.file else {
            return domains;
        };
        let Some(toml::Value::Array(items)) = table.get("domains") else {
            return domains;
        };
        for (position, item) in items.iter().enumerate().filter(|(_, item)| item.is_table()) {
            let origin = format!("[[domains]] number {} in {file}", position + 1);
            match in_file(item, https) {
                Ok(domain) => add(&mut domains, domain),
                Err(problem) => self.fault(
                    &origin,
                    problem,
                    "name, and maybe url, ignore_case, check_characters, home",
                ),
            }
        }
        domains
    }
}

fn in_file(item: &toml::Value, https: bool) -> Result<DomainSettings, String> {
    let read: InFile =
        item.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let name = host(&read.name).ok_or_else(|| format!("{:?} is no host name", read.name))?;
    let mut domain = plain_at(name, https);
    if let Some(url) = read.url {
        domain.base_url = match base_url(&url) {
            Some((url, _)) => url,
            None => return Err(format!("url {url:?} is not {EXPECTED_URL}")),
        };
    }
    if let Some(home) = read.home {
        let url = url::Url::parse(&home).map_err(|error| format!("home {home:?}: {error}"))?;
        domain.home = Some(url.into());
    }
    domain.ignore_case = read.ignore_case;
    domain.check_characters = read.check_characters;
    Ok(domain)
}

/// A later word on a domain replaces an earlier one.
fn add(domains: &mut Vec<DomainSettings>, domain: DomainSettings) {
    match domains.iter_mut().find(|known| known.name == domain.name) {
        Some(known) => *known = domain,
        None => domains.push(domain),
    }
}

fn plain(name: String, base_url: String) -> DomainSettings {
    DomainSettings { name, base_url, ignore_case: false, check_characters: true, home: None }
}

fn plain_at(name: String, https: bool) -> DomainSettings {
    let scheme = if https { "https" } else { "http" };
    let base_url = format!("{scheme}://{name}");
    plain(name, base_url)
}

/// A host name as requests carry it: lower case, A-labels, no port.
fn host(text: &str) -> Option<String> {
    let (_, host) = base_url(&format!("http://{text}"))?;
    text.contains('.').then_some(host).filter(|_| !text.contains(':'))
}

/// An address without path, and its host.
fn base_url(text: &str) -> Option<(String, String)> {
    let url = url::Url::parse(text.trim()).ok()?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str()?.to_owned();
    let serialised = String::from(url);
    is_bare.then(|| (serialised.trim_end_matches('/').to_owned(), host))
}
