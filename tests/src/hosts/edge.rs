//! What all hosts far from an origin need to run a case.

use std::collections::BTreeMap;

use waypost_core::policy::Policy;
use waypost_wire::state::{self, EdgeState};
use waypost_wire::time::Timestamp;

use crate::case::Case;
use crate::seed;

/// The settings of an edge that make it follow a policy, by their lower-case names; where the
/// origin is and where clicks go is the host's to add. Clicks wait for no others.
pub fn settings(policy: &Policy, origin_key: &[u8; 32]) -> BTreeMap<&'static str, String> {
    let public_url = policy.domains.first().map(|domain| domain.base_url.clone());
    BTreeMap::from([
        ("waypost_public_url", public_url.unwrap_or_default()),
        ("waypost_domains", domains(policy)),
        ("waypost_any_host", policy.any_host.to_string()),
        ("waypost_slug_slashes", policy.slashes.to_string()),
        ("waypost_edit_delay_seconds", policy.edit_delay_seconds.to_string()),
        ("waypost_unlock_seconds", policy.unlock_seconds.to_string()),
        ("waypost_edge_keys", keys(policy, origin_key)),
        ("waypost_click_flush_ms", "0".to_owned()),
    ])
}

fn domains(policy: &Policy) -> String {
    let words = policy.domains.iter().flat_map(|domain| {
        [
            Some(domain.name.clone()),
            domain.ignore_case.then(|| "ignore_case".to_owned()),
            domain.check.is_none().then(|| "unchecked".to_owned()),
            domain.home.as_ref().map(|home| format!("home={home}")),
        ]
    });
    words.flatten().collect::<Vec<_>>().join(" ")
}

/// As `waypost edge keys` prints them. The key of check characters is [`seed::check_key`].
fn keys(policy: &Policy, origin_key: &[u8; 32]) -> String {
    let secrets = &policy.secrets;
    format!(
        "check:{} cookie:{} origin:{} sticky:{}",
        hex(&[0; 16]),
        hex(&secrets.cookie_key),
        hex(origin_key),
        hex(&secrets.sticky_key)
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a case's host needs an origin: to read from, or to ask. Whoever has one reads from it
/// what the copy nearby does not have.
pub fn has_origin(case: &Case) -> bool {
    let answers = &case.origin;
    let asks =
        answers.take_use.is_some() || answers.unlock.is_some() || !case.expect.asks.is_empty();
    case.policy.read_through || asks
}

/// A state in which nothing changed lately, with the salt of cases for the day of `now`.
pub fn quiet_state(now: Timestamp) -> Vec<u8> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let day = Timestamp(now.0.div_euclid(DAY_MS) * DAY_MS);
    state::encode(&EdgeState {
        published_at: now,
        since: now.plus_ms(-DAY_MS),
        salts: vec![(day, seed::SALT)],
        changes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_say_what_the_policy_says() {
        let case: Case = serde_json::from_value(json!({
            "name": "n", "why": "w", "request": {},
            "policy": {
                "ignore_case": true, "check_characters": true, "any_host": true, "http": true,
                "home": "https://example.com/home",
            },
            "expect": { "decision": "", "reason": "", "status": 0, "header_set": "" },
        }))
        .unwrap();
        let settings = settings(&seed::policy(&case), &[0xab; 32]);
        assert_eq!(settings["waypost_public_url"], "http://s.example");
        assert_eq!(
            settings["waypost_domains"],
            "s.example ignore_case home=https://example.com/home go.example unchecked"
        );
        assert_eq!(settings["waypost_any_host"], "true");
        let keys = &settings["waypost_edge_keys"];
        assert!(keys.starts_with(&format!("check:{} cookie:746865", "00".repeat(16))), "{keys}");
        assert!(keys.contains(&format!("origin:{}", "ab".repeat(32))), "{keys}");
    }

    #[test]
    fn the_state_has_the_salt_of_the_day() {
        let now = Timestamp(1_780_315_200_000);
        let bytes = quiet_state(now);
        let state = state::decode(&bytes).unwrap();
        assert_eq!(state::salt_of_day(&state.salts, now), Some(seed::SALT));
        assert_eq!(state.published_at, now);
    }
}
