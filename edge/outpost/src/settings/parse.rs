use std::str::FromStr;

use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_shell::cache::CacheLimits;
use waypost_wire::check::CheckKey;
use waypost_wire::origin::sign::OriginKey;

use super::{EdgeSettings, OriginSettings, Queue, SETTINGS, SettingFault, Sink};

const URL: &str = "http:// or https:// and a host, nothing behind it";

/// A record is believed at most this long after it was read, whatever the state says.
const AGE_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// A delivery waits at most 2 s for clicks, 8.5 s between its four tries, and this long for each of
/// them: within the 30 s that Workers give a request after its answer.
const TIMEOUT_MAX_MS: u32 = 4_500;

struct Parser<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<SettingFault>,
}

pub(super) fn read(
    get: &dyn Fn(&str) -> Option<String>,
) -> Result<EdgeSettings, Vec<SettingFault>> {
    let mut parser = Parser { get, faults: Vec::new() };
    let settings = parser.settings();
    match parser.faults.is_empty() {
        true => Ok(settings),
        false => Err(parser.faults),
    }
}

impl Parser<'_> {
    fn settings(&mut self) -> EdgeSettings {
        let keys = self.keys();
        let public_url = self.public_url();
        let domains = self.domains(&public_url, keys.check);
        let timeout_ms = self.number("waypost_origin_timeout_ms", 1, TIMEOUT_MAX_MS);
        let origin =
            self.url("waypost_origin_url", true).map(|url| OriginSettings { url, timeout_ms });
        let queue = self.queue(timeout_ms);
        let missing_seconds: i64 = self.number("waypost_missing_seconds", 0, 300);
        EdgeSettings {
            policy: Policy {
                domains,
                any_host: self.flag("waypost_any_host"),
                slashes: self.flag("waypost_slug_slashes"),
                read_through: origin.is_some(),
                edit_delay_seconds: self.number("waypost_edit_delay_seconds", 0, 31_536_000),
                https: public_url.starts_with("https://"),
                unlock_seconds: self.number("waypost_unlock_seconds", 60, 31_536_000),
                secrets: Secrets { cookie_key: keys.cookie, sticky_key: keys.sticky },
            },
            sink: match (queue, &origin) {
                (Some(queue), _) => Some(Sink::Sqs(queue)),
                (None, Some(_)) => Some(Sink::Origin),
                (None, None) => None,
            },
            origin_key: OriginKey::new(keys.origin),
            origin,
            cache: CacheLimits {
                bytes_max: self.number("waypost_cache_bytes", 0, 96 * 1024 * 1024),
                missing_ttl_ms: missing_seconds * 1_000,
                age_max_ms: AGE_MAX_MS,
            },
            store_timeout_ms: self.number("waypost_store_timeout_ms", 1, 10_000),
            click_flush_ms: self.number("waypost_click_flush_ms", 0, 2_000),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = (self.get)(name)?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn fault(&mut self, name: &'static str, problem: impl Into<String>) {
        self.faults.push(SettingFault { name, problem: problem.into() });
    }

    fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        name: &'static str,
        least: T,
        most: T,
    ) -> T {
        let default = SETTINGS.iter().find(|setting| setting.name == name).map(|s| s.default);
        let text = self.text(name).or(default.map(str::to_owned)).unwrap_or_default();
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.fault(name, format!("{text:?} is no number from {least} to {most}"));
                least
            }
        }
    }

    fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let problem = format!("{other:?} is neither true nor false");
                self.fault(name, problem);
                false
            }
        }
    }

    /// An address without a final `/`; with `has_path` a path may follow the host.
    fn url(&mut self, name: &'static str, has_path: bool) -> Option<String> {
        let text = self.text(name)?;
        match base_url(&text, has_path) {
            Some(url) => Some(url),
            None => {
                self.fault(name, format!("{text:?} is not {URL}"));
                None
            }
        }
    }

    fn public_url(&mut self) -> String {
        if self.text("waypost_public_url").is_none() {
            self.fault("waypost_public_url", format!("is not set: {URL}"));
        }
        self.url("waypost_public_url", false).unwrap_or_default()
    }

    fn domains(&mut self, public_url: &str, check: [u8; 16]) -> Vec<Domain> {
        let scheme = if public_url.starts_with("http://") { "http" } else { "https" };
        let domain = |name: &str, base_url: String| Domain {
            name: name.to_owned(),
            ignore_case: false,
            check: Some(CheckKey::new(check)),
            base_url,
            home: None,
        };
        let mut domains = vec![domain(host(public_url), public_url.to_owned())];
        let mut current = 0;
        for word in self.text("waypost_domains").unwrap_or_default().split_ascii_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("ignore_case", "") => {
                    domains[current].ignore_case = true;
                    // A check character is one of upper and lower case.
                    domains[current].check = None;
                }
                ("unchecked", "") => domains[current].check = None,
                ("home", url) if is_home(url) => domains[current].home = Some(url.to_owned()),
                ("url", url) if base_url(url, false).is_some() => {
                    domains[current].base_url = base_url(url, false).unwrap_or_default();
                }
                (name, "") if is_host(name) => {
                    let known = domains.iter().position(|domain| domain.name == name);
                    current = known.unwrap_or(domains.len());
                    if known.is_none() {
                        domains.push(domain(name, format!("{scheme}://{name}")));
                    }
                }
                _ => {
                    let problem = format!(
                        "{word:?} is no lower-case host name, nor ignore_case, unchecked, home=URL or url=URL"
                    );
                    self.fault("waypost_domains", problem);
                }
            }
        }
        domains
    }

    fn queue(&mut self, timeout_ms: u32) -> Option<Queue> {
        let url = self.url("waypost_sqs_queue_url", true)?;
        let told = self.text("waypost_sqs_region");
        let region = told.or_else(|| region(host(&url)).map(str::to_owned));
        if region.is_none() {
            self.fault("waypost_sqs_region", "is not set, and the queue's address does not tell");
        }
        let scheme_and_host = url.find("://").and_then(|at| {
            let end = url[at + 3..].find('/')?;
            url.get(..at + 3 + end)
        });
        let endpoint = self
            .url("waypost_sqs_endpoint", false)
            .or(scheme_and_host.map(str::to_owned))
            .unwrap_or_default();
        let mut needed = |name: &'static str| {
            let text = self.text(name);
            if text.is_none() {
                self.fault(name, "is not set, and clicks are to be sent to a queue");
            }
            text.unwrap_or_default()
        };
        let access_key_id = needed("waypost_aws_access_key_id");
        let secret_access_key = needed("waypost_aws_secret_access_key");
        Some(Queue {
            url,
            endpoint: format!("{endpoint}/"),
            region: region.unwrap_or_default(),
            access_key_id,
            secret_access_key,
            session_token: self.text("waypost_aws_session_token"),
            timeout_ms,
        })
    }

    fn keys(&mut self) -> Keys {
        let name = "waypost_edge_keys";
        let Some(text) = self.text(name) else {
            self.fault(name, "is not set: `waypost edge keys` prints it");
            return Keys::default();
        };
        let mut keys = Keys::default();
        let mut missing = vec!["check", "cookie", "origin", "sticky"];
        for word in text.split_ascii_whitespace() {
            let (key, hex) = word.split_once(':').unwrap_or((word, ""));
            let is_read = match key {
                "check" => hex::decode_to_slice(hex, &mut keys.check).is_ok(),
                "cookie" => hex::decode_to_slice(hex, &mut keys.cookie).is_ok(),
                "origin" => hex::decode_to_slice(hex, &mut keys.origin).is_ok(),
                "sticky" => hex::decode_to_slice(hex, &mut keys.sticky).is_ok(),
                _ => false,
            };
            missing.retain(|known| !is_read || *known != key);
        }
        if !missing.is_empty() {
            let problem = format!(
                "lacks {}, or has it with a wrong number of hex digits: `waypost edge keys` prints the whole line",
                missing.join(", ")
            );
            self.fault(name, problem);
        }
        keys
    }
}

