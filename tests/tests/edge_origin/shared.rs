use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use waypost_core::policy::{Domain, Policy};
use waypost_host::ambient::Ambient;
use waypost_host::plan;
use waypost_host::settings::Settings;
use waypost_native::attempts::Attempts;
use waypost_native::edge::Edges;
use waypost_native::host::NativeHost;
use waypost_native::limits::Buckets;
use waypost_native::metrics::Metrics;
use waypost_native::records::Records;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_outpost::settings::EdgeSettings;
use waypost_service::links::Service;
use waypost_shell::cache::CacheLimits;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::origin::{Question, Unlocked};

use crate::asking::{Edge, NOW, create, packed, post, printed, server, waypost};

#[tokio::test]
async fn tries_at_a_password_add_up_at_edges_and_here() {
    let server = server().await;
    let edge = Edge::of(&server);
    create(&server, "abc", json!({"password": "right"})).await;
    create(&server, "other", json!({"password": "right"})).await;
    let here = Some(u128::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped()));
    for _ in 0..9 {
        assert_eq!(edge.unlock("go.example/abc", "wrong", here).await, Unlocked::Wrong);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(server.send("POST /abc", &form, "password=wrong").await.status, 403);
    // Ten a minute: the right one is not even looked at any more.
    assert_eq!(server.send("POST /abc", &form, "password=right").await.status, 429);
    assert_eq!(edge.unlock("go.example/abc", "right", here).await, Unlocked::TooMany);
    let elsewhere = Some(u128::from(Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped()));
    assert_eq!(edge.unlock("go.example/abc", "right", elsewhere).await, Unlocked::Right);
    assert_eq!(edge.unlock("go.example/other", "right", here).await, Unlocked::Right);
    server.stop().await;
}

#[tokio::test]
async fn questions_are_counted_by_kind_and_outcome() {
    let server = server().await;
    let edge = Edge::of(&server);
    let id = create(&server, "abc", json!({"max_clicks": 1, "password": "right"})).await;
    for key in ["go.example/abc", "go.example/abc", "go.example/none"] {
        edge.ask(&Question::Resolve { key }, NOW).await;
    }
    for password in ["wrong", "right"] {
        edge.unlock("go.example/abc", password, None).await;
    }
    for _ in 0..3 {
        edge.consume(id, NOW).await;
    }
    edge.ask(&Question::State, NOW).await;
    let batch = packed(7, id, 1, NOW);
    edge.clicks(vec![&batch], NOW).await;
    edge.clicks(vec![&batch, b"none"], NOW).await;
    post(&server, "POST /api/v1/edge/state", "", b"\x01").await;
    post(&server, "GET /api/v1/edge/state", "", b"").await;
    post(&server, "POST /api/v1/edge/other", "", b"").await;
    let text = server.send("GET /metrics", &[], "").await.text();
    let counted: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("edge_questions_total")?.rsplit_once(' '))
        .collect();
    let wanted = [
        (("clicks", "partly-stored"), "1"),
        (("clicks", "stored"), "1"),
        (("consume", "exhausted"), "2"),
        (("consume", "taken"), "1"),
        (("none", "not-found"), "1"),
        (("resolve", "found"), "2"),
        (("resolve", "missing"), "1"),
        (("state", "method-not-allowed"), "1"),
        (("state", "told"), "1"),
        (("state", "unauthenticated"), "1"),
        (("unlock", "right"), "1"),
        (("unlock", "wrong"), "1"),
    ];
    let wanted: BTreeMap<String, &str> = wanted
        .map(|((question, outcome), count)| {
            (format!("{{question=\"{question}\",outcome=\"{outcome}\"}}"), count)
        })
        .into();
    assert_eq!(
        counted.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<BTreeMap<_, _>>(),
        wanted
    );
    let answered = "http_request_duration_seconds_count{route=\"Edge\",status=\"200\"} 11";
    assert!(text.lines().any(|line| line == answered), "{text}");
    assert!(!text.contains("abc") && !text.contains("go.example"), "no key is a label");
    server.stop().await;
}

