//! Clicks: what each one is, where it is counted, and that none is lost on an orderly way.

use std::thread;

use serde_json::{Value, json};

use crate::http::{Call, Client, FIREFOX, GOOGLEBOT, IPHONE, call, create, get};
use crate::process::{Installation, wait_for};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/138.0.0.0 Safari/537.36";
const FACEBOOK: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";

/// Length of the windows that clicks are counted in, in milliseconds.
const WINDOW_MS: i64 = 600_000;

fn make(server: &Client, slug: &str) {
    let link = json!({ "destination": "https://example.com/?utm_source=link", "slug": slug });
    server.api(create(&link)).expect(201);
}

/// Waits until the statistics at an address have this many clicks; answers them.
fn counted(server: &Client, path: &str, clicks: u64) -> Value {
    wait_for("clicks", || {
        let statistics = server.read(path);
        (statistics["totals"]["all"] == json!(clicks)).then_some(statistics)
    })
}

/// The breakdown with this name: `value clicks`, `? clicks` for what is not known.
fn breakdown(statistics: &Value, name: &str) -> String {
    let entries = statistics["breakdowns"][name].as_array().expect("a breakdown");
    let line = |entry: &Value| {
        assert_eq!(entry["folded_values"], Value::Null, "nothing is folded here");
        format!("{} {}", entry["value"].as_str().unwrap_or("?"), entry["clicks"])
    };
    entries.iter().map(line).collect::<Vec<_>>().join(", ")
}

fn from_berlin(call: Call) -> Call {
    call.header("cf-ipcountry", "DE")
        .header("cf-region-code", "BE")
        .header("cf-ipcity", "Berlin")
        .header("cf-ipcontinent", "EU")
        .header("accept-language", "de-DE,de;q=0.9,en;q=0.5")
        .header("referer", "https://News.Example.org/today?page=2")
}

#[test]
fn hits_are_told_apart_and_broken_down() {
    let installation = Installation::new();
    let server = installation.start();
    make(&server, "hits");
    let visit = |agent: &str, address: &str| get("/hits").agent(agent).from(address);
    let hits = [
        from_berlin(visit(FIREFOX, "203.0.113.1")),
        from_berlin(visit(FIREFOX, "203.0.113.1")),
        from_berlin(visit(IPHONE, "203.0.113.1")),
        get("/hits?utm_source=mail&utm_medium=e%20mail").agent(CHROME).from("203.0.113.2"),
        // They do not want to be told apart: no visitor, no city.
        from_berlin(visit(CHROME, "203.0.113.3")).header("dnt", "1"),
        from_berlin(visit(CHROME, "203.0.113.4")).header("sec-gpc", "1"),
        visit(GOOGLEBOT, "203.0.113.5"),
        visit(FACEBOOK, "203.0.113.6"),
        get("/hits").from("203.0.113.7"),
        call("HEAD", "/hits").agent(FIREFOX).from("203.0.113.1"),
        visit(CHROME, "203.0.113.8").header("sec-purpose", "prefetch;prerender"),
        visit(CHROME, "203.0.113.8").header("purpose", "prefetch"),
    ];
    for hit in &hits {
        server.answer(hit).expect(302);
    }
    for (path, agent) in [("/typo", FIREFOX), ("/typo", CHROME), ("/robot", GOOGLEBOT)] {
        server.answer(&get(path).agent(agent)).expect(404);
    }
    // Pages that lead nowhere are no clicks.
    for path in ["/hits+", "/", "/robots.txt", "/health", "/favicon.ico"] {
        server.answer(&get(path).agent(FIREFOX));
    }

    let by = "country,region,city,continent,referrer,browser,os,device,language,utm_source,utm_medium,destination";
    let stats = counted(&server, &format!("/api/v1/links/hits/stats?by={by}"), 12);
    let totals = json!({
        "all": 12, "human": 6,
        "by_reason": { "head": 1, "prefetch": 2, "link_preview": 1, "bot": 2, "datacentre": 0, "burst": 0 },
    });
    assert_eq!(stats["totals"], totals);
    assert_eq!(stats["uniques"], json!({ "estimate": 3, "error_percent": 0.0 }));
    for (name, expected) in [
        ("country", "DE 5, ? 1"),
        ("region", "DE-BE 5, ? 1"),
        ("city", "Berlin, DE-BE 3, ? 3"),
        ("continent", "EU 5, ? 1"),
        ("referrer", "news.example.org 5, ? 1"),
        ("browser", "chrome 3, firefox 2, safari 1"),
        ("os", "windows 3, linux 2, ios 1"),
        ("device", "desktop 5, mobile 1"),
        ("language", "de 5, ? 1"),
        ("utm_source", "link 5, mail 1"),
        ("utm_medium", "e mail 1, ? 5"),
        ("destination", "destination 6"),
    ] {
        assert_eq!(breakdown(&stats, name), expected, "{name}");
    }
    let series = stats["series"].as_array().expect("a series");
    let sum: u64 = series.iter().filter_map(|point| point["all"].as_u64()).sum();
    assert_eq!((series.len(), sum), (30, 12));

    let site = counted(&server, "/api/v1/stats?by=country", 12);
    assert_eq!(site["totals"], totals);
    assert_eq!(site["orphans"]["totals"]["all"], json!(3));
    assert_eq!(site["orphans"]["totals"]["human"], json!(2));
    assert_eq!(site["orphans"]["slugs"][0]["value"], json!("typo"));
    assert_eq!(server.read("/api/v1/links/hits")["clicks"], json!(12));
    assert_eq!(server.read("/api/v1/links")["data"][0]["clicks"], json!(12));
}

