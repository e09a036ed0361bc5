//! Pages as visitors get them, compared with stored copies; and what hostile values cannot do.
//!
//! `BLESS=1 cargo test -p waypost-tests --test pages` stores the pages anew: read the difference.

use std::path::PathBuf;

use waypost_core::pages::{OpenGraphPage, Page, PasswordState, PreviewPage, render};
use waypost_wire::time::Timestamp;

const PREVIEW: PreviewPage<'static> = PreviewPage {
    short_url: "https://go.example/summer",
    destination: "https://shop.example.com/de/sale?utm_source=poster&utm_medium=qr#new",
    readable_destination: None,
    title: Some("Summer sale 2026"),
    created_at: Timestamp(1_773_014_400_000),
    has_rules: false,
};

const PREVIEW_WITH_EVERYTHING: PreviewPage<'static> = PreviewPage {
    destination: "https://xn--bcher-kva.example/katalog",
    readable_destination: Some("https://bücher.example/katalog"),
    has_rules: true,
    ..PREVIEW
};

const PREVIEW_OF_APP: PreviewPage<'static> =
    PreviewPage { destination: "shop://item/7", title: None, ..PREVIEW };

const CARD: OpenGraphPage<'static> = OpenGraphPage {
    short_url: "https://go.example/summer",
    destination: "https://shop.example.com/de/sale",
    title: Some("Summer sale 2026"),
    description: Some("Everything for the beach, & more."),
    image: Some("https://img.example.com/summer.png?w=1200&h=630"),
};

const BARE_CARD: OpenGraphPage<'static> =
    OpenGraphPage { title: None, description: None, image: None, ..CARD };

/// Every kind of page, by the name of its stored copy.
const PAGES: [(&str, Page<'static>); 17] = [
    ("bad-request", Page::BadRequest),
    ("blocked-abuse", Page::Blocked { legal: false }),
    ("blocked-legal", Page::Blocked { legal: true }),
    ("gone", Page::Gone),
    ("home", Page::Home),
    ("method-not-allowed", Page::MethodNotAllowed),
    ("not-found", Page::NotFound),
    ("open-graph", Page::OpenGraph(CARD)),
    ("open-graph-bare", Page::OpenGraph(BARE_CARD)),
    ("password", password(PasswordState::Asked)),
    ("password-too-many", password(PasswordState::TooMany)),
    ("password-wrong", password(PasswordState::Wrong)),
    ("preview", Page::Preview(PREVIEW)),
    ("preview-app", Page::Preview(PREVIEW_OF_APP)),
    ("preview-everything", Page::Preview(PREVIEW_WITH_EVERYTHING)),
    ("unavailable", Page::Unavailable),
    ("wrong-host", Page::WrongHost),
];

const fn password(state: PasswordState) -> Page<'static> {
    Page::Password { action: "/summer?ref=poster&x=1", state }
}

#[test]
fn pages_are_as_stored() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/pages"));
    let bless = std::env::var_os("BLESS").is_some();
    let mut expected = Vec::new();
    for language in ["de", "en"] {
        for (name, page) in PAGES {
            let rendered = render(&page, Some(language));
            assert_eq!(rendered.language, language, "{name}");
            let file = folder.join(format!("{name}.{language}.html"));
            if bless {
                std::fs::write(&file, &rendered.html).unwrap();
            }
            let stored = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(rendered.html == stored, "{} differs, see above", file.display());
            expected.push(file);
        }
    }
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "every stored page belongs to a page");
}

#[test]
fn every_page_is_under_four_kilobytes() {
    for (name, page) in PAGES {
        for language in ["de", "en"] {
            let size = render(&page, Some(language)).html.len();
            assert!(size < 4_096, "{name} in {language} has {size} bytes");
        }
    }
}

#[test]
fn every_page_forbids_what_it_does_not_need() {
    for (name, page) in PAGES {
        let rendered = render(&page, None);
        let (style, others): (Vec<&str>, Vec<&str>) =
            rendered.csp.split("; ").partition(|directive| directive.starts_with("style-src "));
        assert_eq!(style.len(), 1, "{name}");
        let mut forbidden = vec!["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"];
        if !rendered.html.contains("<form") {
            forbidden.push("form-action 'none'");
        }
        assert_eq!(others, forbidden, "{name}");
        for word in ["<script", "<img", "<link", "<iframe", " style=", "http-equiv", "url("] {
            assert!(!rendered.html.contains(word), "{name} contains {word}");
        }
    }
}

