//! Every field at its limits, and with every wrong type.

use super::*;
use crate::compile::compile;

/// A place, a value that is just right there, and one that is just wrong.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Value, Value)> {
    let url = |bytes: usize| json!(format!("https://example.com/{}", "x".repeat(bytes - 20)));
    let text = |characters: usize| json!("ü".repeat(characters));
    vec![
        ("/destination", url(2_048), url(2_049)),
        ("/title", text(200), text(201)),
        ("/title", json!("a\u{202E}b"), json!("a\nb")),
        ("/notes", text(4_000), text(4_001)),
        ("/notes", json!("a\r\nb\tc"), json!("a\0b")),
        ("/tags/0", text(50), text(51)),
        ("/tags/0", json!("a b"), json!(" a")),
        ("/tags", json!(vec!["a"; 20]), json!(vec!["a"; 21])),
        ("/external_id", text(200), text(201)),
        ("/password", text(200), text(201)),
        ("/password", json!(" "), json!("")),
        ("/status", json!(307), json!(303)),
        ("/status", json!(301), json!(65_837)),
        ("/max_clicks", json!(1), json!(0)),
        ("/max_clicks", json!(1_000_000_000), json!(1_000_000_001)),
        ("/max_clicks", json!(5), json!(-5)),
        ("/max_clicks", json!(5), json!(1e300)),
        ("/starts_at", json!("2000-01-01T00:00:00Z"), json!("1999-12-31T23:59:59.999Z")),
        ("/starts_at", json!("2200-12-31T23:59:59.999Z"), json!("2201-01-01T00:00:00Z")),
        ("/starts_at", json!("2030-01-01T00:00:00+14:00"), json!("2030-01-01T00:00:00")),
        ("/expires_at", json!("2026-11-21T07:00:00.001Z"), json!("2026-11-21T07:00:00Z")),
        ("/expired_destination", url(100), json!("myapp://x")),
        ("/ios_destination", json!("myapp://x"), json!("otherapp://x")),
        ("/android_destination", json!("myapp://x"), json!("javascript:alert(1)")),
        ("/domain", json!("OTHER.example"), json!("else.example")),
        ("/slug", json!("x".repeat(64)), json!("x".repeat(65))),
        ("/slug", json!("a1B2c3DR"), json!("a1B2c3DS")),
        ("/utm/term", text(200), text(201)),
        ("/preview/title", text(200), text(201)),
        ("/preview/description", text(500), text(501)),
        ("/preview/image", url(2_048), json!("data:image/png;base64,AA")),
        ("/rules", json!(vec![json!({"destination": "myapp:x"}); 50]), json!(vec![json!({"destination": "myapp:x"}); 51])),
        ("/rules/0/name", text(100), text(101)),
        ("/rules/0/destination", json!("myapp:x"), json!("file:///x")),
        ("/rules/0/destinations/0/destination", json!("myapp:x"), json!("https://s.example/x")),
        ("/rules/0/destinations/0/weight", json!(10_000), json!(10_001)),
        ("/rules/0/destinations", json!(vec![json!({"destination": "myapp:x", "weight": 1}); 10]), json!(vec![json!({"destination": "myapp:x", "weight": 1}); 11])),
        ("/rules/0/destinations", json!([{"destination": "myapp:x", "weight": 1}]), json!([])),
        ("/rules/0/when/country", json!(vec!["DE"; 100]), json!(vec!["DE"; 101])),
        ("/rules/0/when/country/0", json!("xk"), json!("XX")),
        ("/rules/0/when/region/0", json!("gb-eng"), json!("DE_BE")),
        ("/rules/0/when/city/0", text(100), text(101)),
        ("/rules/0/when/continent/0", json!("oc"), json!("XX")),
        ("/rules/0/when/language/0", json!("zh-Hant"), json!("de_DE")),
        ("/rules/0/when/device/0", json!("TABLET"), json!("phone")),
        ("/rules/0/when/os/0", json!("chromeos"), json!("ipados")),
        ("/rules/0/when/browser/0", json!("Safari"), json!("netscape")),
        ("/rules/0/when/query/0/name", text(100), text(101)),
        ("/rules/0/when/query/0/equals", text(200), text(201)),
        ("/rules/0/when/referrer/0", json!("t.co"), json!("https://t.co/")),
        ("/rules/0/when/referrer/0", json!("_x.example"), json!("*.example.com")),
        ("/rules/0/when/referrer/0", json!("192.0.2.1"), json!("[::1]")),
        ("/rules/0/when/referrer/0", json!("localhost"), json!("a@b.example")),
        ("/rules/0/when/referrer/0", json!("x.example"), json!("")),
        ("/rules/0/when/ip/0", json!("::/0"), json!("10.0.0.1/8")),
        ("/rules/0/when/ip/0", json!("192.0.2.1"), json!("192.0.2.300")),
        ("/rules/0/when/date/until", json!("2030-01-01T00:00:01Z"), json!("1830-01-01T00:00:00Z")),
        ("/rules/0/when/date", json!({"from": "2030-01-01T00:00:00Z"}), json!({"from": null})),
        ("/rules/0/when/time/zone", json!("america/argentina/ushuaia"), json!("Europe/Bielefeld")),
        ("/rules/0/when/time/days/0", json!("SUN"), json!("sunday")),
        ("/rules/0/when/time/from", json!("23:59"), json!("24:00")),
        ("/rules/0/when/time/until", json!("24:00"), json!("24:01")),
        ("/rules/0/when/time", json!({"zone": "UTC", "days": ["mon"]}), json!({"zone": "UTC"})),
        ("/rules/0/when/not", json!({"os": ["ios"]}), json!({})),
        ("/rules/0/when/not", json!({"os": ["ios"]}), json!({"os": null})),
        ("/rules/0/when/not/not/not/not", json!({"os": ["ios"]}), json!({"not": {"os": ["ios"]}})),
        ("/override_quarantine", json!(false), json!("false")),
    ]
}

