use waypost_wire::codec::decode;
use waypost_wire::key::LinkKey;

use super::*;
use crate::draft::tests::{NOW, full_link, rules as draft_rules};
use crate::model::Weighted;

fn network(address: u128, prefix_bits: u8) -> Network {
    Network { address, prefix_bits }
}

fn berlin() -> (i16, Vec<(i64, i16)>) {
    let offsets = zone::offsets("Europe/Berlin", NOW).expect("a zone");
    (offsets.offset_minutes, offsets.changes)
}

#[test]
fn every_field_is_in_the_record() {
    let link = Link { version: 3, used_up: true, password_version: 2, ..full_link() };
    let compiled = compile(&link, NOW).expect("compiles");
    let (offset_minutes, changes) = berlin();
    const UTM: &str =
        "utm_source=s&utm_medium=m&utm_campaign=c%20%26%20d&utm_term=t&utm_content=%C3%A9";
    let main = format!("https://xn--bcher-kva.example/a%20b?x=1&{UTM}#f");
    let readable = format!("https://bücher.example/a%20b?x=1&{UTM}#f");
    let android = format!("https://example.com/android?{UTM}");
    let first = format!("https://example.com/1?{UTM}");
    let otherwise = format!("https://example.com/else?{UTM}");
    let not = |inner| Condition::Not(vec![inner]);
    let variant = |destination, weight| Variant { destination, weight };
    let expected = LinkRecord {
        id: 7,
        version: 3,
        state: LinkState::Disabled,
        created_at: NOW,
        destination: &main,
        readable_destination: Some(&readable),
        status: RedirectStatus::PermanentRedirect,
        starts_at: Some(Timestamp(1_795_330_800_000)),
        expires_at: Some(Timestamp(1_896_076_800_500)),
        expired_destination: Some("https://example.com/over"),
        limited: true,
        used_up: true,
        forward_query: true,
        forward_path: true,
        ios_destination: Some("myapp://open/1"),
        android_destination: Some(&android),
        password_version: Some(2),
        title: Some("Summer"),
        preview: Some(Preview {
            title: Some("T"),
            description: Some("D\nE"),
            image: Some("https://example.com/i.png"),
        }),
        rules: vec![
            Rule {
                when: vec![
                    Condition::Country(vec!["DE", "AT"]),
                    Condition::Region(vec!["DE-BE"]),
                    Condition::City(vec!["Köln"]),
                    Condition::Continent(vec!["EU"]),
                    Condition::Language(vec!["de-AT", "*"]),
                    Condition::Device(vec![Device::Mobile]),
                    Condition::Os(vec![Os::Ios]),
                    Condition::Browser(vec![Browser::Safari]),
                    Condition::Query { name: "ref", equals: None },
                    Condition::Query { name: "utm_source", equals: Some("") },
                    Condition::Referrer(vec!["xn--bcher-kva.example"]),
                    Condition::Ip(vec![
                        network(0xffff_c000_0200, 120),
                        network(0x2001_0db8 << 96, 32),
                    ]),
                    Condition::Date { from: Some(Timestamp(1_796_083_200_000)), until: None },
                    Condition::Time(TimeOfWeek {
                        days: 0b001_0001,
                        from_minute: 1_320,
                        until_minute: 1_440,
                        offset_minutes,
                        changes,
                    }),
                    not(not(not(not(Condition::Device(vec![Device::Bot]))))),
                ],
                variants: vec![variant(&first, 10_000), variant("myapp:two", 0)],
            },
            Rule { when: vec![], variants: vec![variant(&otherwise, 1)] },
        ],
    };
    assert_eq!(decode(&compiled.record), Ok(expected));
    assert_eq!(compiled.recompile_at, Some(NOW.plus_ms(8 * 31_557_600_000)));
    assert_eq!(compile(&link, NOW), Ok(compiled), "the same bytes again");
}

