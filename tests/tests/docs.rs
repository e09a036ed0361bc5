//! The documents say what the program does: their tables are made from the code, their examples
//! are read by it, and their links lead somewhere. What they tell people to type is run by
//! `tests/docs.sh`.
//!
//! `BLESS=1 cargo test -p waypost-tests --test docs` makes the tables anew: read the difference.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use waypost_core::decision::{
    Cache, Card, Cause, Decision, Fixed, GoneReason, LinkPage, NotFoundReason, Redirect,
    RefuseReason, Via,
};
use waypost_core::facts::RequestFacts;
use waypost_core::pages::PasswordState;
use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_core::reply::reply;
use waypost_host::settings::{SETTINGS, Settings};
use waypost_native::metrics::{Metrics, Route};
use waypost_service::cleanup::Report;
use waypost_service::counting::integrity::Integrity;
use waypost_service::destination::DestinationRules;
use waypost_service::draft::{DomainRules, DraftRules, LinkView, ViewFacts, parse_new};
use waypost_service::model::{Link, LinkId};
use waypost_service::problem::{Actor, Kind};
use waypost_service::slug::SlugRules;
use waypost_service::stats::{IntegrityView, Scope, StatsFacts, StatsQuery, answer};
use waypost_wire::agent::{Browser, Device, Os};
use waypost_wire::record::{Preview, RedirectStatus};
use waypost_wire::time::Timestamp;

/// 2026-11-21T07:00:00Z
const NOW: Timestamp = Timestamp(1_795_244_400_000);

/// Tables of one file are written one after the other.
static WRITING: Mutex<()> = Mutex::new(());

#[test]
fn the_table_of_problems_is_that_of_the_code() {
    let rows = Kind::ALL.map(|kind| {
        let about = kind.about();
        let actor = match about.actor {
            Actor::Caller => "you",
            Actor::Dependency => "wait",
            Actor::Us => "the operator",
        };
        vec![
            format!("`{}`", about.name),
            about.status.to_string(),
            about.title.to_owned(),
            actor.to_owned(),
            about.advice.to_owned(),
        ]
    });
    let table = table(&["`type`", "Status", "`title`", "Who can act", "What to do"], &rows);
    generated("docs/api.md", "problems", &table);
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    let rows: Vec<_> = SETTINGS
        .iter()
        .map(|setting| {
            let default = match setting.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let value = format!("`{}`", setting.value);
            vec![format!("`{}`", setting.key), default, value, setting.help.to_owned()]
        })
        .collect();
    let table = table(&["Setting", "Default", "Value", "What it does"], &rows);
    generated("docs/operating.md", "settings", &table);
}

#[test]
fn the_table_of_edge_settings_is_that_of_the_code() {
    let rows: Vec<_> = waypost_outpost::settings::SETTINGS
        .iter()
        .map(|setting| {
            let default = match (setting.default, setting.is_secret) {
                (_, true) => "secret".to_owned(),
                ("", false) => String::new(),
                (default, false) => format!("`{default}`"),
            };
            vec![format!("`{}`", setting.name), default, setting.help.to_owned()]
        })
        .collect();
    let table = table(&["Setting", "Default", "What it does"], &rows);
    generated("docs/edges.md", "edge-settings", &table);
}

#[test]
fn the_table_of_answers_is_that_of_the_code() {
    let policy = policy();
    let facts = RequestFacts { host: "go.example.com", path: "/spring", ..RequestFacts::default() };
    let answers = before_a_link().into_iter().chain(link_is_over()).chain(link_is_open());
    let rows = answers.map(|(case, decision)| {
        let reply = reply(&decision, &facts, &policy);
        let headers: BTreeMap<&str, &str> =
            reply.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let shown =
            |name: &str, text: fn(&str) -> String| headers.get(name).map(|value| text(value));
        let with = [
            shown("content-type", |kind| {
                if kind.contains("html") { "page" } else { "text" }.into()
            }),
            shown("location", |_| "`Location`".into()),
            shown("set-cookie", |_| "`Set-Cookie`".into()),
            shown("allow", |methods| format!("`Allow: {methods}`")),
            shown("retry-after", |seconds| format!("`Retry-After: {seconds}`")),
        ];
        vec![
            case.to_owned(),
            format!("`{}` `{}`", decision.name(), decision.reason()),
            reply.status.to_string(),
            format!("`{}`", headers["cache-control"]),
            with.into_iter().flatten().collect::<Vec<_>>().join(", "),
        ]
    });
    let names =
        ["The first that applies", "`decision` `reason`", "Status", "`Cache-Control`", "With"];
    generated("docs/api.md", "answers", &table(&names, &rows.collect::<Vec<_>>()));
}