#[derive(Default)]
struct Keys {
    check: [u8; 16],
    cookie: [u8; 32],
    origin: [u8; 32],
    sticky: [u8; 16],
}

fn base_url(text: &str, has_path: bool) -> Option<String> {
    let rest = text.strip_prefix("https://").or(text.strip_prefix("http://"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte));
    let is_right = is_authority(authority)
        && (has_path || path.is_empty())
        && is_plain(path)
        && !path.contains(['?', '#']);
    is_right.then(|| text.trim_end_matches('/').to_owned())
}

/// A host and maybe a port.
fn is_authority(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_label_list(name),
    };
    is_name && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The host of an address, without port.
fn host(url: &str) -> &str {
    let authority = url.split("://").nth(1).unwrap_or_default();
    let authority = authority.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => authority,
    }
}

fn is_host(name: &str) -> bool {
    name.contains('.') && is_label_list(name)
}

/// Lower-case letters, digits, hyphens and dots (RFC 1123 2.1), at most 253 of them.
fn is_label_list(name: &str) -> bool {
    let is_right = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (1..=253).contains(&name.len()) && name.bytes().all(is_right)
}

/// A home is a `Location`: visible ASCII, and a page of the web.
fn is_home(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `sqs.eu-central-1.amazonaws.com` tells its region, as does the older form.
fn region(host: &str) -> Option<&str> {
    let labels: Vec<&str> = host.split('.').collect();
    match labels.as_slice() {
        ["sqs" | "sqs-fips", region, "amazonaws", ..] => Some(region),
        [region, "queue", "amazonaws", ..] => Some(region),
        _ => None,
    }
}
