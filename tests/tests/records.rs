//! Golden records: what releases have written must be read, with the same meaning, for ever.
//!
//! `tests/cases/records/v1` has the bytes of each record and what they mean. Files are added and
//! never changed: `BLESS=1 cargo test -p waypost-tests --test records` writes those that are
//! missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use waypost_wire::agent::{Browser, Device, Os};
use waypost_wire::codec::{VERSION, decode, encode};
use waypost_wire::record::{
    Condition, LinkRecord, LinkState, Network, Preview, RedirectStatus, Rule, TimeOfWeek, Variant,
};
use waypost_wire::time::Timestamp;

const PLAIN: LinkRecord<'static> = LinkRecord {
    id: 7,
    version: 1,
    state: LinkState::Live,
    created_at: Timestamp(1_795_244_400_000),
    destination: "https://example.com/",
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
    rules: vec![],
};

/// Every record that has a file. A change of the format adds to the list.
fn golden() -> Vec<(&'static str, LinkRecord<'static>)> {
    let state = |state| LinkRecord { state, ..PLAIN };
    let status = |status| LinkRecord { status, ..PLAIN };
    vec![
        ("plain", PLAIN),
        ("every-field", every_field()),
        ("deleted", state(LinkState::Deleted)),
        ("disabled", state(LinkState::Disabled)),
        ("blocked-abuse", state(LinkState::BlockedAbuse)),
        ("blocked-legal", state(LinkState::BlockedLegal)),
        ("status-301", status(RedirectStatus::MovedPermanently)),
        ("status-307", status(RedirectStatus::TemporaryRedirect)),
        ("status-308", status(RedirectStatus::PermanentRedirect)),
        (
            "times",
            LinkRecord {
                created_at: Timestamp(-1),
                starts_at: Some(Timestamp(i64::MIN)),
                expires_at: Some(Timestamp(i64::MAX)),
                ..PLAIN
            },
        ),
        ("limited", LinkRecord { limited: true, ..PLAIN }),
        ("empty-card", LinkRecord { preview: Some(Preview::default()), ..PLAIN }),
        ("agents", when(agents())),
        ("geography", when(geography())),
        ("dates", when(dates())),
        ("networks", when(networks())),
        ("languages", when(vec![Condition::Language(vec!["*", "de", "zh-Hant-TW"])])),
        ("queries", when(queries())),
        (
            "referrers",
            when(vec![Condition::Referrer(vec!["example.org", "xn--bcher-kva.example"])]),
        ),
        ("time-of-week", when(vec![Condition::Time(office_hours())])),
        ("nots", when(vec![nested(4)])),
        ("variants", LinkRecord { rules: variants(), ..PLAIN }),
    ]
}

fn when(when: Vec<Condition<'static>>) -> LinkRecord<'static> {
    let destination = "https://example.com/rule";
    let variants = vec![Variant { destination, weight: 1 }];
    LinkRecord { rules: vec![Rule { when, variants }], ..PLAIN }
}

fn every_field() -> LinkRecord<'static> {
    LinkRecord {
        id: u64::MAX,
        version: u64::MAX,
        state: LinkState::Live,
        created_at: Timestamp(1_795_244_400_123),
        destination: "https://xn--bcher-kva.example/katalog?a=1#top",
        readable_destination: Some("https://bücher.example/katalog?a=1#top"),
        status: RedirectStatus::PermanentRedirect,
        starts_at: Some(Timestamp(1_795_244_400_000)),
        expires_at: Some(Timestamp(1_826_780_400_000)),
        expired_destination: Some("https://example.com/over"),
        limited: true,
        used_up: true,
        forward_query: true,
        forward_path: true,
        ios_destination: Some("myapp://open/1"),
        android_destination: Some("https://example.com/android"),
        password_version: Some(u32::MAX),
        title: Some("Título 🎟"),
        preview: Some(Preview {
            title: Some("t"),
            description: Some("two\nlines"),
            image: Some("https://example.com/i.png"),
        }),
        rules: when(vec![Condition::Country(vec!["DE"])]).rules,
    }
}

fn agents() -> Vec<Condition<'static>> {
    vec![
        Condition::Browser(Browser::ALL.to_vec()),
        Condition::Device(Device::ALL.to_vec()),
        Condition::Os(Os::ALL.to_vec()),
    ]
}

fn geography() -> Vec<Condition<'static>> {
    vec![
        Condition::City(vec!["Köln", "New York"]),
        Condition::Continent(vec!["EU"]),
        Condition::Country(vec!["DE", "AT", "CH"]),
        Condition::Region(vec!["DE-BE"]),
    ]
}

fn dates() -> Vec<Condition<'static>> {
    let (from, until) = (Timestamp(1_795_244_400_000), Timestamp(1_795_244_400_001));
    vec![
        Condition::Date { from: Some(from), until: Some(until) },
        Condition::Date { from: Some(from), until: None },
        Condition::Date { from: None, until: Some(until) },
    ]
}

fn networks() -> Vec<Condition<'static>> {
    let network = |address, prefix_bits| Network { address, prefix_bits };
    vec![Condition::Ip(vec![
        network(0, 0),
        network(0xffff_cb00_7100, 120),
        network((0x2001_0db8 << 96) | 1, 128),
    ])]
}

