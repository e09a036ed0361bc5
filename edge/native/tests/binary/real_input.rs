//! Real addresses and real user agents, against a count and a judgement of the test's own.
//!
//! `WAYPOST_REAL_URLS` names another list of addresses than the stored one, one a line:
//! `tests/bench/real-input.sh` runs this with tens of thousands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use url::{Host, Url};
use woothee::parser::Parser;

use crate::http::{Call, Client, call, create};
use crate::process::{Installation, wait_for};

const THREADS: usize = 6;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(path)
}

fn lines(path: &Path) -> Vec<String> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// The addresses: real ones, then odd ones.
fn addresses() -> Vec<String> {
    let list = std::env::var_os("WAYPOST_REAL_URLS");
    let mut addresses = lines(&list.map_or_else(|| data("urls/homepages.txt"), PathBuf::from));
    let odd = fs::read(data("urls/odd.json")).expect("a list");
    addresses.extend(serde_json::from_slice::<Vec<String>>(&odd).expect("a list of texts"));
    addresses
}

/// Why an address cannot be a destination, in words of the refusal; `None` if it can. Plainer than
/// the program's rules, and right for these addresses.
fn refusal(address: &str) -> Option<&'static str> {
    let (scheme, rest) = address.split_once(':').unwrap_or_default();
    let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
    let is_word = scheme.starts_with(char::is_alphabetic) && !scheme.contains(['.', '/']);
    let is_web = ["http", "https"].contains(&&*scheme.to_lowercase());
    if address.contains('\\') {
        return Some("backslash");
    }
    if address.contains(char::is_control) {
        return Some("control character");
    }
    if address.contains(['\u{ad}', '\u{202e}']) {
        return Some("invisible character");
    }
    if address.is_empty() {
        return Some("is empty");
    }
    if address.trim() != address {
        return Some("white space");
    }
    if !is_word {
        return Some("does not start with a scheme");
    }
    if !is_web {
        return Some(if ["javascript", "data"].contains(&scheme) {
            "can run code"
        } else {
            "is not allowed"
        });
    }
    if !rest.starts_with("//") {
        return Some("there is no //");
    }
    if rest.starts_with("///") || authority.is_empty() {
        return Some("there is no host");
    }
    if authority.contains('@') {
        return Some("user name");
    }
    let Ok(url) = Url::parse(address) else {
        return Some("invalid port");
    };
    match url.host().expect("a host") {
        Host::Domain(name) if name.ends_with('.') => Some("ends with a dot"),
        Host::Domain(name) if name == "localhost" || name.ends_with(".local") => {
            Some("local network")
        }
        Host::Domain(name) if !name.contains('.') => Some("has no domain"),
        Host::Domain("bit.ly") => Some("link shortener"),
        Host::Domain(_) => None,
        Host::Ipv4(address) if is_inside(address.into()) => {
            Some("not an address of the public internet")
        }
        Host::Ipv4(address) => (address.to_string() != authority).then_some("unusual spelling"),
        Host::Ipv6(address) => {
            is_inside(address.into()).then_some("not an address of the public internet")
        }
    }
}

fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Does something for every item, from several threads; the answers in the order of the items.
fn from_several<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let act = &act;
    let chunk = items.len().div_ceil(THREADS).max(1);
    thread::scope(|scope| {
        let threads =
            items.chunks(chunk).map(|items| scope.spawn(move || items.iter().map(act).collect()));
        let threads: Vec<thread::ScopedJoinHandle<'_, Vec<R>>> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    })
}

/// A link and where it must lead.
#[derive(Debug)]
struct Link {
    slug: String,
    location: String,
}

/// Makes a link to every address that can have one, and sees the others refused.
fn create_all(server: &Client, addresses: &[String]) -> Vec<Link> {
    let answers =
        from_several(addresses, |address| server.api(create(&json!({ "destination": address }))));
    let mut links = Vec::new();
    for (address, answer) in addresses.iter().zip(answers) {
        match refusal(address) {
            None => {
                let link = answer.expect(201).json();
                let slug = link["slug"].as_str().expect("a slug").to_owned();
                let location = String::from(Url::parse(address).expect("a URL"));
                assert_eq!(link["destination"], json!(location), "{address:?}");
                links.push(Link { slug, location });
            }
            Some(reason) => {
                let problem = answer.expect(422).json();
                assert_eq!(problem["type"], json!("urn:waypost:problem:invalid-request"));
                let errors = problem["errors"].as_array().expect("errors");
                let [error] = &errors[..] else { panic!("{address:?}: {problem}") };
                assert_eq!(error["pointer"], json!("/destination"), "{address:?}");
                let detail = error["detail"].as_str().expect("a text");
                assert!(detail.contains(reason), "{address:?}: {detail:?} does not say {reason:?}");
                assert_ne!(error["expected"], json!(""), "{address:?}");
            }
        }
    }
    links
}

/// A user agent: which class its clicks are of, by the list it stands in.
#[derive(Debug)]
struct Agent {
    text: String,
    class: &'static str,
    /// It stands among people, where differences of opinion are stored.
    among_people: bool,
}

/// All stored user agents, with what is known to differ from the lists they stand in.
fn agents() -> Vec<Agent> {
    let class = |list: &str| match list {
        "people" => "human",
        "previews" => "link_preview",
        _ => "bot",
    };
    let exceptions = lines(&data("agents/exceptions.txt"));
    let exceptions: HashMap<(&str, &str), &str> = exceptions
        .iter()
        .filter_map(|line| {
            let mut parts = line.splitn(3, '\t');
            let (list, ours, text) = (parts.next()?, parts.next()?, parts.next()?);
            Some(((list, text), ours))
        })
        .collect();
    let mut agents = Vec::new();
    for list in ["people", "previews", "robots"] {
        for text in lines(&data(&format!("agents/{list}.txt"))) {
            let ours = exceptions.get(&(list, &*text)).copied().unwrap_or(list);
            agents.push(Agent { class: class(ours), among_people: list == "people", text });
        }
    }
    agents
}

/// A visit that is made.
#[derive(Debug)]
struct Visit<'a> {
    link: &'a Link,
    agent: &'a Agent,
    address: String,
    method: &'static str,
    prefetch: bool,
    do_not_track: bool,
    /// The header, and the host in it.
    referrer: (&'static str, &'static str),
    /// The header, and the language most wanted in it.
    language: (&'static str, &'static str),
    country: &'static str,
}

const REFERRERS: [(&str, &str); 5] = [
    ("", "?"),
    ("https://www.google.com/", "www.google.com"),
    ("http://Forum.Example.org:8080/thread?id=7#post", "forum.example.org"),
    ("https://news.example.net", "news.example.net"),
    ("android-app://com.example.reader/", "com.example.reader"),
];

const LANGUAGES: [(&str, &str); 5] = [
    ("", "?"),
    ("en-US,en;q=0.9", "en"),
    ("de", "de"),
    ("fr;q=0.3, pt-BR;q=0.8, *;q=0.1", "pt"),
    ("zh-Hant-TW, zh;q=0.9", "zh"),
];

/// Every user agent at least once, every link about four times.
fn visits<'a>(links: &'a [Link], agents: &'a [Agent]) -> Vec<Visit<'a>> {
    let mut random = fastrand::Rng::with_seed(7);
    let count = (4 * links.len()).max(agents.len());
    (0..count)
        .map(|number| Visit {
            link: &links[(number + random.usize(0..3)) % links.len()],
            agent: &agents[number % agents.len()],
            address: format!("203.0.{}.{}", random.u8(..), random.u8(0..2)),
            method: if random.u8(0..20) == 0 { "HEAD" } else { "GET" },
            prefetch: random.u8(0..20) == 0,
            do_not_track: random.u8(0..10) == 0,
            referrer: REFERRERS[random.usize(0..REFERRERS.len())],
            language: LANGUAGES[random.usize(0..LANGUAGES.len())],
            country: ["DE", "BR", "TW", "?"][random.usize(0..4)],
        })
        .collect()
}