/// What is just right is accepted, and the fault of what is just wrong is at the place itself.
#[test]
fn limits() {
    for (pointer, right, wrong) in cases() {
        let right = body_with(pointer, &right);
        assert!(new(&right).is_ok(), "{pointer} {right} {:?}", new(&right));
        let wrong = body_with(pointer, &wrong);
        let found = faults(new(&wrong).expect_err(pointer));
        let pointers: Vec<_> = found.iter().map(|fault| fault.pointer.as_str()).collect();
        let expected = match pointer {
            "/rules/0/when/not/not/not/not" => "/rules/0/when/not/not/not/not/not",
            pointer => pointer,
        };
        assert_eq!(pointers, [expected], "{wrong}");
        let fault = &found[0];
        assert!(!fault.detail.is_empty() && !fault.expected.is_empty(), "{fault:?}");
        let most = 200;
        assert!(fault.detail.len() < most && fault.expected.len() < most, "{fault:?}");
    }
}

/// A creation with `value` at `pointer`, and around it what must be there.
fn body_with(pointer: &str, value: &Value) -> Value {
    let mut inner = value.clone();
    for step in pointer.rsplit('/').filter(|step| !step.is_empty()) {
        inner = match step {
            "0" => json!([inner]),
            step => json!({step: inner}),
        };
    }
    let complete = |part: Option<&mut Value>, missing: Value| {
        if let (Some(Value::Object(part)), Value::Object(missing)) = (part, missing) {
            for (name, value) in missing {
                part.entry(name).or_insert(value);
            }
        }
    };
    complete(Some(&mut inner), json!({"destination": "https://example.com/"}));
    let variant = json!({"destination": "myapp:x", "weight": 1});
    complete(inner.pointer_mut("/rules/0/destinations/0"), variant);
    let has_variants = inner.pointer("/rules/0/destinations").is_some();
    if !has_variants {
        complete(inner.pointer_mut("/rules/0"), json!({"destination": "myapp:x"}));
    }
    complete(inner.pointer_mut("/rules/0/when/query/0"), json!({"name": "x"}));
    if !pointer.ends_with("/time") {
        complete(inner.pointer_mut("/rules/0/when/time"), json!({"zone": "UTC", "days": ["mon"]}));
    }
    inner
}

#[test]
fn every_field_says_so_when_its_type_is_wrong() {
    let body = full_body();
    let mut places = Vec::new();
    walk(&At::Body, &body, &mut places);
    assert!(places.len() > 70, "{places:?}");
    for place in places.iter().filter(|place| !place.is_empty()) {
        for wrong in [
            json!(null),
            json!(true),
            json!(-1.5e300),
            json!("\u{0}x"),
            json!([[]]),
            json!({"\u{0}/~": 1}),
        ] {
            let mut body = full_body();
            *body.pointer_mut(place).expect("a place") = wrong.clone();
            match new(&body) {
                Ok(_) => assert!(wrong.is_null() || wrong == json!(true), "{place} {wrong}"),
                Err(problem) => {
                    for fault in faults(problem) {
                        assert!(
                            fault.pointer.starts_with(place.as_str()) || wrong.is_null(),
                            "{place} {wrong} {fault:?}"
                        );
                    }
                }
            }
        }
    }
}

fn walk(at: &At<'_>, value: &Value, places: &mut Vec<String>) {
    places.push(at.to_string());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(&at.field(name), value, places))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(&at.item(index), value, places))
        }
        _ => {}
    }
}

/// Records of accepted links never outgrow their limit: whatever zone a condition names, and
/// whenever in the next fifty years its table is made anew.
#[test]
fn the_reserve_of_a_time_of_day_is_enough_for_every_zone() {
    let mut link = full_link();
    for zone in jiff::tz::TimeZoneDatabase::bundled().available() {
        link.rules[0].when.time.as_mut().expect("a time").zone = zone.as_str().to_owned();
        let sizes = (0..50).map(|year| {
            let now = NOW.plus_ms(year * 31_557_600_000);
            compile(&link, now).expect("compiles").record.len()
        });
        let mut smallest = usize::MAX;
        for (year, bytes) in sizes.enumerate() {
            smallest = smallest.min(bytes);
            assert!(bytes - smallest <= settings::ZONE_RESERVE_BYTES, "{} {year}", zone.as_str());
        }
    }
    // A zone without changes may get those of most others.
    let mut bytes_of = |zone: &str| {
        link.rules[0].when.time.as_mut().expect("a time").zone = zone.to_owned();
        compile(&link, NOW).expect("compiles").record.len()
    };
    assert!(bytes_of("Europe/Berlin") - bytes_of("UTC") <= settings::ZONE_RESERVE_BYTES);
}

#[test]
fn times_of_day_count_with_their_reserve() {
    let body = |rules: usize| {
        let time = json!({"zone": "UTC", "days": ["mon"]});
        let when = json!({"time": time, "not": {"not": {"time": time}}});
        with("rules", json!(vec![json!({"when": when, "destination": "myapp:x"}); rules]))
    };
    // Two reserves each: 320 bytes, and about 30 of their own.
    assert!(new(&body(45)).is_ok());
    let found = faults(new(&body(50)).expect_err("too many"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "");
}
