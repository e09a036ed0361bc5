//! The instance as the shim drives it: one text in, registers and texts out.

use waypost_wire::codec::encode;
use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
use waypost_wire::time::Timestamp;

use crate::instance::{Instance, code};
use crate::output::{DONE, GONE, PENDING, register};

const NOW: Timestamp = Timestamp(1_780_315_200_000);
const SETTINGS: &str = "WAYPOST_PUBLIC_URL=https://go.example\0\
    WAYPOST_EDGE_KEYS=check:00000000000000000000000000000000 \
    cookie:0000000000000000000000000000000000000000000000000000000000000000 \
    origin:0000000000000000000000000000000000000000000000000000000000000000 \
    sticky:00000000000000000000000000000000";
const ORIGIN: &str = "\0WAYPOST_ORIGIN_URL=https://api.go.example";

fn begun(more: &str) -> Instance {
    let instance = Instance::new();
    let text = instance.put(&format!("{SETTINGS}{more}"), b"");
    assert!(instance.begin(text, 7, NOW), "{:?}", instance.texts());
    instance
}

fn follow(instance: &Instance, method: &str, path: &str, now: Timestamp) -> u32 {
    let text = instance.put(&format!("{method}\nhttps://go.example{path}\nFirefox"), b"");
    instance.follow(text, 0, 1, now)
}

fn resume(instance: &Instance, journey: u32, code: u32, body: &[u8], now: Timestamp) -> u32 {
    instance.put("", body);
    instance.resume(journey, code, 0, u32::try_from(body.len()).expect("short"), now)
}

/// What the registers say of an errand: the journey, its kind, its argument, the longest wait.
fn errand(instance: &Instance) -> [u32; 4] {
    let kinds = [register::JOURNEY, register::ERRAND, register::ARGUMENT, register::TIMEOUT_MS];
    kinds.map(|register| instance.register(register))
}

fn record(destination: &str, limited: bool) -> Vec<u8> {
    encode(&LinkRecord {
        id: 9,
        version: 1,
        state: LinkState::Live,
        created_at: NOW,
        destination,
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        limited,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: None,
        preview: None,
        rules: Vec::new(),
    })
}

/// Follows a link that is not remembered, to its end.
fn fetch(instance: &Instance, path: &str, destination: &str) {
    assert_eq!(follow(instance, "GET", path, NOW), PENDING);
    let [journey, kind, ..] = errand(instance);
    assert_eq!(kind, 4);
    assert_eq!(resume(instance, journey, code::DONE, &record(destination, false), NOW), 302);
}

#[test]
fn a_link_is_read_once_and_then_told_in_one_step() {
    let instance = begun("");
    assert_eq!(follow(&instance, "GET", "/hello", NOW), PENDING);
    let [journey, ..] = errand(&instance);
    assert_eq!(errand(&instance), [journey, 4, 60, 1_000]);
    assert_eq!(instance.texts(), ["go.example/hello", "", "", ""]);
    let bytes = record("https://example.com/", false);
    assert_eq!(resume(&instance, journey, code::DONE, &bytes, NOW), 302);
    let template = "cache-control\nprivate, no-store\n\
        referrer-policy\nstrict-origin-when-cross-origin\n\
        x-content-type-options\nnosniff\n\
        x-robots-tag\nnoindex\n\
        strict-transport-security\nmax-age=31536000\n";
    assert_eq!(instance.texts(), ["https://example.com/", "", template, ""]);
    assert_eq!(follow(&instance, "GET", "/hello", NOW), 302);
    assert_eq!(instance.texts(), ["https://example.com/", "", "", ""]);
    assert_eq!((instance.register(register::TEMPLATE), instance.register(register::REPLY)), (1, 0));
}

#[test]
fn what_is_replied_again_and_again_is_remembered_by_its_number_alone() {
    let instance = begun("");
    fetch(&instance, "/a", "https://a.example/");
    fetch(&instance, "/b", "https://b.example/");
    let told = |path: &str| {
        assert_eq!(follow(&instance, "GET", path, NOW), 302);
        (instance.register(register::REPLY), instance.texts()[0].clone())
    };
    // The first reply brought the template, so the next ones can be noticed.
    assert_eq!(told("/a"), (0, "https://a.example/".to_owned()));
    let (reply, location) = told("/a");
    assert_eq!((reply > 0, &*location), (true, "https://a.example/"), "to be remembered");
    assert_eq!(told("/a"), (reply, String::new()), "remembered");
    assert_eq!(follow(&instance, "HEAD", "/a", NOW), 302, "has a header more");
    assert_eq!(instance.register(register::REPLY), 0);
    assert_eq!(instance.texts(), ["https://a.example/", "content-length\n0\n", "", ""]);
    // `/b` came once before.
    let (other, _) = told("/b");
    assert!(other > 0 && other != reply);
    assert_eq!(told("/b"), (other, String::new()));
    assert_eq!(told("/a"), (reply, String::new()));
}