#[test]
fn a_wrong_password_is_announced() {
    let html = |state| render(&password(state), None).html;
    for state in [PasswordState::TooMany, PasswordState::Wrong] {
        assert!(html(state).contains(r#"<p id="problem" role="alert">"#), "{state:?}");
        assert!(html(state).contains(r#"aria-describedby="problem""#), "{state:?}");
    }
    assert!(!html(PasswordState::Asked).contains("problem"));
    assert!(html(PasswordState::Wrong).contains(r#"aria-invalid="true""#));
}

/// What a hostile owner may have put anywhere.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>{{title}}{{style}}\
                       \u{202e}gpj.exe\u{2066}\0\r\n&quot; onload=\"x";

const HOSTILE_PREVIEW: PreviewPage<'static> = PreviewPage {
    short_url: HOSTILE,
    destination: HOSTILE,
    readable_destination: Some(HOSTILE),
    title: Some(HOSTILE),
    ..PREVIEW_WITH_EVERYTHING
};

const HOSTILE_CARD: OpenGraphPage<'static> = OpenGraphPage {
    short_url: HOSTILE,
    destination: HOSTILE,
    title: Some(HOSTILE),
    description: Some(HOSTILE),
    image: Some(HOSTILE),
};

#[test]
fn hostile_values_stay_values() {
    let cases = [
        (Page::Preview(HOSTILE_PREVIEW), Page::Preview(PREVIEW_WITH_EVERYTHING)),
        (Page::OpenGraph(HOSTILE_CARD), Page::OpenGraph(CARD)),
        (
            Page::Password { action: HOSTILE, state: PasswordState::Asked },
            password(PasswordState::Asked),
        ),
    ];
    for (hostile, tame) in cases {
        let hostile = render(&hostile, None).html;
        assert_eq!(tags(&hostile), tags(&render(&tame, None).html));
        assert!(hostile.contains("{{title}}{{style}}"), "a value was read as a template");
    }
}

/// The tags of a document with the names of their attributes, without values and text.
fn tags(html: &str) -> String {
    let mut tags = String::new();
    let mut in_tag = false;
    let mut in_value = false;
    for c in html.chars() {
        match c {
            '<' if !in_value => in_tag = true,
            '>' if !in_value => {
                in_tag = false;
                tags.push('\n');
            }
            '"' if in_tag => in_value = !in_value,
            _ => {}
        }
        if in_tag && !in_value {
            tags.push(c);
        }
    }
    tags
}

#[test]
fn nothing_reorders_or_hides_what_is_shown() {
    for page in [Page::Preview(HOSTILE_PREVIEW), Page::OpenGraph(HOSTILE_CARD)] {
        let html = render(&page, None).html;
        let shown = text_and_titles(&html);
        assert!(!shown.contains(['\0', '\r', '\u{202e}', '\u{2066}']), "{shown}");
    }
    let html = render(&Page::Preview(HOSTILE_PREVIEW), None).html;
    assert!(html.contains("%E2%80%AEgpj.exe%E2%81%A6%00%0D%0A"), "an address shows them encoded");
}

/// The document without the addresses that only programs read, which keep every byte.
fn text_and_titles(html: &str) -> String {
    let mut shown = html.to_owned();
    for attribute in ["href=\"", "image\" content=\"", "url\" content=\""] {
        if let Some((before, rest)) = shown.split_once(attribute) {
            let (_, after) = rest.split_once('"').unwrap();
            shown = format!("{before}{after}");
        }
    }
    shown
}

#[test]
fn a_long_destination_is_shown_and_linked_in_full() {
    let mut long = String::from("https://tickets.example.com/events/");
    while long.len() < 2_000 {
        long.push_str("a-very-long-path-segment/%F0%9F%8E%9F?session=8fK2mQ&next=");
    }
    let page = Page::Preview(PreviewPage { destination: &long, ..PREVIEW });
    let html = render(&page, None).html.replace("&amp;", "&");
    let rest = long.strip_prefix("https://tickets.example.com").unwrap();
    assert!(html.contains(&format!("https://<b>tickets.example.com</b>{rest}</bdi>")));
    assert!(html.contains(&format!(r#"rel="noreferrer nofollow" href="{long}""#)));
}