#[test]
fn rare_values_are_folded() {
    let mut installation = Installation::new();
    installation.unset("WAYPOST_FOLD_UNDER");
    let server = installation.start();
    make(&server, "fold");
    for (country, clicks) in [("DE", 5), ("FR", 4), ("LI", 1)] {
        for visitor in 0..clicks {
            let visit = get("/fold").agent(FIREFOX).from(&format!("203.0.113.{visitor}"));
            server.answer(&visit.header("cf-ipcountry", country)).expect(302);
        }
    }
    let stats = counted(&server, "/api/v1/links/fold/stats?by=country", 10);
    let expected = json!([
        { "value": "DE", "clicks": 5, "share": 0.5 },
        { "value": null, "clicks": 5, "share": 0.5, "folded_values": 2 },
    ]);
    assert_eq!(stats["breakdowns"]["country"], expected);
}

#[test]
fn a_burst_of_one_visitor_is_no_crowd() {
    let installation = Installation::new();
    let server = installation.start();
    let window = || jiff::Timestamp::now().as_millisecond().div_euclid(WINDOW_MS);
    // Bursts are found within a window; the clicks may be made around the end of one, but not twice.
    let burst = (0..2).find_map(|attempt| {
        let slug = format!("burst{attempt}");
        make(&server, &slug);
        let before = window();
        for _ in 0..25 {
            server.answer(&get(&format!("/{slug}")).agent(FIREFOX).from("203.0.113.9")).expect(302);
        }
        (window() == before).then_some(slug)
    });
    let slug = burst.expect("a burst within a window");
    let stats = counted(&server, &format!("/api/v1/links/{slug}/stats"), 25);
    assert_eq!(stats["totals"]["human"], json!(20));
    assert_eq!(stats["totals"]["by_reason"]["burst"], json!(5));
    assert_eq!(stats["uniques"]["estimate"], json!(1));
}

/// Follows `/slug` from several threads, each so many times.
fn follow(server: &Client, slug: &str, threads: u64, times: u64) {
    thread::scope(|scope| {
        for visitor in 0..threads {
            let visit =
                get(&format!("/{slug}")).agent(FIREFOX).from(&format!("203.0.113.{visitor}"));
            scope.spawn(move || {
                for _ in 0..times {
                    server.answer(&visit).expect(302);
                }
            });
        }
    });
}

#[test]
fn an_orderly_end_loses_no_click() {
    let installation = Installation::new();
    let mut expected = 0;
    for times in [1, 50, 150] {
        let server = installation.start();
        if expected == 0 {
            make(&server, "drained");
        }
        follow(&server, "drained", 4, times);
        expected += 4 * times;
        // Most of these clicks are younger than the second that a batch waits for more.
        let ended = server.stop();
        assert!(ended.status.success(), "{ended:?}");
        let left: Vec<_> = std::fs::read_dir(installation.journal()).expect("a journal").collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let server = installation.start();
    assert_eq!(server.read("/api/v1/links/drained/stats")["totals"]["all"], json!(expected));
    let account = server.read("/api/v1/stats/integrity");
    let of = |name: &str| account[name].as_u64().expect("a number");
    assert_eq!((of("accepted"), of("counted")), (expected, expected));
    assert_eq!((of("lost"), of("in_flight"), of("duplicate"), of("late")), (0, 0, 0, 0));
}
