use std::collections::BTreeMap;

use waypost_wire::time::Timestamp;

use super::*;

const KEYS: &str = "check:000102030405060708090a0b0c0d0e0f \
    cookie:0000000000000000000000000000000000000000000000000000000000000001 \
    origin:0000000000000000000000000000000000000000000000000000000000000002 \
    sticky:00000000000000000000000000000003";

fn read(more: &[(&str, &str)]) -> Result<EdgeSettings, Vec<String>> {
    let mut all =
        BTreeMap::from([("waypost_public_url", "https://go.example"), ("waypost_edge_keys", KEYS)]);
    all.extend(more.iter().copied());
    let read = EdgeSettings::read(|name| all.get(name).map(|text| (*text).to_owned()));
    read.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn what_is_not_set_has_its_default() {
    let settings = read(&[]).expect("settings");
    let policy = &settings.policy;
    assert_eq!(policy.domains.len(), 1);
    assert_eq!(policy.domains[0].name, "go.example");
    assert_eq!(policy.domains[0].base_url, "https://go.example");
    assert!(policy.domains[0].check.is_some());
    assert!(policy.https && !policy.read_through && !policy.any_host && !policy.slashes);
    assert_eq!((policy.edit_delay_seconds, policy.unlock_seconds), (90, 3_600));
    assert_eq!(policy.secrets.cookie_key[31], 1);
    assert_eq!(policy.secrets.sticky_key[15], 3);
    assert!(settings.origin.is_none() && settings.sink.is_none());
    let mut key = [0; 32];
    key[31] = 2;
    let (signature, _) = OriginKey::new(key).sign_question("/", b"", Timestamp(0));
    assert!(settings.origin_key.check_question(&signature, "/", b"", Timestamp(0)).is_ok());
    assert_eq!((settings.cache.bytes_max, settings.cache.missing_ttl_ms), (16_777_216, 15_000));
    assert_eq!((settings.click_flush_ms, settings.store_timeout_ms), (2_000, 1_000));
}

#[test]
fn domains_are_told_in_words() {
    let domains = "go.example home=https://example.com/?a=b brand.example ignore_case url=https://www.brand.example";
    let policy = read(&[("waypost_domains", domains)]).expect("settings").policy;
    let [first, second] = policy.domains.as_slice() else { panic!("{:?}", policy.domains) };
    assert_eq!(first.home.as_deref(), Some("https://example.com/?a=b"));
    assert!(first.check.is_some() && !first.ignore_case);
    assert_eq!((&*second.name, &*second.base_url), ("brand.example", "https://www.brand.example"));
    assert!(second.check.is_none() && second.ignore_case && second.home.is_none());
}

#[test]
fn clicks_go_to_the_queue_or_else_to_the_origin() {
    let origin = ("waypost_origin_url", "https://api.example/stage/");
    let settings = read(&[origin]).expect("settings");
    assert_eq!(settings.origin.as_ref().map(|o| o.url.as_str()), Some("https://api.example/stage"));
    assert!(settings.policy.read_through);
    assert!(matches!(settings.sink, Some(Sink::Origin)));
    let queue = [
        origin,
        ("waypost_sqs_queue_url", "https://sqs.eu-central-1.amazonaws.com/1/clicks"),
        ("waypost_aws_access_key_id", "AKID"),
        ("waypost_aws_secret_access_key", "hush"),
    ];
    let settings = read(&queue).expect("settings");
    let Some(Sink::Sqs(queue)) = settings.sink else { panic!("{:?}", settings.sink) };
    assert_eq!(queue.region, "eu-central-1");
    assert_eq!(queue.endpoint, "https://sqs.eu-central-1.amazonaws.com/");
    assert_eq!(queue.url, "https://sqs.eu-central-1.amazonaws.com/1/clicks");
    assert!(!format!("{queue:?}").contains("hush"));
}

#[test]
fn every_fault_is_told_at_once_and_no_secret_is_quoted() {
    let faults = EdgeSettings::read(|name| match name {
        "waypost_edge_keys" => Some("check:zz cookie:00".to_owned()),
        "waypost_any_host" => Some("yes".to_owned()),
        "waypost_domains" => Some("Brand.example home=javascript:alert(1)".to_owned()),
        "waypost_click_flush_ms" => Some("2001".to_owned()),
        "waypost_sqs_queue_url" => Some("http://127.0.0.1:9324/queue/clicks".to_owned()),
        _ => None,
    })
    .expect_err("faults");
    let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
    assert_eq!(
        names,
        [
            "waypost_edge_keys",
            "waypost_public_url",
            "waypost_domains",
            "waypost_domains",
            "waypost_sqs_region",
            "waypost_aws_access_key_id",
            "waypost_aws_secret_access_key",
            "waypost_any_host",
            "waypost_click_flush_ms",
        ]
    );
    let keys = faults[0].to_string();
    assert!(keys.contains("lacks check, cookie, origin, sticky"), "{keys}");
    assert!(!keys.contains("zz"), "{keys}");
}

#[test]
fn addresses_are_bare() {
    for wrong in [
        "go.example",
        "ftp://go.example",
        "https://go.example/path",
        "https://",
        "https://a b",
        "https://go.example?x",
        "https://user@go.example",
        "https://go.example:99999",
    ] {
        assert!(read(&[("waypost_public_url", wrong)]).is_err(), "{wrong}");
    }
    for right in
        ["https://go.example/", "http://localhost:8787", "http://[::1]:8787", "http://127.0.0.1"]
    {
        assert!(read(&[("waypost_public_url", right)]).is_ok(), "{right}");
    }
}
