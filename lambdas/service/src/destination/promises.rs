//! What holds for every accepted destination, whatever was given.

use proptest::prelude::*;

use super::tests::rules;
use super::*;

/// Pieces of URLs, honest and hostile, put together at random.
fn pieces() -> impl Strategy<Value = String> {
    let visible = r#"
        http https HTTPS myapp spotify javascript data : :// / // ? # @ . .. - _ % %2f %00 %2e%2e
        [ ] [::1] [::ffff:127.0.0.1] [2001:db8::1] 127.0.0.1 0x7f 0177 127 1 2130706433 0 10 192.168
        169.254.169.254 localhost local internal s.example example com example.com www bit.ly xn--
        xn--krz-hoa ü ß 。 ａ ① ℀ а 日本 😀 \ a Z ~ ' " < > ` { } | ^ & = + ; , ! $ ( ) *
        :80 :443 :0 :99999"#;
    let invisible = [" ", "\t", "\n", "\r", "\0", "\u{7f}", "\u{AD}", "\u{200D}", "\u{202E}"];
    let all: Vec<_> = visible.split_whitespace().chain(invisible).collect();
    prop::collection::vec(prop::sample::select(all), 1..12).prop_map(|pieces| pieces.concat())
}

/// Random text behind a good start, so that most of it is parsed.
fn inputs() -> impl Strategy<Value = String> {
    prop_oneof![
        pieces(),
        pieces().prop_map(|tail| format!("https://example.com/{tail}")),
        pieces().prop_map(|tail| format!("http://{tail}")),
        pieces().prop_map(|tail| format!("myapp:{tail}")),
        pieces().prop_map(|tail| format!("myapp://{tail}")),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("http://{a}.{b}.{c}.{d}/")),
        any::<[u16; 8]>()
            .prop_map(|s| format!("http://[{}]/", s.map(|s| format!("{s:x}")).join(":"))),
        any::<u32>().prop_map(|number| format!("http://{number}/")),
        any::<String>(),
        any::<String>().prop_map(|tail| format!("https://example.com/{tail}")),
        any::<String>().prop_map(|host| format!("https://{host}.example/")),
    ]
}

/// An opinion on privacy of its own: the standard library's.
fn is_private(host: &str) -> bool {
    use std::net::{Ipv4Addr, Ipv6Addr};
    if let Ok(v4) = host.parse::<Ipv4Addr>() {
        return v4.is_private()
            || v4.is_loopback()
            || v4.is_link_local()
            || v4.is_unspecified()
            || v4.is_multicast()
            || v4.is_broadcast();
    }
    if let Ok(v6) = host.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return v6.is_loopback()
            || v6.is_unspecified()
            || v6.is_multicast()
            || v6.is_unique_local()
            || v6.is_unicast_link_local()
            || v6.to_ipv4().is_some();
    }
    !host.contains('.')
        || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| host.ends_with(end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepted_destinations_keep_their_promises(input in inputs()) {
        let Ok(destination) = parse(&input, &rules()) else {
            return Ok(());
        };
        let stored = &destination.serialised;
        prop_assert!(stored.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{stored:?}");
        prop_assert!(stored.len() <= LENGTH_DEFAULT_BYTES);
        let again = parse(stored, &rules());
        prop_assert_eq!(again.as_ref(), Ok(&destination), "parsed again");
        let scheme = stored.split(':').next().unwrap_or_default();
        prop_assert!(["http", "https", "myapp", "spotify", "mailto"].contains(&scheme), "{stored}");
        if let Some(host) = &destination.host {
            prop_assert!(!is_private(host), "{stored}");
            prop_assert!(!host.ends_with('.') && host != "s.example", "{stored}");
            let start = format!("{scheme}://{host}");
            prop_assert!(stored.strip_prefix(&start).is_some_and(|rest| rest.starts_with(['/', ':'])), "{stored}");
        }
    }

    #[test]
    fn campaign_parameters_keep_a_destination_acceptable(input in inputs(), value in any::<String>()) {
        let Ok(destination) = parse(&input, &rules()) else {
            return Ok(());
        };
        let tagged = with_utm(&destination.serialised, &[("utm_source", &value)]);
        prop_assert_eq!(&with_utm(&tagged, &[("utm_source", &value)]), &tagged, "added again");
        let long = DestinationRules { length_max_bytes: LENGTH_CEILING_BYTES, ..rules() };
        if let Ok(again) = parse(&tagged, &long) {
            prop_assert_eq!(again.serialised, tagged);
            prop_assert_eq!(again.host, destination.host);
        } else {
            prop_assert!(tagged.len() > LENGTH_CEILING_BYTES, "{}", tagged);
        }
    }
}