/// Decisions without a link, in order of precedence.
fn before_a_link() -> Vec<(&'static str, Decision<'static>)> {
    use Decision::{NotFound, Refuse, Serve, Unavailable};
    let home = Some("https://example.com/".to_owned());
    vec![
        (
            "a method other than `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`",
            Refuse(RefuseReason::Method),
        ),
        ("the host is none of the domains served", Refuse(RefuseReason::WrongHost)),
        ("`/` of a domain with `home`", Serve(Fixed::Home(home))),
        ("`/`", Serve(Fixed::Home(None))),
        ("`/favicon.ico`", Serve(Fixed::Favicon)),
        ("`/robots.txt`", Serve(Fixed::Robots)),
        (
            "the path is malformed: `..`, control characters, broken escapes",
            Refuse(RefuseReason::MalformedPath),
        ),
        ("no slug can look like this", NotFound(NotFoundReason::NoSlug)),
        ("the code has a wrong check character", NotFound(NotFoundReason::CheckCharacter)),
        ("the link could not be read", Unavailable(Cause::ReadFailed)),
        ("what was read is damaged", Unavailable(Cause::DamagedRecord)),
        ("there is no such link", NotFound(NotFoundReason::NoLink)),
    ]
}

/// Decisions on a link that sends nobody to its destination.
fn link_is_over() -> Vec<(&'static str, Decision<'static>)> {
    use Decision::{NotFound, Refuse};
    let gone = |reason, to| Decision::Gone { reason, to };
    let instead = Some("https://example.com/over");
    vec![
        ("blocked for abuse", Refuse(RefuseReason::BlockedAbuse)),
        ("blocked for legal reasons", Refuse(RefuseReason::BlockedLegal)),
        ("deleted, in quarantine", gone(GoneReason::Deleted, None)),
        ("disabled", NotFound(NotFoundReason::Disabled)),
        ("before `starts_at`", NotFound(NotFoundReason::NotYet)),
        ("`expires_at` has come, with `expired_destination`", gone(GoneReason::Expired, instead)),
        ("`expires_at` has come", gone(GoneReason::Expired, None)),
        ("`max_clicks` are used up, with `expired_destination`", gone(GoneReason::UsedUp, instead)),
        ("`max_clicks` are used up", gone(GoneReason::UsedUp, None)),
    ]
}

/// Decisions on a link that is in use.
fn link_is_open() -> Vec<(&'static str, Decision<'static>)> {
    use Decision::{AskPassword, Refuse, Unavailable};
    use RedirectStatus::{Found, MovedPermanently};
    let page = LinkPage {
        destination: "https://example.com/",
        readable_destination: None,
        title: None,
        created_at: NOW,
        varies: false,
    };
    let preview = Preview { title: None, description: None, image: None };
    let card = Card { preview, destination: None };
    let unlocked = Decision::Unlocked { cookie: "wp-1=x".to_owned(), to: "/spring".to_owned() };
    vec![
        ("a link preview agent, and the link has `preview`", Decision::Card(card)),
        ("the link has a password that was not given", AskPassword(PasswordState::Asked)),
        ("a wrong password was given", AskPassword(PasswordState::Wrong)),
        ("too many passwords were tried", AskPassword(PasswordState::TooMany)),
        ("the right password was given", unlocked),
        ("a method that the link's status does not keep", Refuse(RefuseReason::Method)),
        ("`+` behind the address", Decision::Preview(page)),
        (
            "whether there is a use left, or the password is right, could not be found out",
            Unavailable(Cause::OriginFailed),
        ),
        ("a rule matches", redirect(Via::Rule { rule: 0, variant: 0 }, Found)),
        ("iOS, and the link has `ios_destination`", redirect(Via::Ios, Found)),
        ("Android, and the link has `android_destination`", redirect(Via::Android, Found)),
        (
            "the status is 301 or 308, and the link leads everybody to one place",
            redirect(Via::Default, MovedPermanently),
        ),
        ("everything else", redirect(Via::Default, Found)),
    ]
}

