//! Who is calling: `Authorization: Bearer <key>` (RFC 6750).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use waypost_wire::time::Timestamp;

use super::limits::{Said, WrongKeys};
use crate::keys::{self, KeyStore, Role};
use crate::links::{Host, Service};
use crate::problem::{Kind, Problem};

/// The id that stands for the admin key given by setting; stored keys have longer ones.
pub const SETTING_KEY_ID: &str = "setting";

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principal {
    /// The key's id.
    pub(super) key_id: String,
    /// What it may do.
    pub(super) role: Role,
    /// Its own limit; 0: none.
    pub(super) requests_per_minute: Option<u32>,
    /// Writing down the key's use failed, which must not fail the request.
    pub(super) touch_failed: Option<String>,
}

impl Principal {
    /// Refuses a caller whose role is below `needed`.
    pub(super) fn require(&self, needed: Role) -> Result<(), Problem> {
        if self.role >= needed {
            return Ok(());
        }
        let (has, needs) = (self.role.name(), needed.name());
        let detail = format!("the key has the role {has}, this needs {needs}");
        Err(Problem::new(Kind::Forbidden, detail))
    }
}

/// Finds out who is calling. Unknown, revoked and forged keys get the same answer, until their
/// client has sent too many: then no key of it is looked at for a while.
pub(super) async fn authenticate<H: Host>(
    service: &Service<H>,
    headers: &HeaderMap,
    client_ip: Option<u128>,
    now: Timestamp,
    said: &mut Said,
) -> Result<Principal, Problem> {
    let key = bearer(headers)?;
    let wrong_keys = WrongKeys::of(service, client_ip, now);
    if let Some(limit) = &wrong_keys {
        limit.refuse_guesser(service, now, said).await?;
    }
    if let Some(principal) = known(service, key, now).await? {
        return Ok(principal);
    }
    if let Some(limit) = &wrong_keys {
        limit.count(service, now, said).await?;
    }
    Err(Problem::new(Kind::Unauthenticated, "the key is not valid"))
}

/// Whose key it is.
async fn known<H: Host>(
    service: &Service<H>,
    key: &str,
    now: Timestamp,
) -> Result<Option<Principal>, Problem> {
    if service.settings.admin_key.as_ref().is_some_and(|admin| admin.is(key)) {
        let key_id = SETTING_KEY_ID.to_owned();
        let (role, requests_per_minute, touch_failed) = (Role::Admin, None, None);
        return Ok(Some(Principal { key_id, role, requests_per_minute, touch_failed }));
    }
    let Some(hash) = keys::hash(key) else { return Ok(None) };
    let store = service.host.keys();
    let found = store.key_by_hash(&hash).await?;
    let found = found.filter(|key| key.revoked_at.is_none_or(|at| now < at));
    let Some(key) = found else { return Ok(None) };
    let touch_failed = match key.wants_touch(now) {
        true => store.touch_key(&key.id, now).await.err().map(|error| error.to_string()),
        false => None,
    };
    let (role, requests_per_minute) = (key.role, key.requests_per_minute);
    Ok(Some(Principal { key_id: key.id, role, requests_per_minute, touch_failed }))
}

/// The key a request carries.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let refused = |detail: &str| Problem::new(Kind::Unauthenticated, detail);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| refused("there is no Authorization header"))?;
    if values.next().is_some() {
        return Err(refused("there is more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| refused("the Authorization header is not ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
        _ => Err(refused("the Authorization header is not Bearer and a key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_scheme_ignores_case() {
        for text in ["Bearer wp_x", "bearer wp_x", "BEARER  wp_x "] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
            assert_eq!(bearer(&headers), Ok("wp_x"), "{text}");
        }
    }

    #[test]
    fn other_headers_carry_no_key() {
        for text in ["", "wp_x", "Basic d3A6eA==", "Bearerwp_x", "Bearer"] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
            assert_eq!(bearer(&headers).map_err(|p| p.kind), Err(Kind::Unauthenticated), "{text}");
        }
        let mut two = HeaderMap::new();
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert!(bearer(&two).is_err());
        assert!(bearer(&HeaderMap::new()).is_err());
        let binary = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
        assert!(bearer(&HeaderMap::from_iter([(AUTHORIZATION, binary)])).is_err());
    }

    #[test]
    fn roles_include_the_ones_before() {
        let caller = |role| Principal {
            key_id: "k".into(),
            role,
            requests_per_minute: None,
            touch_failed: None,
        };
        assert_eq!(caller(Role::Editor).require(Role::Viewer), Ok(()));
        assert_eq!(caller(Role::Editor).require(Role::Editor), Ok(()));
        let refused = caller(Role::Editor).require(Role::Admin).unwrap_err();
        assert_eq!(refused.kind, Kind::Forbidden);
        assert_eq!(refused.detail, "the key has the role editor, this needs admin");
    }
}
