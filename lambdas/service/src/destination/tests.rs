//! Tables of accepted and refused spellings.

use std::collections::BTreeMap;

use super::DestinationFault as Fault;
use super::*;

pub(super) fn rules() -> DestinationRules {
    DestinationRules {
        own_domains: vec!["s.example".into(), "xn--krz-hoa.example".into(), "203.0.113.9".into()],
        app_schemes: vec!["myapp".into(), "Spotify".into(), "mailto".into(), "javascript".into()],
        ..DestinationRules::default()
    }
}

fn intranet() -> DestinationRules {
    DestinationRules { allow_private_hosts: true, ..rules() }
}

/// The name of the fault, or the serialised form.
fn verdict(input: &str) -> String {
    match parse(input, &rules()) {
        Ok(destination) => destination.serialised,
        Err(fault) => {
            let debug = format!("{fault:?}");
            debug.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn assert_verdicts(table: &[(&str, &str)]) {
    let wrong: Vec<_> = table
        .iter()
        .filter(|(input, expected)| verdict(input) != *expected)
        .map(|(input, expected)| format!("{input:?}: {}, not {expected}", verdict(input)))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Hostile spellings by the name of the fault each must meet.
#[test]
fn hostile_spellings_are_refused_for_the_right_reason() {
    let table: BTreeMap<String, Vec<String>> =
        serde_json::from_str(include_str!("refused.json")).expect("a table");
    let rows: Vec<_> = table
        .iter()
        .flat_map(|(fault, inputs)| inputs.iter().map(|input| (input.as_str(), fault.as_str())))
        .collect();
    assert!(rows.len() > 230, "{}", rows.len());
    assert_verdicts(&rows);
}

#[test]
fn a_plain_destination_is_kept_whole() {
    let url = "https://example.com/a/b;c?q=1&r=%20#top";
    let expected = Destination {
        serialised: url.into(),
        display: url.into(),
        host: Some("example.com".into()),
        mixed_script: false,
        confusable: false,
    };
    assert_eq!(parse(url, &rules()), Ok(expected));
}

#[test]
fn accepted_spellings_are_stored_in_the_standards_form() {
    assert_verdicts(&[
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A", "https://example.com/A"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://example.com:/", "https://example.com/"),
        ("https://example.com?q", "https://example.com/?q"),
        ("https://example.com#f", "https://example.com/#f"),
        ("https://example.com/a/../b/./c", "https://example.com/b/c"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/?q=a b", "https://example.com/?q=a%20b"),
        ("https://example.com/ü", "https://example.com/%C3%BC"),
        ("https://example.com/\u{1F600}", "https://example.com/%F0%9F%98%80"),
        ("https://example.com/%C3%BC%zz%", "https://example.com/%C3%BC%zz%"),
        ("https://example.com/\"<>`{}|^'", "https://example.com/%22%3C%3E%60%7B%7D|^'"),
        ("https://example.com//a//b", "https://example.com//a//b"),
        ("https://example.com/@user", "https://example.com/@user"),
        (
            "https://example.com/?to=http://127.0.0.1/@",
            "https://example.com/?to=http://127.0.0.1/@",
        ),
        ("https://a_b-.example.com/", "https://a_b-.example.com/"),
        ("https://r3---sn-x.example.com/", "https://r3---sn-x.example.com/"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://MÜNCHEN.example/", "https://xn--mnchen-3ya.example/"),
        ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://ｅｘａｍｐｌｅ.com/", "https://example.com/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://192.0.2.1/", "https://192.0.2.1/"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]/"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://[64:ff9b::8.8.8.8]/", "https://[64:ff9b::808:808]/"),
        ("https://[2002:808:808::1]/", "https://[2002:808:808::1]/"),
        ("https://a.mylocal/", "https://a.mylocal/"),
        ("https://myhome.arpa/", "https://myhome.arpa/"),
        ("https://localhost.example.com/", "https://localhost.example.com/"),
        ("https://my-local.example/", "https://my-local.example/"),
        ("https://xs.example/", "https://xs.example/"),
        ("https://www.s.example/", "https://www.s.example/"),
        ("https://habit.ly/", "https://habit.ly/"),
        ("https://maps.app.goo.gl/x", "https://maps.app.goo.gl/x"),
        ("https://youtu.be/x", "https://youtu.be/x"),
        ("MyApp://open/item?id=1", "myapp://open/item?id=1"),
        ("spotify:track:6rqhFgbbKwnb9MLmUQDhG6", "spotify:track:6rqhFgbbKwnb9MLmUQDhG6"),
        ("mailto:a@example.com?subject=x%20y", "mailto:a@example.com?subject=x%20y"),
        ("myapp://localhost/settings", "myapp://localhost/settings"),
    ]);
}

#[test]
fn host_names_keep_the_limits_of_dns() {
    let label = "a".repeat(63);
    let name = format!("{}example", "a.".repeat(123));
    assert_eq!(name.len(), 253);
    for host in [format!("{label}.example"), name.clone()] {
        assert_eq!(verdict(&format!("https://{host}/")), format!("https://{host}/"));
    }
    for host in [format!("a{label}.example"), format!("a{name}")] {
        assert_eq!(verdict(&format!("https://{host}/")), "Host");
    }
}

#[test]
fn public_addresses_beside_private_ones() {
    assert_verdicts(&[
        ("http://9.255.255.255/", "http://9.255.255.255/"),
        ("http://11.0.0.0/", "http://11.0.0.0/"),
        ("http://100.63.255.255/", "http://100.63.255.255/"),
        ("http://100.128.0.0/", "http://100.128.0.0/"),
        ("http://172.15.255.255/", "http://172.15.255.255/"),
        ("http://172.32.0.0/", "http://172.32.0.0/"),
        ("http://192.0.1.0/", "http://192.0.1.0/"),
        ("http://192.167.255.255/", "http://192.167.255.255/"),
        ("http://198.20.0.0/", "http://198.20.0.0/"),
        ("http://223.255.255.255/", "http://223.255.255.255/"),
        ("http://[2000::]/", "http://[2000::]/"),
        ("http://[3fff::1]/", "http://[3fff::1]/"),
        ("http://[2001:0:808:808::f7f7:f7f7]/", "http://[2001:0:808:808::f7f7:f7f7]/"),
    ]);
}

#[test]
fn own_domains_in_every_spelling() {
    for own in ["S.Example", "s.example.", "s.example:8080"] {
        let rules = DestinationRules { own_domains: vec![own.into()], ..rules() };
        let fault = parse("https://s.example/x", &rules);
        assert_eq!(fault, Err(Fault::OwnDomain { host: "s.example".into() }), "{own}");
    }
    let fault = parse("https://s.example/x", &intranet());
    assert_eq!(fault, Err(Fault::OwnDomain { host: "s.example".into() }));
}

#[test]
fn shorteners_unless_allowed() {
    let rules = DestinationRules { allow_shorteners: true, ..rules() };
    assert!(parse("https://bit.ly/x", &rules).is_ok());
}

#[test]
fn intranets_may_allow_private_hosts_but_nothing_else() {
    for (input, host) in [
        ("http://127.0.0.1:8080/", "127.0.0.1"),
        ("http://localhost:3000/", "localhost"),
        ("http://wiki/", "wiki"),
        ("http://[::1]:80/", "[::1]"),
        ("http://printer.local/", "printer.local"),
    ] {
        let parsed = parse(input, &intranet()).map(|destination| destination.host);
        assert_eq!(parsed, Ok(Some(host.into())), "{input}");
    }
    for input in [
        "http://0x7f.1/",
        "http://localhost./",
        "http://a@localhost/",
        "http://a..b/",
        "javascript:1",
    ] {
        assert!(parse(input, &intranet()).is_err(), "{input}");
    }
}

#[test]
fn network_schemes_on_the_list_have_their_hosts_checked() {
    let rules = DestinationRules { app_schemes: vec!["ftp".into()], ..rules() };
    assert!(parse("ftp://ftp.example.com/x", &rules).is_ok());
    let fault = parse("ftp://127.1/x", &rules);
    assert_eq!(fault, Err(Fault::PrivateAddress { host: "127.0.0.1".into() }));
    assert_eq!(parse("ftp:x", &rules), Err(Fault::NoSlashes { scheme: "ftp".into() }));
}

#[test]
fn length_is_limited_before_and_after_encoding() {
    let filled = |bytes: usize, with: &str| {
        let start = "https://example.com/";
        format!("{start}{}", with.repeat((bytes - start.len()) / with.len()))
    };
    assert!(parse(&filled(2_048, "a"), &rules()).is_ok());
    assert_eq!(
        parse(&filled(2_049, "a"), &rules()),
        Err(Fault::TooLong { bytes: 2_049, max_bytes: 2_048 })
    );
    assert_eq!(
        parse(&filled(2_020, "ü"), &rules()),
        Err(Fault::TooLongStored { bytes: 6_020, max_bytes: 2_048 })
    );
    let generous = DestinationRules { length_max_bytes: usize::MAX, ..rules() };
    assert!(parse(&filled(8_192, "a"), &generous).is_ok());
    assert_eq!(
        parse(&filled(8_193, "a"), &generous),
        Err(Fault::TooLong { bytes: 8_193, max_bytes: 8_192 })
    );
    assert_eq!(
        parse("https://example.com", &DestinationRules { length_max_bytes: 19, ..rules() }),
        Err(Fault::TooLongStored { bytes: 20, max_bytes: 19 })
    );
}

#[test]
fn international_hosts_are_shown_and_judged() {
    for (input, display, mixed_script, confusable) in [
        (
            "https://xn--mnchen-3ya.example:8443/ü?ü#ü",
            "https://münchen.example:8443/%C3%BC?%C3%BC#%C3%BC",
            false,
            false,
        ),
        ("https://例え-web.テスト/", "https://例え-web.テスト/", false, false),
        ("https://россия.рф/", "https://россия.рф/", false, false),
        ("https://россия-24.рф/", "https://россия-24.рф/", false, false),
        ("https://bücher.россия.рф/", "https://bücher.россия.рф/", false, false),
        ("https://i❤.example/", "https://i❤.example/", false, false),
        // Latin with a Cyrillic a; all Cyrillic; Latin with a Greek omicron.
        ("https://pаypal.example/", "https://pаypal.example/", true, true),
        ("https://сосо.example/", "https://сосо.example/", false, true),
        ("https://gοοgle.example/", "https://gοοgle.example/", true, true),
        ("https://example.com/pаypal", "https://example.com/p%D0%B0ypal", false, false),
    ] {
        let destination = parse(input, &rules()).expect(input);
        let found =
            (destination.display.as_str(), destination.mixed_script, destination.confusable);
        assert_eq!(found, (display, mixed_script, confusable), "{input}");
        assert!(destination.serialised.is_ascii());
        let again = parse(&destination.display, &rules());
        assert_eq!(again.as_ref(), Ok(&destination), "what is shown leads to the same place");
    }
}

#[test]
fn app_links_have_no_host() {
    let destination = parse("myapp://open/item", &rules()).expect("an app link");
    assert_eq!(destination.host, None);
}

#[test]
fn faults_say_what_was_wrong_and_what_would_be_right() {
    let explain = |input: &str| {
        let fault = parse(input, &rules()).expect_err(input);
        (fault.detail(), fault.expected())
    };
    let pair = |detail: &str, expected: &str| (detail.to_owned(), expected.to_owned());
    assert_eq!(
        explain("https://example.com/\u{202E}"),
        pair(
            "there is an invisible character (U+202E) at byte 20",
            "visible characters only; if it is meant, write %E2%80%AE"
        )
    );
    assert_eq!(
        explain("https:example.com"),
        pair("there is no // behind https:", "https:// and then the host")
    );
    assert_eq!(
        explain("http://8.8.2056/"),
        pair(
            "\"8.8.2056\" is an unusual spelling of the address 8.8.8.8",
            "the address written as 8.8.8.8"
        )
    );
    assert_eq!(
        explain("https://example.com./"),
        pair("the host \"example.com.\" ends with a dot", "\"example.com\"")
    );
    assert_eq!(
        explain("https://user:secret@example.com/"),
        pair(
            "there is a user name or an @ before the host",
            "the host directly behind ://, without a user name"
        )
    );
}

#[test]
fn hosts_are_made_canonical_or_refused() {
    for (given, expected) in [
        ("S.Example", Some("s.example")),
        ("s.example.", Some("s.example")),
        ("s.example:8080", Some("s.example")),
        ("kürz.example", Some("xn--krz-hoa.example")),
        ("127.1", Some("127.0.0.1")),
        ("[::1]", Some("[::1]")),
        ("localhost", Some("localhost")),
        ("", None),
        ("a b", None),
        ("https://s.example", None),
        ("s.example/x", None),
        ("s.example?x", None),
        ("a@s.example", None),
    ] {
        assert_eq!(canonical_host(given).as_deref(), expected, "{given}");
    }
}