/// What clients may remember is what a link's owner promises at most.
fn redirect(via: Via, status: RedirectStatus) -> Decision<'static> {
    let cache = match status.is_permanent() {
        true => Cache::Private { max_age_seconds: policy().edit_delay_seconds },
        false => Cache::NoStore,
    };
    Decision::Redirect(Redirect {
        to: Cow::Borrowed("https://example.com/"),
        status,
        cache,
        via,
        takes_use: false,
    })
}

fn policy() -> Policy {
    let default = |key: &str| SETTINGS.iter().find(|setting| setting.key == key).unwrap().default;
    Policy {
        domains: vec![Domain {
            name: "go.example.com".to_owned(),
            ignore_case: false,
            check: None,
            base_url: "http://go.example.com".to_owned(),
            home: None,
        }],
        any_host: false,
        slashes: false,
        read_through: false,
        edit_delay_seconds: default("edit_delay_seconds").parse().unwrap(),
        https: false,
        unlock_seconds: default("unlock_seconds").parse().unwrap(),
        secrets: Secrets { cookie_key: [0; 32], sticky_key: [0; 16] },
    }
}

#[test]
fn settings_files_are_settings_files() {
    let samples: Vec<_> =
        documents().iter().flat_map(|document| blocks(document, "toml")).collect();
    assert!(!samples.is_empty());
    for sample in samples {
        let table: toml::Table = sample.parse().expect("TOML");
        let nothing = BTreeMap::new();
        let read = Settings::read(&nothing, &nothing, Some(("waypost.toml", &table)));
        assert!(read.is_ok(), "{sample}\n{:?}", read.err());
    }
}

#[test]
fn every_metric_is_told_and_no_other() {
    let documented = code_of_first_column("docs/operating.md", "metrics");
    let real: BTreeSet<String> = families().into_keys().collect();
    assert_eq!(documented, real);
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let families = families();
    let mut samples: BTreeSet<String> = BTreeSet::new();
    for (family, is_histogram) in &families {
        samples.insert(family.clone());
        if *is_histogram {
            samples.extend(["_bucket", "_count", "_sum"].map(|end| format!("{family}{end}")));
        }
    }
    let mut asked = 0;
    for rules in blocks("docs/operating.md", "yaml") {
        for expression in rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
            let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.contains('_') && *word != "histogram_quantile") {
                assert!(samples.contains(word), "{word} in {expression}");
                asked += 1;
            }
        }
    }
    assert!(asked > 0, "no alert was found");
}

/// The names of all metrics as they are scraped, and whether each is a histogram.
fn families() -> BTreeMap<String, bool> {
    let metrics = Metrics::default();
    // What has labels is told once there is a value.
    metrics.request(Route::Follow, 302, Duration::ZERO);
    metrics.decision("redirect", "rule");
    metrics.edge_question("resolve", "found");
    let text = metrics.text(&[]);
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds
        .map(|(name, kind)| match kind {
            "counter" => (format!("{name}_total"), false),
            kind => (name.to_owned(), kind == "histogram"),
        })
        .collect()
}

#[test]
fn every_field_is_told_and_no_other() {
    let fault = fault(&json!({"destination": "https://example.com/", "qqqqqqqqqqqq": 1}));
    assert_eq!(code_of_first_column("docs/api.md", "fields"), listed(&fault));
    let answered: BTreeSet<String> = keys(&view(&full_link()));
    let told: BTreeSet<String> = ["fields", "answer-fields"]
        .iter()
        .flat_map(|section| code_of_first_column("docs/api.md", section))
        .filter(|name| !["override_quarantine", "password"].contains(&name.as_str()))
        .collect();
    assert_eq!(told, answered);
}