#[test]
fn pages_have_their_own_length_for_head_alone() {
    let instance = begun("");
    assert_eq!(follow(&instance, "GET", "/", NOW), 200);
    let [location, own, template, body] = instance.texts();
    assert_eq!((&*location, &*own), ("", ""));
    assert!(template.contains("content-type\ntext/html; charset=utf-8\n"), "{template}");
    assert!(!template.contains("content-length"), "{template}");
    assert!(body.starts_with("<!doctype html>"));
    assert_eq!(follow(&instance, "HEAD", "/", NOW), 200);
    let length = format!("content-length\n{}\n", body.len());
    assert_eq!(instance.texts(), [String::new(), length, String::new(), String::new()]);
}

#[test]
fn room_for_a_long_request_is_given_back() {
    let instance = begun("");
    let text = format!("GET\nhttps://go.example/\n{}", "x".repeat(60_000));
    let bytes = instance.put(&text, b"");
    assert_eq!(instance.room(), text.len());
    assert_eq!(instance.follow(bytes, 0, 1, NOW), 200);
    instance.input(0);
    assert_eq!(instance.room(), 32 * 1024);
}

#[test]
fn many_destinations_share_one_template() {
    let instance = begun("");
    for number in 0..1_000 {
        let destination = format!("https://example.com/{number}");
        fetch(&instance, &format!("/a{number}"), &destination);
        assert_eq!(instance.register(register::TEMPLATE), 1);
        assert_eq!(instance.texts()[0], destination);
    }
}

#[test]
fn a_second_visitor_waits_for_the_first_ones_read() {
    let instance = begun("");
    assert_eq!(follow(&instance, "GET", "/hello", NOW), PENDING);
    let [first, ..] = errand(&instance);
    assert_eq!(follow(&instance, "GET", "/hello", NOW), PENDING);
    let [second, kind, flight, timeout_ms] = errand(&instance);
    assert_eq!((kind, timeout_ms), (5, 2_000));
    assert_eq!(instance.next_landed(), 0);
    let bytes = record("https://example.com/", false);
    assert_eq!(resume(&instance, first, code::DONE, &bytes, NOW), 302);
    assert_eq!(instance.register(register::HAS_LANDED), 1);
    assert_eq!((instance.next_landed(), instance.next_landed()), (flight, 0));
    assert_eq!(resume(&instance, second, code::DONE, b"", NOW), 302);
}

#[test]
fn abandoned_journeys_end_and_their_flights_land() {
    let instance = begun("");
    assert_eq!(follow(&instance, "GET", "/hello", NOW), PENDING);
    let [abandoned, ..] = errand(&instance);
    let later = NOW.plus_ms(59_000);
    assert_eq!(follow(&instance, "GET", "/hello", later), PENDING);
    let [waiting, kind, flight, _] = errand(&instance);
    assert_eq!(kind, 5);
    let last = NOW.plus_ms(70_000);
    assert_eq!(follow(&instance, "GET", "/", last), 200);
    assert_eq!(instance.register(register::HAS_LANDED), 1);
    assert_eq!(instance.next_landed(), flight);
    assert_eq!(resume(&instance, abandoned, code::DONE, b"", last), GONE);
    assert_eq!(resume(&instance, waiting, code::DONE, b"", last), PENDING);
    assert_eq!(errand(&instance)[1], 4, "reads for itself");
}

#[test]
fn a_use_that_was_asked_for_is_not_asked_for_again() {
    let instance = begun(ORIGIN);
    assert_eq!(follow(&instance, "GET", "/limited", NOW), PENDING);
    assert_eq!(instance.register(register::IS_FINAL), 0);
    let [journey, ..] = errand(&instance);
    let bytes = record("https://example.com/", true);
    assert_eq!(resume(&instance, journey, code::DONE, &bytes, NOW), PENDING);
    assert_eq!(errand(&instance), [journey, 3, 0, 3_000]);
    assert_eq!(instance.register(register::IS_FINAL), 1);
    let [url, headers, ..] = instance.texts();
    assert_eq!(url, "https://api.go.example/api/v1/edge/consume");
    assert!(headers.starts_with("content-type\napplication/octet-stream\nx-waypost-signature\n"));
    // An answer that nobody signed is none.
    assert_eq!(resume(&instance, journey, 200, b"\x01\x00", NOW), 503);
}