impl Visit<'_> {
    fn call(&self) -> Call {
        let mut call = call(self.method, &format!("/{}", self.link.slug))
            .agent(&self.agent.text)
            .from(&self.address);
        for (name, value, is_sent) in [
            ("referer", self.referrer.0, !self.referrer.0.is_empty()),
            ("accept-language", self.language.0, !self.language.0.is_empty()),
            ("cf-ipcountry", self.country, self.country != "?"),
            ("sec-purpose", "prefetch", self.prefetch),
            ("dnt", "1", self.do_not_track),
        ] {
            if is_sent {
                call = call.header(name, value);
            }
        }
        call
    }

    fn class(&self) -> &'static str {
        match self {
            Self { method: "HEAD", .. } => "head",
            Self { prefetch: true, .. } => "prefetch",
            Self { agent, .. } => agent.class,
        }
    }
}

/// How many visits have each value.
fn tally<'v, T: Ord>(values: impl IntoIterator<Item = T> + 'v) -> BTreeMap<T, u64> {
    let mut tally = BTreeMap::new();
    for value in values {
        *tally.entry(value).or_default() += 1;
    }
    tally
}

/// A breakdown in statistics: clicks by value, `?` for what is not known.
fn breakdown(statistics: &Value, name: &str) -> BTreeMap<String, u64> {
    let entries = statistics["breakdowns"][name].as_array().expect("a breakdown");
    let pair = |entry: &Value| {
        let value = entry["value"].as_str().unwrap_or("?").to_owned();
        (value, entry["clicks"].as_u64().expect("a number"))
    };
    entries.iter().map(pair).collect()
}

