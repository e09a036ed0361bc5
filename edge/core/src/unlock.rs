//! The cookie of a visitor who gave a link's password.
//!
//! Its value is `<expiry in unix seconds>.<HMAC-SHA256 in hex>`; the MAC covers the link's id, the
//! version of its password and the expiry, so a changed password ends every cookie at once.

use alloc::format;
use alloc::string::String;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use waypost_wire::time::Timestamp;

use crate::policy::Policy;
use crate::query;

/// The `Set-Cookie` value that opens a link until `policy.unlock_seconds` from now.
pub(crate) fn cookie(
    policy: &Policy,
    link_id: u64,
    password_version: u32,
    now: Timestamp,
) -> String {
    let name = cookie_name(policy, link_id);
    let expires_at = now.seconds().saturating_add(i64::from(policy.unlock_seconds));
    let tag = mac(policy, link_id, password_version, expires_at).finalize().into_bytes();
    let hex = hex::encode(tag);
    let secure = if policy.https { "; Secure" } else { "" };
    let max_age = policy.unlock_seconds;
    format!("{name}={expires_at}.{hex}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
}

/// Whether a `Cookie` header opens the link now.
pub(crate) fn opens(
    policy: &Policy,
    cookies: Option<&str>,
    link_id: u64,
    password_version: u32,
    now: Timestamp,
) -> bool {
    let name = cookie_name(policy, link_id);
    let pairs = cookies.unwrap_or_default().split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(its_name, _)| *its_name == name)
        .any(|(_, value)| is_valid(policy, value, link_id, password_version, now))
}

fn is_valid(policy: &Policy, value: &str, id: u64, password_version: u32, now: Timestamp) -> bool {
    let Some((expiry, hex)) = value.split_once('.') else {
        return false;
    };
    let Ok(expires_at) = expiry.parse::<i64>() else {
        return false;
    };
    let mut tag = [0; 32];
    if now.seconds() >= expires_at || hex::decode_to_slice(hex, &mut tag).is_err() {
        return false;
    }
    // Compares in constant time.
    mac(policy, id, password_version, expires_at).verify_slice(&tag).is_ok()
}

/// The password of a posted form; `None` if there is no such field or it is no text.
pub(crate) fn password(form: &[u8]) -> Option<String> {
    let form = core::str::from_utf8(form).ok()?;
    let (_, value) = query::pairs(form).find(|(name, _)| *name == "password")?;
    String::from_utf8(query::decoded(value).collect()).ok()
}

fn cookie_name(policy: &Policy, link_id: u64) -> String {
    // Browsers take `__Host-` names only from https, and only without a domain (RFC 6265bis).
    let prefix = if policy.https { "__Host-" } else { "" };
    format!("{prefix}wp-{link_id:x}")
}

fn mac(policy: &Policy, link_id: u64, password_version: u32, expires_at: i64) -> Hmac<Sha256> {
    let key = hmac::digest::Key::<Hmac<Sha256>>::default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&policy.secrets.cookie_key)
        .unwrap_or_else(|_| Hmac::new(&key));
    mac.update(b"waypost unlock 1");
    mac.update(&link_id.to_le_bytes());
    mac.update(&password_version.to_le_bytes());
    mac.update(&expires_at.to_le_bytes());
    mac
}