/// Questions to a server whose database is not there any more.
async fn without_database() -> (Edges, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = BTreeMap::from([
        ("data_dir".to_owned(), directory.path().display().to_string()),
        ("public_url".to_owned(), "https://go.example".to_owned()),
    ]);
    let settings = Settings::read(&flags, &BTreeMap::new(), None).expect("settings");
    let ambient = Ambient::with_clock(|| NOW);
    let path = directory.path().join(FILE_NAME);
    let db = Db::open(&path, &DbOptions::default()).expect("a database");
    let secrets = db.secrets(&ambient).await.expect("keys");
    let limits = CacheLimits { bytes_max: 1 << 20, missing_ttl_ms: 1_000, age_max_ms: i64::MAX };
    let records = Arc::new(Records::new(db.clone(), ambient.clone(), limits));
    let (ids, codes) = plan::generators(&settings, &secrets).expect("a machine");
    let service = Service::new(
        NativeHost {
            ambient,
            db: db.clone().into(),
            limits: Buckets::Own(Arc::default()),
            records,
        },
        plan::policy(&settings, &secrets),
        plan::draft_rules(&settings, &secrets),
        plan::service_settings(&settings),
        ids,
        codes,
    );
    db.close().await;
    let edges = Edges {
        service: Arc::new(service),
        attempts: Arc::new(Attempts::default()),
        key: OriginKey::new(secrets.origin),
        metrics: Arc::new(Metrics::default()),
    };
    (edges, directory)
}

#[tokio::test]
async fn without_its_database_the_origin_fails_and_denies_nothing() {
    let (edges, _directory) = without_database().await;
    let batch = packed(7, 1, 1, NOW);
    for question in [
        Question::Clicks { batches: vec![&batch] },
        Question::Consume { link_id: 1 },
        Question::Resolve { key: "go.example/abc" },
        Question::State,
        Question::Unlock { key: "go.example/abc", password: "right", client_ip: None },
    ] {
        let (path, body) = (question.path(), question.encode());
        let (signature, _) = edges.key.sign_question(path, &body, NOW);
        let request = Request::post(path).header(HEADER, signature).body(Bytes::from(body));
        let answer = edges.answer(request.expect("a request"), "r1".to_owned()).await;
        assert_eq!(answer.status(), 503, "{question:?}");
        assert_eq!(answer.headers()["retry-after"], "5");
        assert!(!answer.headers().contains_key(HEADER));
        let document: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(document["type"], "urn:waypost:problem:unavailable");
    }
    let text = edges.metrics.text(&[]);
    let failed = text.lines().filter(|line| line.contains("outcome=\"unavailable\"} 1"));
    assert_eq!(failed.count(), 5, "{text}");
}

const DOMAINS: &str = r#"
    public_url = "https://go.example:8443"
    any_host = true
    slug_slashes = true
    edit_delay_seconds = 7
    unlock_seconds = 70
    [[domains]]
    name = "go.example"
    url = "https://go.example:8443"
    home = "https://www.example.com/a?b=c d"
    [[domains]]
    name = "plain.example"
    [[domains]]
    name = "qr.example"
    url = "http://qr.example:81"
    ignore_case = true
    [[domains]]
    name = "brought.example"
    check_characters = false
"#;

/// All of a policy that can be compared; check characters by what they refuse.
fn told(policy: &Policy) -> Value {
    let domain = |domain: &Domain| {
        let check = domain.check.as_ref().map(|check| check.character("aB3dE6g"));
        let Domain { name, base_url, ignore_case, home, .. } = domain;
        json!([name, base_url, ignore_case, home, check])
    };
    let domains: Vec<Value> = policy.domains.iter().map(domain).collect();
    let keys = json!([policy.secrets.cookie_key, policy.secrets.sticky_key]);
    json!([
        domains,
        policy.any_host,
        policy.slashes,
        policy.edit_delay_seconds,
        policy.https,
        policy.unlock_seconds,
        keys
    ])
}

#[tokio::test]
async fn what_an_edge_is_told_makes_it_decide_as_its_origin() {
    let server = server().await;
    let file = server.directory.path().join("w.toml");
    std::fs::write(&file, DOMAINS).expect("written");
    let file = file.to_str().expect("a path");
    let config = waypost(&["edge", "config", "--format", "spin", "--config", file]);
    let mut variables: toml::Table =
        String::from_utf8(config).expect("text").parse().expect("TOML");
    let keys = String::from_utf8(printed(&server, &["edge", "keys"])).expect("text");
    variables.insert("waypost_edge_keys".to_owned(), keys.into());
    let variable = |name: &str| Some(variables.get(name)?.as_str()?.to_owned());
    let edge = EdgeSettings::read(variable).expect("settings").policy;

    let table: toml::Table = DOMAINS.parse().expect("TOML");
    let none = BTreeMap::new();
    let settings = Settings::read(&none, &none, Some(("w.toml", &table))).expect("settings");
    let directory = server.stop().await;
    let path = directory.path().join(FILE_NAME);
    let db = Db::open(&path, &DbOptions::default()).expect("a database");
    let secrets = db.secrets(&Ambient::system()).await.expect("keys");
    let origin = plan::policy(&settings, &secrets);
    assert_eq!(told(&edge), told(&origin));
    assert_eq!(origin.domains.len(), 4);
}