#[test]
fn a_plain_link_has_a_plain_record() {
    let body = br#"{"destination": "https://example.com/"}"#;
    let draft = crate::draft::parse_new(body, &draft_rules(), NOW).expect("valid");
    let link = draft.into_link(model::LinkId(1), "x".into(), None, NOW);
    assert_eq!(link.key(false), LinkKey::new("s.example", "x", false));
    let compiled = compile(&link, NOW).expect("compiles");
    let expected = LinkRecord {
        id: 1,
        version: 1,
        state: LinkState::Live,
        created_at: NOW,
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
    assert_eq!(decode(&compiled.record), Ok(expected));
    assert_eq!(compiled.recompile_at, None);
}

#[test]
fn the_strongest_state_wins() {
    let state_of = |link: &Link| {
        let compiled = compile(link, NOW).expect("compiles");
        decode(&compiled.record).expect("a record").state
    };
    let mut link = Link { disabled: false, ..full_link() };
    assert_eq!(state_of(&link), LinkState::Live);
    link.disabled = true;
    assert_eq!(state_of(&link), LinkState::Disabled);
    link.blocked = Some(Block::Legal);
    assert_eq!(state_of(&link), LinkState::BlockedLegal);
    link.blocked = Some(Block::Abuse);
    assert_eq!(state_of(&link), LinkState::BlockedAbuse);
    link.deleted_at = Some(NOW);
    assert_eq!(state_of(&link), LinkState::Deleted);
}

#[test]
fn every_condition_has_its_place() {
    let rules = full_link().rules;
    let when = &rules[0].when;
    let places: Vec<_> = (0..).map_while(|position| condition_place(when, position)).collect();
    let expected = [
        "country",
        "region",
        "city",
        "continent",
        "language",
        "device",
        "os",
        "browser",
        "query/0",
        "query/1",
        "referrer",
        "ip",
        "date",
        "time",
        "not",
    ];
    assert_eq!(places, expected);
    assert_eq!(condition_place(&rules[1].when, 0), None);
}

#[test]
fn unknown_words_are_errors() {
    let error = |edit: fn(&mut When)| {
        let mut link = full_link();
        edit(&mut link.rules[0].when);
        compile(&link, NOW).expect_err("an error")
    };
    let word = |kind, word: &str| CompileError::Word { kind, word: word.to_owned() };
    assert_eq!(error(|when| when.os.push("beos".into())), word("os", "beos"));
    assert_eq!(error(|when| when.device.push("".into())), word("device", ""));
    assert_eq!(error(|when| when.browser.push("Safari".into())), word("browser", "Safari"));
    assert_eq!(error(|when| when.ip.push("::/200".into())), word("ip", "::/200"));
    let zone = |when: &mut When| when.time.as_mut().expect("time").zone = "Mars/Olympus".into();
    assert_eq!(error(zone), word("time zone", "Mars/Olympus"));
    let until = |when: &mut When| when.time.as_mut().expect("time").until = Some("25:00".into());
    assert_eq!(error(until), word("time of day", "25:00"));
    let day = |when: &mut When| when.time.as_mut().expect("time").days.push("noday".into());
    assert_eq!(error(day), word("weekday", "noday"));
    let deeper = |when: &mut When| {
        let not = when.not.take();
        when.not = Some(Box::new(When { not, ..When::default() }));
    };
    assert_eq!(error(deeper), CompileError::Nesting);
    let link = Link { status: 303, ..full_link() };
    assert_eq!(compile(&link, NOW), Err(CompileError::Status(303)));
}

#[test]
fn a_record_that_is_too_large_is_an_error() {
    let weighted = Weighted { destination: format!("myapp:{}", "x".repeat(2_000)), weight: 1 };
    let mut link = full_link();
    link.rules[0].destinations = vec![weighted; 9];
    assert!(matches!(compile(&link, NOW), Err(CompileError::TooLarge { bytes }) if bytes > 18_000));
}

#[test]
fn looks_are_for_hosts_that_look_different() {
    assert_eq!(looks("https://example.com/xn--/"), None);
    assert_eq!(looks("myapp://xn--bcher-kva.example/"), None);
    let looks = looks("https://xn--bcher-kva.s.example/").expect("looks different");
    assert_eq!(looks.display, "https://bücher.s.example/");
}

#[test]
fn a_stopped_link_is_one_whose_record_is_not_live() {
    let plain = Link { disabled: false, ..full_link() };
    let links = [
        (plain.clone(), false),
        (Link { used_up: true, expires_at: Some(NOW), ..plain.clone() }, false),
        (Link { disabled: true, ..plain.clone() }, true),
        (Link { blocked: Some(Block::Abuse), ..plain.clone() }, true),
        (Link { blocked: Some(Block::Legal), ..plain.clone() }, true),
        (Link { deleted_at: Some(NOW), ..plain }, true),
    ];
    for (link, stopped) in links {
        assert_eq!(link.is_stopped(), stopped, "{link:?}");
        let compiled = compile(&link, NOW).expect("compiles");
        let record = decode(&compiled.record).expect("a record");
        assert_eq!(record.state != LinkState::Live, stopped, "{link:?}");
    }
}
