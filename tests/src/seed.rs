//! What a case needs to be stored and set up, the same for every host.

use serde_json::json;
use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_service::compile::compile;
use waypost_service::destination::DestinationRules;
use waypost_service::draft::{DomainRules, DraftRules, parse_new};
use waypost_service::model::{Link, LinkId};
use waypost_service::slug::SlugRules;
use waypost_wire::check::CheckKey;
use waypost_wire::key::LinkKey;

use crate::case::{Case, DOMAIN, Place, Stored};

/// The domain beside [`DOMAIN`].
pub const OTHER_DOMAIN: &str = "go.example";

/// The one password that links in cases have: hashing takes long, so it was done once.
pub const PASSWORD: &str = "sesame";

/// Hash of [`PASSWORD`].
pub const PASSWORD_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiBhbnkgY2FzZQ$eUOIxBa1756C5R+mtDdn0a2s4imHU8GNp1Stlrei5i8";

/// The key of unlock cookies.
pub const COOKIE_KEY: [u8; 32] = *b"the cookie key of redirect cases";

/// The key of the choice between variants.
pub const STICKY_KEY: [u8; 16] = *b"redirect cases!!";

/// The salt of visitor hashes.
pub const SALT: [u8; 16] = *b"salt of any case";

/// A record to be stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where.
    pub place: Place,
    /// Under which key.
    pub key: LinkKey,
    /// Its bytes; not always a record.
    pub bytes: Vec<u8>,
    /// The link it was compiled from, if it is one.
    pub link: Option<Link>,
}

/// The records of a case.
///
/// # Errors
/// What is wrong with a link: it must be one that the API would have accepted.
pub fn records(case: &Case) -> Result<Vec<Record>, String> {
    let rules = draft_rules(case);
    case.links.iter().map(|stored| record(case, stored, &rules)).collect()
}

fn record(case: &Case, stored: &Stored, rules: &DraftRules) -> Result<Record, String> {
    let ignore_case = case.policy.ignore_case && stored.domain == DOMAIN;
    let key = LinkKey::new(&stored.domain, &stored.slug, ignore_case);
    let (bytes, link) = match &stored.record_hex {
        Some(hex) => (from_hex(hex)?, None),
        None => {
            let link = link(stored, rules)?;
            let compiled = compile(&link, stored.created_at).map_err(|error| error.to_string())?;
            (compiled.record, Some(link))
        }
    };
    Ok(Record { place: stored.at, key, bytes, link })
}

fn link(stored: &Stored, rules: &DraftRules) -> Result<Link, String> {
    let mut body = stored.link.clone();
    body.insert("domain".to_owned(), json!(stored.domain));
    body.insert("slug".to_owned(), json!(stored.slug));
    body.entry("destination").or_insert_with(|| json!("https://example.com/"));
    let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
    let draft = parse_new(&body, rules, stored.created_at)
        .map_err(|problem| format!("the link is refused: {}", problem.detail))?;
    let hash = match draft.password.as_deref() {
        None => None,
        Some(PASSWORD) => Some(PASSWORD_HASH.to_owned()),
        Some(other) => return Err(format!("the password is {other:?} and not {PASSWORD:?}")),
    };
    let link = draft.into_link(LinkId(stored.id), stored.slug.clone(), hash, stored.created_at);
    let state = &stored.state;
    Ok(Link {
        blocked: state.blocked,
        deleted_at: state.deleted.then_some(stored.created_at),
        password_version: state.password_version.unwrap_or(link.password_version),
        used_up: state.used_up,
        ..link
    })
}

/// The policy of a case.
pub fn policy(case: &Case) -> Policy {
    let change = &case.policy;
    let scheme = if change.http { "http" } else { "https" };
    let plain = |name: &str| Domain {
        name: name.to_owned(),
        ignore_case: false,
        check: None,
        base_url: format!("{scheme}://{name}"),
        home: None,
    };
    let first = Domain {
        ignore_case: change.ignore_case,
        check: change.check_characters.then(check_key),
        home: change.home.clone(),
        ..plain(DOMAIN)
    };
    Policy {
        domains: vec![first, plain(OTHER_DOMAIN)],
        any_host: change.any_host,
        slashes: change.slashes,
        read_through: change.read_through,
        edit_delay_seconds: change.edit_delay_seconds.unwrap_or(90),
        https: !change.http,
        unlock_seconds: 3_600,
        secrets: Secrets { cookie_key: COOKIE_KEY, sticky_key: STICKY_KEY },
    }
}

/// What the API accepts under the policy of a case.
pub fn draft_rules(case: &Case) -> DraftRules {
    let policy = policy(case);
    let domain = |domain: &Domain| DomainRules {
        name: domain.name.clone(),
        ignore_case: domain.ignore_case,
        slug: SlugRules { slashes: policy.slashes, check: domain.check.clone() },
    };
    DraftRules {
        destination: DestinationRules {
            own_domains: policy.domains.iter().map(|domain| domain.name.clone()).collect(),
            app_schemes: vec!["myapp".to_owned()],
            ..DestinationRules::default()
        },
        domains: policy.domains.iter().map(domain).collect(),
        default_domain: DOMAIN.to_owned(),
        redirect_status_default: 302,
    }
}

/// The key of check characters.
pub fn check_key() -> CheckKey {
    CheckKey::new([0; 16])
}

/// Bytes written as hex digits.
///
/// # Errors
/// Where there is none.
pub fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let bytes = hex.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).unwrap_or_default();
        let is_hex = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten();
        byte.ok_or_else(|| format!("{digits:?} is no byte in hex"))
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_passwords() {
        assert_eq!(waypost_service::password::verify(PASSWORD, Some(PASSWORD_HASH)), Ok(true));
    }

    #[test]
    fn links_that_the_api_would_refuse_are_refused() {
        let seeded = |link: serde_json::Value| {
            let case: Case = serde_json::from_value(json!({
                "name": "n", "why": "w", "links": [{ "link": link }], "request": {},
                "expect": { "decision": "", "reason": "", "status": 0, "header_set": "" },
            }))
            .unwrap();
            records(&case).map(|records| records.len())
        };
        assert_eq!(seeded(json!({})), Ok(1));
        for link in [
            json!({ "expire_at": "2026-06-01T00:00:00Z" }),
            json!({ "destination": "javascript:alert(1)" }),
            json!({ "rules": [{ "when": { "moon": ["full"] }, "destination": "https://a.example/" }] }),
            json!({ "password": "another" }),
        ] {
            assert!(seeded(link.clone()).is_err(), "{link}");
        }
    }

    #[test]
    fn hex_is_read_whole_or_refused() {
        assert_eq!(from_hex("00ffA0"), Ok(vec![0, 255, 160]));
        assert_eq!(from_hex(""), Ok(vec![]));
        for wrong in ["0", "0g", "+1", "00 1", "é"] {
            assert!(from_hex(wrong).is_err(), "{wrong}");
        }
    }
}