#[test]
fn duties_are_journeys_of_their_own() {
    let instance = begun(ORIGIN);
    fetch(&instance, "/hello", "https://example.com/");
    let deliver = instance.register(register::DELIVER);
    let refresh = instance.register(register::REFRESH);
    assert!(deliver > 0 && refresh > 0 && deliver != refresh);
    assert_eq!(resume(&instance, refresh, code::BEGIN, b"", NOW), PENDING);
    assert_eq!(errand(&instance)[1], 4);
    assert_eq!(instance.texts()[0], "!state");
    assert_eq!(resume(&instance, deliver, code::BEGIN, b"", NOW), PENDING);
    assert_eq!(errand(&instance), [deliver, 2, 2_000, 0]);
    assert_eq!(resume(&instance, deliver, code::DONE, b"", NOW), PENDING);
    assert_eq!(instance.texts()[0], "https://api.go.example/api/v1/edge/clicks");
    // Nobody takes them, however often they are offered.
    let mut status = PENDING;
    for _ in 0..16 {
        status = match status {
            PENDING => resume(&instance, deliver, 0, b"", NOW),
            _ => break,
        };
    }
    assert_eq!(status, DONE);
    let counts = &instance.texts()[0];
    assert!(counts.starts_with('{') && counts.contains("\"delivery_failures\":"), "{counts}");
    // What waits is offered once more by whoever is told that the instance is broken.
    let rescue = instance.rescue();
    assert_eq!(resume(&instance, rescue, code::BEGIN, b"", NOW), PENDING);
    assert_eq!(instance.texts()[0], "https://api.go.example/api/v1/edge/clicks");
}

#[test]
fn faults_of_settings_are_told_and_nothing_is_followed() {
    let instance = Instance::new();
    let text = instance.put("WAYPOST_PUBLIC_URL=ftp://go.example\0WAYPOST_PUBLC=1", b"");
    assert!(!instance.begin(text, 7, NOW));
    let remarks = &instance.texts()[0];
    assert!(remarks.starts_with("WAYPOST_PUBLC: there is no such setting\n"), "{remarks}");
    assert!(remarks.contains("WAYPOST_PUBLIC_URL: \"ftp://go.example\" is not"), "{remarks}");
    assert!(remarks.contains("WAYPOST_EDGE_KEYS: is not set"), "{remarks}");
    assert_eq!(follow(&instance, "GET", "/", NOW), GONE);
}

#[test]
fn without_anywhere_to_send_clicks_that_is_said() {
    let instance = begun("");
    assert_eq!(instance.texts()[0], "there is no origin and no queue: clicks are not counted");
    assert!(instance.rescue() > 0);
    begun(ORIGIN);
}

#[test]
fn the_shim_has_the_same_registers_and_codes() {
    let shim = include_str!("../js/shim.js");
    for (name, value) in [
        ("STATUS", register::STATUS),
        ("JOURNEY", register::JOURNEY),
        ("ERRAND", register::ERRAND),
        ("ARGUMENT", register::ARGUMENT),
        ("TIMEOUT_MS", register::TIMEOUT_MS),
        ("IS_FINAL", register::IS_FINAL),
        ("HAS_LANDED", register::HAS_LANDED),
        ("REFRESH", register::REFRESH),
        ("DELIVER", register::DELIVER),
        ("TEMPLATE", register::TEMPLATE),
        ("TEXT", register::TEXT),
        ("FIRST_BYTES", register::FIRST_BYTES),
        ("HEADER_BYTES", register::HEADER_BYTES),
        ("TEMPLATE_BYTES", register::TEMPLATE_BYTES),
        ("BODY_BYTES", register::BODY_BYTES),
        ("REPLY", register::REPLY),
        ("REGISTERS", register::COUNT),
        ("PENDING", PENDING as usize),
        ("GONE", GONE as usize),
    ] {
        let ends = [',', ';'].map(|end| format!(" {name} = {value}{end}"));
        assert!(ends.iter().any(|end| shim.contains(end)), "{name} = {value}");
    }
    for (name, value) in [("NOTHING", code::NOTHING), ("DONE", code::DONE), ("BEGIN", code::BEGIN)]
    {
        assert!(shim.contains(&format!("const {name} = {{ code: {value},")), "{name}");
    }
}