#[test]
fn every_condition_is_told_and_no_other() {
    let when = |when: Value| json!({"destination": "https://example.com/", "rules": [{"when": when, "destination": "https://example.com/"}]});
    let fault = fault(&when(json!({"qqqqqqqqqqqq": 1})));
    let section = section("docs/api.md", "conditions");
    assert_eq!(code_of_first_column("docs/api.md", "conditions"), listed(&fault));
    for row in rows(&section) {
        let name = code(&row[0]).concat();
        let example: Value = serde_json::from_str(&code(&row[2]).concat()).expect("an example");
        assert_eq!(keys(&example), BTreeSet::from([name.clone()]));
        let refused = parse_new(when(example).to_string().as_bytes(), &rules(), NOW).err();
        assert_eq!(refused, None, "{name}");
    }
    let words = [
        ("device", Device::ALL.iter().map(|device| device.name()).collect::<BTreeSet<_>>()),
        ("os", Os::ALL.iter().map(|os| os.name()).collect()),
        ("browser", Browser::ALL.iter().map(|browser| browser.name()).collect()),
    ];
    for (name, words) in words {
        let rows = rows(&section);
        let row = rows.iter().find(|row| code(&row[0]) == [name]).expect("a row");
        assert_eq!(code(&row[1]).iter().map(String::as_str).collect::<BTreeSet<_>>(), words);
    }
}

#[test]
fn every_breakdown_is_told_and_no_other() {
    let problem = StatsQuery::parse(Some("by=qqq"), Scope::Link, NOW).expect_err("a fault");
    let expected = problem.errors[0].expected.trim_end_matches(", with commas between");
    let offered: BTreeSet<String> = expected.split(", ").map(str::to_owned).collect();
    let told: BTreeSet<String> = code(&section("docs/api.md", "breakdowns")).into_iter().collect();
    assert_eq!(told, offered);
}

#[test]
fn examples_are_what_the_code_writes_and_reads() {
    let query = StatsQuery::parse(None, Scope::Link, NOW).expect("a question");
    let facts = StatsFacts { fold_under: 5, sealed_until: NOW, link: None };
    let statistics = json!(answer(&query, &facts, &[]).expect("an answer"));
    let written = [
        ("short_url", keys(&view(&link(&json!({"destination": "https://example.com/"}))))),
        ("series", keys(&statistics)),
        ("identity", keys(&json!(IntegrityView::new(Integrity::default(), NOW)))),
        ("dry_run", keys(&json!(Report::default()))),
    ];
    let mut met = BTreeSet::new();
    for text in documents().iter().flat_map(|document| blocks(document, "json")) {
        let example: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        for (mark, keys_of_code) in &written {
            if example.get(mark).is_some() {
                assert_eq!(keys(&example), *keys_of_code);
                met.insert(*mark);
            }
        }
        if example.get("when").is_some() {
            link(&json!({"destination": "https://example.com/", "rules": [example]}));
        } else if let Some(name) = example.get("type") {
            let is_it = |kind: &&Kind| *name == json!(kind.uri());
            let about = Kind::ALL.iter().find(is_it).expect("a problem").about();
            assert_eq!(example["title"], json!(about.title));
            assert_eq!(example["status"], json!(about.status));
        }
    }
    assert_eq!(met.len(), written.len(), "{met:?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut followed = 0;
    for document in documents() {
        let text = read(&document);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
        {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&document).parent().unwrap_or(Path::new(""));
            let file = if path.is_empty() { PathBuf::from(&document) } else { folder.join(path) };
            let whole = repository().join(&file);
            assert!(whole.exists(), "{document}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&whole).expect("a document");
                assert!(anchors(&text).contains(anchor), "{document}: {target}");
            }
            followed += 1;
        }
    }
    assert!(followed > 0);
}

