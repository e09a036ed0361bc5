//! What is stored and asked in the worlds of tests: links of one domain.

use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_service::model::LinkId;
use waypost_tests::hosts::edge;
use waypost_tests::seed::{COOKIE_KEY, STICKY_KEY};
use waypost_wire::codec;
use waypost_wire::record::{Generation, LinkRecord, LinkState, RedirectStatus};
use waypost_wire::state::{self, Change, EdgeState};
use waypost_wire::time::Timestamp;

/// 2026-06-01T12:00:00Z.
pub const START: Timestamp = Timestamp(1_780_315_200_000);

/// The only domain of these worlds.
pub const DOMAIN: &str = "s.example";

/// A state with the changes of the last day: slug, version of link 1, and whether it stopped.
pub fn state_bytes(now: Timestamp, changes: &[(&str, u64, bool)]) -> Vec<u8> {
    let keys: Vec<String> = changes.iter().map(|(slug, ..)| key(slug)).collect();
    let changes = changes.iter().zip(&keys).map(|((_, version, stopped), key)| Change {
        key,
        generation: Generation { link_id: 1, version: *version },
        stopped: *stopped,
    });
    let bytes = edge::quiet_state(now);
    let quiet = state::decode(&bytes).unwrap_or_default();
    state::encode(&EdgeState { changes: changes.collect(), ..quiet })
}

/// The bytes of a request of [`DOMAIN`], as a proxy gets it.
pub fn request(method: &str, slug: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!(
        "{method} https://{DOMAIN}/{slug} HTTP/1.1\r\nhost: {DOMAIN}\r\n\
         cf-connecting-ip: 203.0.113.7\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64) Test/1\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request
}

/// The policy of these worlds: one domain, no check characters.
pub fn policy() -> Policy {
    Policy {
        domains: vec![Domain {
            name: DOMAIN.to_owned(),
            ignore_case: false,
            check: None,
            base_url: format!("https://{DOMAIN}"),
            home: None,
        }],
        any_host: false,
        slashes: false,
        read_through: true,
        edit_delay_seconds: 90,
        https: true,
        unlock_seconds: 3_600,
        secrets: Secrets { cookie_key: COOKIE_KEY, sticky_key: STICKY_KEY },
    }
}

/// The key of a slug of [`DOMAIN`].
pub fn key(slug: &str) -> String {
    format!("{DOMAIN}/{slug}")
}

/// A live link.
pub const fn live(LinkId(id): LinkId, version: u64, destination: &str) -> LinkRecord<'_> {
    LinkRecord {
        id,
        version,
        state: LinkState::Live,
        created_at: START,
        destination,
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        limited: false,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: None,
        preview: None,
        rules: Vec::new(),
    }
}

/// The bytes of a live link.
pub fn record(id: u64, version: u64, destination: &str) -> Vec<u8> {
    codec::encode(&live(LinkId(id), version, destination))
}
