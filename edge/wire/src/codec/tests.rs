use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::agent::{Browser, Device, Os};
use crate::record::*;
use crate::time::Timestamp;

fn plain() -> LinkRecord<'static> {
    LinkRecord {
        id: 7,
        version: 1,
        state: LinkState::Live,
        created_at: Timestamp(1_795_244_400_000),
        destination: "https://example.com/a?b=c#d",
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
    }
}

fn full() -> LinkRecord<'static> {
    let time = TimeOfWeek {
        days: 0b001_1111,
        from_minute: 540,
        until_minute: 1020,
        offset_minutes: 60,
        changes: vec![(1_806_195_600, 120), (1_824_944_400, 60)],
    };
    let when = vec![
        Condition::Browser(vec![Browser::Firefox, Browser::Safari]),
        Condition::City(vec!["Köln"]),
        Condition::Continent(vec!["EU"]),
        Condition::Country(vec!["DE", "AT"]),
        Condition::Date { from: Some(Timestamp(-1)), until: None },
        Condition::Device(vec![Device::Mobile]),
        Condition::Ip(vec![Network { address: 0xffff_0a00_0000, prefix_bits: 104 }]),
        Condition::Language(vec!["de-CH"]),
        Condition::Not(vec![Condition::Not(vec![Condition::Region(vec!["DE-BE"])])]),
        Condition::Os(vec![Os::Ios]),
        Condition::Query { name: "a b", equals: Some("") },
        Condition::Query { name: "x", equals: None },
        Condition::Referrer(vec!["example.org"]),
        Condition::Time(time),
    ];
    LinkRecord {
        id: u64::MAX,
        version: u64::MAX,
        state: LinkState::BlockedLegal,
        status: RedirectStatus::PermanentRedirect,
        starts_at: Some(Timestamp(i64::MIN)),
        expires_at: Some(Timestamp(i64::MAX)),
        expired_destination: Some("https://example.com/over"),
        limited: true,
        used_up: true,
        forward_query: true,
        forward_path: true,
        ios_destination: Some("myapp://open/1"),
        android_destination: Some("intent://x"),
        password_version: Some(3),
        readable_destination: Some("https://bücher.example/"),
        title: Some("Título"),
        preview: Some(Preview {
            title: Some("t"),
            description: None,
            image: Some("https://example.com/i.png"),
        }),
        rules: vec![
            Rule {
                when,
                variants: vec![
                    Variant { destination: "https://a.example/", weight: 70 },
                    Variant { destination: "https://b.example/", weight: 0 },
                ],
            },
            Rule {
                when: vec![],
                variants: vec![Variant { destination: "https://c.example/", weight: u32::MAX }],
            },
        ],
        ..plain()
    }
}

#[test]
fn records_round_trip() {
    for record in [plain(), full()] {
        let bytes = encode(&record);
        assert_eq!(decode(&bytes), Ok(record));
    }
}

#[test]
fn an_empty_card_is_not_the_same_as_none() {
    let record = LinkRecord { preview: Some(Preview::default()), ..plain() };
    assert_eq!(decode(&encode(&record)), Ok(record));
}

#[test]
fn every_shortened_record_is_refused() {
    let bytes = encode(&full());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode(&longer), Err(DecodeError::TrailingBytes));
}

#[test]
fn no_damaged_byte_makes_decoding_panic_or_yields_a_bad_destination() {
    let bytes = encode(&full());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let Ok(record) = decode(&damaged) else {
                continue;
            };
            let rules = record.rules.iter().flat_map(|rule| &rule.variants);
            let all: Vec<&str> = rules
                .map(|variant| variant.destination)
                .chain([record.destination])
                .chain(record.expired_destination)
                .collect();
            for text in all {
                assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}

#[test]
fn destinations_that_could_not_be_sent_are_refused() {
    for bad in ["", "https://a.example/ b", "https://a\r\nx: y", "https://ü.example/", "a\0"] {
        let record = LinkRecord { destination: bad, ..plain() };
        let bytes = encode(&record);
        assert_eq!(decode(&bytes), Err(DecodeError::BadDestination), "{bad:?}");
    }
}

#[test]
fn faults_are_told_apart() {
    assert_eq!(decode(&[]), Err(DecodeError::Empty));
    assert_eq!(decode(&[2]), Err(DecodeError::UnknownVersion(2)));
    assert_eq!(decode(&[1, 0, 9]), Err(DecodeError::UnknownValue));
    assert_eq!(decode(&[1, 0xff, 0xff, 0x7f, 0, 0]), Err(DecodeError::UnknownValue));
    let mut deep = Condition::Not(vec![]);
    for _ in 0..NESTING_MAX {
        deep = Condition::Not(vec![deep]);
    }
    let mut record = plain();
    record.rules = vec![Rule {
        when: vec![deep],
        variants: vec![Variant { destination: "https://a.example/", weight: 1 }],
    }];
    assert_eq!(decode(&encode(&record)), Err(DecodeError::TooDeep));
}

#[test]
fn a_plain_record_is_small() {
    let record = plain();
    assert_eq!(encode(&record).len(), 13 + record.destination.len());
}