/// The anchors that headings get: lower case, hyphens for spaces, no punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a repository").to_owned()
}

/// The handwritten documents, from the repository's folder.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/"] {
        for entry in fs::read_dir(repository().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            if name.ends_with(".md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    found
}

fn read(document: &str) -> String {
    fs::read_to_string(repository().join(document))
        .unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Compares what stands between two markers with what the code says; with `BLESS=1`, writes it.
fn generated(document: &str, name: &str, expected: &str) {
    // A table that differs must not keep the others from being compared.
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(document);
    let (start, end) = (format!("<!-- generated: {name} -->\n"), "<!-- /generated -->");
    let (before, rest) =
        text.split_once(&start).unwrap_or_else(|| panic!("{document} has no {start}"));
    let (found, after) = rest.split_once(end).expect("an end");
    if std::env::var_os("BLESS").is_some() {
        let written = format!("{before}{start}\n{expected}\n{end}{after}");
        fs::write(repository().join(document), written).expect("written");
        return;
    }
    assert_eq!(
        found.trim(),
        expected.trim(),
        "{document}: run with BLESS=1 and read the difference"
    );
}

fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| if cell.is_empty() { " |".to_owned() } else { format!(" {cell} |") };
    let line = |cells: &[String]| format!("|{}\n", cells.iter().map(cell).collect::<String>());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rule: Vec<String> = names.iter().map(|_| "---".to_owned()).collect();
    let escaped =
        |row: &Vec<String>| row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>();
    [line(&names), line(&rule)]
        .into_iter()
        .chain(rows.iter().map(|row| line(&escaped(row))))
        .collect()
}

/// What stands between `<!-- name -->` and `<!-- /name -->`.
fn section(document: &str, name: &str) -> String {
    let text = read(document);
    let inner = text.split_once(&format!("<!-- {name} -->"));
    let inner = inner.and_then(|(_, rest)| rest.split_once(&format!("<!-- /{name} -->")));
    inner.unwrap_or_else(|| panic!("{document} has no section {name}")).0.to_owned()
}

/// The cells of a table's rows, without its head.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// All that a text has in backquotes.
fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn code_of_first_column(document: &str, name: &str) -> BTreeSet<String> {
    let names: Vec<String> =
        rows(&section(document, name)).iter().flat_map(|row| code(&row[0])).collect();
    let distinct: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(distinct.len(), names.len(), "{document}: one is there twice in {name}");
    distinct
}

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let fence = format!("\n```{language}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned()))
        .collect()
}

/// The names that a fault about an unknown one lists.
fn listed(expected: &str) -> BTreeSet<String> {
    expected.strip_prefix("only ").expect("a list").split(", ").map(str::to_owned).collect()
}

fn fault(body: &Value) -> String {
    let problem = parse_new(body.to_string().as_bytes(), &rules(), NOW).expect_err("a fault");
    problem.errors[0].expected.clone()
}

fn rules() -> DraftRules {
    let name = "go.example.com".to_owned();
    DraftRules {
        destination: DestinationRules::default(),
        domains: vec![DomainRules {
            name: name.clone(),
            ignore_case: false,
            slug: SlugRules::default(),
        }],
        default_domain: name,
        redirect_status_default: 302,
    }
}

fn link(body: &Value) -> Link {
    let draft = parse_new(body.to_string().as_bytes(), &rules(), NOW)
        .unwrap_or_else(|problem| panic!("{problem:?}"));
    draft.into_link(LinkId(1), "spring".to_owned(), None, NOW)
}

/// A link whose answer has every field there is.
fn full_link() -> Link {
    let link = link(&json!({"destination": "https://xn--pypal-4ve.com/"}));
    Link { deleted_at: Some(NOW), quarantine_until: Some(NOW), ..link }
}

fn view(link: &Link) -> Value {
    let facts = ViewFacts {
        base_url: "https://go.example.com",
        clicks: 0,
        edits_visible_within_seconds: 0,
        now: NOW,
    };
    json!(LinkView::new(link, &facts))
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().map(Map::keys).into_iter().flatten().cloned().collect()
}