fn compare_classes(statistics: &Value, visits: &[Visit<'_>]) {
    let totals = &statistics["totals"];
    let mut found: BTreeMap<&str, u64> =
        BTreeMap::from([("human", totals["human"].as_u64().expect("a number"))]);
    for (reason, clicks) in totals["by_reason"].as_object().expect("reasons") {
        found.insert(reason, clicks.as_u64().expect("a number"));
    }
    found.retain(|_, clicks| *clicks > 0);
    assert_eq!(found, tally(visits.iter().map(Visit::class)));
}

/// What visitors say of themselves in so many words.
fn compare_words(statistics: &Value, people: &[&Visit<'_>]) {
    let of = |value: fn(&Visit<'_>) -> &'static str| {
        tally(people.iter().map(|visit| value(visit).to_owned()))
    };
    for (name, expected) in [
        ("referrer", of(|visit| visit.referrer.1)),
        ("language", of(|visit| visit.language.1)),
        ("country", of(|visit| visit.country)),
    ] {
        assert_eq!(breakdown(statistics, name), expected, "{name}");
    }
    let visitors = people.iter().filter(|visit| !visit.do_not_track);
    let visitors: BTreeSet<_> = visitors.map(|visit| (&visit.address, &visit.agent.text)).collect();
    let estimate = statistics["uniques"]["estimate"].as_f64().expect("a number");
    let error = (estimate / visitors.len() as f64 - 1.0).abs();
    // Four standard errors.
    assert!(error < 0.064, "{estimate} for {} visitors", visitors.len());
}

/// A second opinion on a user agent; empty where it has none that could be compared.
fn opinion(dimension: &str, parser: &Parser, agent: &str) -> &'static str {
    let Some(theirs) = parser.parse(agent) else {
        return "";
    };
    match (dimension, theirs.name, theirs.os, theirs.category) {
        ("browser", "Chrome", ..) => "chrome",
        ("browser", "Edge", ..) => "edge",
        ("browser", "Firefox", ..) => "firefox",
        ("browser", "Opera", ..) => "opera",
        ("browser", "Safari", ..) => "safari",
        ("os", _, "Android", _) => "android",
        ("os", _, "ChromeOS", _) => "chromeos",
        ("os", _, "iOS" | "iPad" | "iPhone" | "iPod", _) => "ios",
        ("os", _, "Linux", _) => "linux",
        ("os", _, "Mac OSX", _) => "macos",
        ("os", _, os, _) if os.starts_with("Windows") => "windows",
        ("device", .., "pc") => "desktop",
        ("device", .., "mobilephone" | "smartphone") => "handheld",
        _ => "",
    }
}

/// What a second parser says of the user agents: its clicks of a value, and those of which it says
/// nothing, must be what there is.
fn compare_agents(statistics: &Value, people: &[&Visit<'_>]) {
    let parser = Parser::new();
    let stored = lines(&data("agents/disagreements.txt"));
    let mut known: HashMap<(&str, &str), &str> = HashMap::new();
    for line in &stored {
        let mut parts = line.splitn(4, '\t');
        let (Some(what), Some(ours), _, Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            panic!("{line}");
        };
        known.insert((what, text), ours);
    }
    for dimension in ["browser", "os", "device"] {
        let value = |visit: &&Visit<'_>| {
            let agent = match visit.agent.among_people {
                true => visit.agent.text.as_str(),
                false => "",
            };
            let ours = known.get(&(dimension, agent)).copied();
            ours.unwrap_or_else(|| opinion(dimension, &parser, agent)).to_owned()
        };
        let mut expected = tally(people.iter().map(value));
        let silent = expected.remove("").unwrap_or_default();
        assert!(silent * 3 < people.len() as u64, "{dimension}: {silent} of {}", people.len());
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for (value, clicks) in breakdown(statistics, dimension) {
            let value =
                if ["mobile", "tablet"].contains(&&*value) { "handheld".to_owned() } else { value };
            *found.entry(value).or_default() += clicks;
        }
        for (value, clicks) in &expected {
            let found = found.get(value).copied().unwrap_or_default();
            assert!(*clicks <= found, "{dimension} {value}: {found}, but {clicks} are known");
        }
        let sum: u64 = found.values().sum();
        assert_eq!(sum, expected.values().sum::<u64>() + silent, "{dimension}");
    }
}

/// The clicks of each link, by slug.
fn clicks_of_links(server: &Client) -> BTreeMap<String, u64> {
    let clicks = |link: &Value| {
        let slug = link["slug"].as_str().expect("a slug").to_owned();
        (slug, link["clicks"].as_u64().expect("a number"))
    };
    server.links().iter().map(clicks).collect()
}

#[test]
fn real_addresses_and_agents_are_kept_and_counted_right() {
    let installation = Installation::new();
    let server = installation.start();
    let addresses = addresses();
    let since = Instant::now();
    let links = create_all(&server, &addresses);
    let creation = since.elapsed();
    assert!(links.len() * 10 > addresses.len() * 9, "{} of {}", links.len(), addresses.len());

    let agents = agents();
    let visits = visits(&links, &agents);
    let since = Instant::now();
    from_several(&visits, |visit| {
        let followed = server.answer(&visit.call()).expect(302);
        assert_eq!(followed.to(), visit.link.location);
    });
    let following = since.elapsed();
    let path = "/api/v1/stats?limit=500&by=browser,os,device,referrer,language,country";
    let statistics = wait_for("all clicks", || {
        let statistics = server.read(path);
        (statistics["totals"]["all"] == json!(visits.len())).then_some(statistics)
    });
    eprintln!(
        "{} of {} addresses became links in {creation:.1?}; {} visits in {following:.1?}",
        links.len(),
        addresses.len(),
        visits.len()
    );

    compare_classes(&statistics, &visits);
    let people: Vec<&Visit<'_>> = visits.iter().filter(|visit| visit.class() == "human").collect();
    compare_words(&statistics, &people);
    compare_agents(&statistics, &people);
    let mut expected: BTreeMap<String, u64> =
        links.iter().map(|link| (link.slug.clone(), 0)).collect();
    for visit in &visits {
        *expected.entry(visit.link.slug.clone()).or_default() += 1;
    }
    assert_eq!(clicks_of_links(&server), expected);
    let account = server.read("/api/v1/stats/integrity");
    assert_eq!(
        (&account["accepted"], &account["counted"]),
        (&json!(visits.len()), &json!(visits.len()))
    );
}