fn queries() -> Vec<Condition<'static>> {
    vec![
        Condition::Query { name: "größe", equals: None },
        Condition::Query { name: "a b", equals: Some("") },
        Condition::Query { name: "src", equals: Some("mail & more") },
    ]
}

fn office_hours() -> TimeOfWeek {
    TimeOfWeek {
        days: 0b001_1111,
        from_minute: 1_320,
        until_minute: 120,
        offset_minutes: -150,
        changes: vec![(1_806_195_600, 120), (1_824_944_400, 60)],
    }
}

fn nested(depth: usize) -> Condition<'static> {
    match depth {
        0 => Condition::Country(vec!["DE"]),
        depth => Condition::Not(vec![nested(depth - 1), Condition::Os(vec![Os::Ios])]),
    }
}

fn variants() -> Vec<Rule<'static>> {
    let variant = |destination, weight| Variant { destination, weight };
    vec![
        Rule {
            when: vec![Condition::Device(vec![Device::Mobile])],
            variants: vec![variant("https://a.example/", 70), variant("myapp://b", 0)],
        },
        Rule { when: vec![], variants: vec![variant("https://c.example/", u32::MAX)] },
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/records/v1")
}

#[test]
fn every_golden_record_is_what_its_bytes_say() {
    assert_eq!(VERSION, 1, "a new version has a folder of its own, and this one stays readable");
    for (name, record) in golden() {
        let path = folder().join(format!("{name}.bin"));
        if std::env::var_os("BLESS").is_some() && !path.exists() {
            let text = serde_json::to_string_pretty(&meaning(&record)).unwrap();
            fs::write(path.with_extension("json"), text + "\n").unwrap();
            fs::write(&path, encode(&record)).unwrap();
        }
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(decode(&bytes).as_ref(), Ok(&record), "{name}");
        assert_eq!(encode(&record), bytes, "{name}: today's encoder writes other bytes");
    }
}

#[test]
fn every_file_is_read_with_its_meaning() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<PathBuf> = files.map(|path| path.with_extension("")).collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let bytes = fs::read(name.with_extension("bin")).unwrap();
        let text = fs::read_to_string(name.with_extension("json")).unwrap();
        let written: Value = serde_json::from_str(&text).unwrap();
        let record = decode(&bytes).unwrap();
        assert_eq!(meaning(&record), written, "{}", name.display());
    }
}

/// A record in words: every field, absent ones as null.
fn meaning(record: &LinkRecord<'_>) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.0);
    json!({
        "id": record.id,
        "version": record.version,
        "state": format!("{:?}", record.state),
        "created_at_ms": record.created_at.0,
        "destination": record.destination,
        "readable_destination": record.readable_destination,
        "status": record.status.code(),
        "starts_at_ms": time(record.starts_at),
        "expires_at_ms": time(record.expires_at),
        "expired_destination": record.expired_destination,
        "limited": record.limited,
        "used_up": record.used_up,
        "forward_query": record.forward_query,
        "forward_path": record.forward_path,
        "ios_destination": record.ios_destination,
        "android_destination": record.android_destination,
        "password_version": record.password_version,
        "title": record.title,
        "preview": record.preview.map(|card| json!({
            "title": card.title,
            "description": card.description,
            "image": card.image,
        })),
        "rules": record.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(rule: &Rule<'_>) -> Value {
    let variants = rule.variants.iter();
    json!({
        "when": rule.when.iter().map(condition).collect::<Vec<_>>(),
        "variants": variants.map(|variant| json!([variant.destination, variant.weight])).collect::<Vec<_>>(),
    })
}

fn condition(condition: &Condition<'_>) -> Value {
    match condition {
        Condition::Browser(list) => json!({ "browser": names(list, |item| item.name()) }),
        Condition::City(list) => json!({ "city": list }),
        Condition::Continent(list) => json!({ "continent": list }),
        Condition::Country(list) => json!({ "country": list }),
        Condition::Date { from, until } => {
            json!({ "date": { "from_ms": from.map(|at| at.0), "until_ms": until.map(|at| at.0) } })
        }
        Condition::Device(list) => json!({ "device": names(list, |item| item.name()) }),
        Condition::Ip(list) => json!({ "ip": list.iter().map(network).collect::<Vec<_>>() }),
        Condition::Language(list) => json!({ "language": list }),
        Condition::Not(inner) => {
            json!({ "not": inner.iter().map(self::condition).collect::<Vec<_>>() })
        }
        Condition::Os(list) => json!({ "os": names(list, |item| item.name()) }),
        Condition::Query { name, equals } => json!({ "query": { "name": name, "equals": equals } }),
        Condition::Referrer(list) => json!({ "referrer": list }),
        Condition::Region(list) => json!({ "region": list }),
        Condition::Time(time) => json!({ "time": {
            "days": time.days,
            "from_minute": time.from_minute,
            "until_minute": time.until_minute,
            "offset_minutes": time.offset_minutes,
            "changes": time.changes,
        } }),
    }
}

fn names<T: Copy>(list: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    list.iter().map(|item| name(*item)).collect()
}

fn network(network: &Network) -> String {
    format!("{}/{}", std::net::Ipv6Addr::from_bits(network.address), network.prefix_bits)
}
