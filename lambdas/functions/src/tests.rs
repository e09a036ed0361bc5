//! Events as AWS sends them (tests/events), through each function's handler, over a host in memory.

use std::cell::RefCell;

use crate::aggregate;
use crate::api::Api;
use crate::cleanup::{Work, handle};
use crate::export::{self, Order};
use aws_lambda_events::sqs::SqsEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::{Body, Request};
use serde_json::{Value, json};
use waypost_service::api::ApiLimits;
use waypost_service::counting::inbox::Inbox;
use waypost_service::edge::Gate;
use waypost_service::keys::AdminKey;
use waypost_service::seams::{Files, StoreError};
use waypost_service::testing::{MemoryHost, service};
use waypost_wire::click::{Batch, BatchError, BatchWriter, Click};
use waypost_wire::key::LinkKey;
use waypost_wire::origin::Question;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::state;
use waypost_wire::time::Timestamp;

const NOW: Timestamp = Timestamp(1_795_272_013_500);
const ORIGIN: OriginKey = OriginKey::new([7; 32]);

/// Knows no records and lets everybody try.
struct Open;

impl Gate for Open {
    type Record = Vec<u8>;

    async fn record(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn admits_attempt(
        &self,
        _: &LinkKey,
        _: Option<u128>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }
}

fn api() -> Api<MemoryHost, Open> {
    let mut service = service(MemoryHost::new(NOW)).expect("a service");
    let key = AdminKey::new("an-admin-key-of-twenty-characters");
    service.settings.admin_key = Some(key.expect("a key"));
    Api { service, gate: Open, origin_key: ORIGIN }
}

fn request(event: &str) -> Request {
    lambda_http::request::from_str(event).expect("an event of an HTTP API")
}

fn event(name: &str) -> String {
    let path = format!("{}/../../tests/events/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("an event")
}

fn text(body: &Body) -> &str {
    match body {
        Body::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_is_created() {
    let api = api();
    let answer = api.answer(request(&event("http-create.json"))).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-request-id"].len(), 16);
    let link: Value = serde_json::from_str(text(answer.body())).expect("JSON");
    assert_eq!(link["short_url"], "https://s.example/hello");
    assert_eq!(link["destination"], "https://example.com/");
    let again = api.answer(request(&event("http-create.json"))).await;
    assert_eq!((again.status().as_u16(), text(again.body())), (201, text(answer.body())));
}

/// What headers say of a client, the client can have made up.
#[tokio::test]
async fn a_client_is_who_api_gateway_heard_from() {
    let mut api = api();
    let limits = ApiLimits { requests_per_minute: 0, wrong_keys_per_quarter_hour: 2 };
    api.service.settings.api_limits = limits;
    let right = event("http-create.json");
    let wrong = right.replace("an-admin-key", "no-admin-key");
    let (ip, header) = (r#""sourceIp": "203.0.113.9""#, r#""x-forwarded-for": "203.0.113.9""#);
    assert!(wrong.contains(ip) && wrong.contains(header));
    let from = |event: &str, source: &str, forwarded: &str| {
        let event = event.replace(ip, &format!(r#""sourceIp": "{source}""#));
        event.replace(header, &format!(r#""x-forwarded-for": "{forwarded}""#))
    };
    for (event, source, forwarded, status) in [
        (&wrong, "203.0.113.9", "192.0.2.1", 401),
        (&wrong, "203.0.113.9", "192.0.2.2", 401),
        (&wrong, "203.0.113.9", "192.0.2.3", 429),
        (&right, "203.0.113.9", "192.0.2.4", 429),
        (&right, "203.0.113.8", "203.0.113.9", 201),
        (&wrong, "2001:db8::1", "192.0.2.1", 401),
        (&wrong, "2001:db8::2", "192.0.2.1", 401),
        (&right, "2001:db8::3", "192.0.2.1", 429),
        (&right, "2001:db8:0:1::1", "192.0.2.1", 201),
    ] {
        let answer = api.answer(request(&from(event, source, forwarded))).await;
        assert_eq!(answer.status(), status, "{source} {forwarded}");
    }
}

/// API Gateway decodes the path of a request, function URLs do not.
#[tokio::test]
async fn slashes_of_a_slug_may_have_been_decoded_on_the_way() {
    let api = api();
    let create = event("http-create.json").replace("hello", "docs/2026");
    assert_eq!(api.answer(request(&create)).await.status(), 201);
    let decoded = event("http-slash-decoded.json");
    let as_asked = event("http-slash-as-asked.json");
    for event in [&decoded, &as_asked] {
        let answer = api.answer(request(event)).await;
        assert_eq!(answer.status(), 200, "{event}");
        let link: Value = serde_json::from_str(text(answer.body())).expect("JSON");
        assert_eq!(link["slug"], "docs/2026");
        let stats = event.replace("docs/2026", "docs/2026/stats").replace("2F2026", "2F2026/stats");
        let answer = api.answer(request(&stats)).await;
        let stats: Value = serde_json::from_str(text(answer.body())).expect("JSON");
        assert_eq!((answer.status().as_u16(), &stats["totals"]["all"]), (200, &json!(0)));
    }
    // Whoever has a slug that ends like this escapes it twice; it is seen either way.
    let create = event("http-create.json").replace("hello", "docs/stats").replace("-1", "-2");
    assert_eq!(api.answer(request(&create)).await.status(), 201);
    for path in ["docs%2Fstats", "docs%252Fstats"] {
        let answer = api.answer(request(&decoded.replace("docs/2026", path))).await;
        let link: Value = serde_json::from_str(text(answer.body())).expect("JSON");
        assert_eq!((answer.status().as_u16(), &link["slug"]), (200, &json!("docs/stats")));
    }
    let answer = api.answer(request(&decoded.replace("2026", "stats"))).await;
    assert_eq!(answer.status(), 404, "statistics of docs, which there is not");
    for event in [&decoded, &as_asked] {
        let delete = event.replace("\"GET\"", "\"DELETE\"");
        let status = api.answer(request(&delete)).await.status();
        assert!(status == 204 || status == 410, "{status}");
    }
    assert_eq!(api.answer(request(&decoded)).await.status(), 410);
}

#[tokio::test]
async fn other_paths_are_nobodys() {
    for (path, status) in
        [("/", 404), ("/hello", 404), ("/api", 404), ("/api/v2/links", 404), ("/health", 200)]
    {
        let event = event("http-create.json").replace("/api/v1/links", path);
        let answer = api().answer(request(&event)).await;
        assert_eq!(answer.status(), status, "{path}: {:?}", answer.body());
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn an_edge_asks_for_the_state() {
    let question = Question::State;
    let body = question.encode();
    let (signature, mac) = ORIGIN.sign_question(question.path(), &body, NOW);
    let signed = event("http-edge-state.json")
        .replace("t=1795272013,s=SIGNATURE", &signature)
        .replace("BODY", &STANDARD.encode(&body));
    let answer = api().answer(request(&signed)).await;
    assert_eq!(answer.status(), 200);
    let bytes: &[u8] = answer.body();
    let signature = answer.headers()[HEADER].to_str().unwrap();
    assert!(ORIGIN.is_answer(signature, &mac, 200, bytes));
    assert!(state::decode(bytes).is_ok(), "{bytes:?}");

    let answer = api().answer(request(&signed.replace("s=", "s=0"))).await;
    assert_eq!(answer.status(), 401);
}

/// Keeps batches in memory.
#[derive(Default)]
struct Kept(RefCell<Vec<Vec<u8>>>);

impl Inbox for Kept {
    async fn collect(
        &self,
        batches: Vec<Vec<u8>>,
        _: Timestamp,
    ) -> Result<Vec<Result<u64, BatchError>>, StoreError> {
        let keep = |bytes: Vec<u8>| {
            let clicks = Batch::parse(&bytes)?.count();
            self.0.borrow_mut().push(bytes);
            Ok(clicks)
        };
        Ok(batches.into_iter().map(keep).collect())
    }
}

#[tokio::test]
async fn clicks_are_kept_and_poison_is_named() {
    let mut batch = BatchWriter::new(7, 0);
    batch.push(&Click { link_id: 1, at: NOW, ..Click::default() });
    let batch = batch.finish();
    let event = event("sqs-clicks.json").replace("BATCH", &STANDARD.encode(&batch));
    let event: SqsEvent = serde_json::from_str(&event).expect("an event of SQS");
    let inbox = Kept::default();
    let answer = aggregate::handle(&inbox, event, NOW).await;
    assert_eq!(*inbox.0.borrow(), [batch]);
    // The id is copied from the event: an unknown one would fail the whole batch.
    assert_eq!(
        serde_json::to_value(answer).unwrap(),
        json!({ "batchItemFailures": [
            { "itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da" }
        ] })
    );
}

#[tokio::test]
async fn the_largest_event_is_answered_whole() {
    // As many messages as a mapping may ask for; every hundredth is poison.
    let template: Value = serde_json::from_str(&event("sqs-clicks.json")).expect("JSON");
    let record = |number: u64| {
        let mut batch = BatchWriter::new(number, 0);
        batch.push(&Click { link_id: 1, at: NOW, ..Click::default() });
        let mut record = template["Records"][0].clone();
        record["messageId"] = json!(format!("message-{number}"));
        record["body"] = match number % 100 {
            0 => json!("poison"),
            _ => json!(STANDARD.encode(batch.finish())),
        };
        record
    };
    let records: Vec<Value> = (0..10_000).map(record).collect();
    let event: SqsEvent = serde_json::from_value(json!({ "Records": records })).expect("an event");
    let inbox = Kept::default();
    let answer = aggregate::handle(&inbox, event, NOW).await;
    assert_eq!(inbox.0.borrow().len(), 9_900);
    let failed: Vec<String> =
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    let expected: Vec<String> = (0..100).map(|at| format!("message-{}", at * 100)).collect();
    assert_eq!(failed, expected);
}

#[tokio::test]
async fn statistics_of_links_that_are_gone_are_deleted() {
    let service = service(MemoryHost::new(NOW)).expect("a service");
    let event = event("sqs-clicks.json").replace("BATCH", "7n42DGM5Tfl").replace("poison", "#!");
    let work: Work = serde_json::from_str(&event).expect("work");
    let answer = handle(&service, work, NOW.0 as u64 + 60_000).await.expect("done");
    assert_eq!(
        answer,
        json!({ "batchItemFailures": [
            { "itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da" }
        ] })
    );
}

#[tokio::test]
async fn the_schedule_starts_a_round() {
    let service = service(MemoryHost::new(NOW)).expect("a service");
    let round = |event: Value| {
        let work: Work = serde_json::from_value(event).expect("work");
        handle(&service, work, NOW.0 as u64 + 60_000)
    };
    let by_the_clock = serde_json::from_str(&event("schedule-cleanup.json")).expect("JSON");
    let done = round(by_the_clock).await.expect("done");
    assert_eq!((&done["dry_run"], &done["next_cursor"]), (&json!(false), &Value::Null));
    assert_eq!(done["salts"], 0);
    let counted = round(json!({ "dry_run": true })).await.expect("done");
    assert_eq!((&counted["dry_run"], &counted["salts"]), (&json!(true), &Value::Null));
    let refused = round(json!({ "cursor": "nowhere" })).await.expect_err("refused");
    assert_eq!(refused.to_string(), "the cursor is not one a cleanup gave");
}

/// Keeps files in memory.
#[derive(Default)]
struct Shelf(RefCell<Vec<(String, String)>>);

impl Files for Shelf {
    async fn put(&self, name: &str, _: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let text = String::from_utf8(bytes).expect("text");
        self.0.borrow_mut().push((name.to_owned(), text));
        Ok(())
    }
}

#[tokio::test]
async fn all_links_are_exported_in_pieces() {
    let api = api();
    for number in 0..250 {
        let event = event("http-create.json")
            .replace("order-1", &format!("order-{number}"))
            .replace("hello", &format!("hello-{number}"));
        assert_eq!(api.answer(request(&event)).await.status(), 201);
    }
    let shelf = Shelf::default();
    let order = |order: Value| serde_json::from_value::<Order>(order).expect("an order");
    let export = async |order, ends_at_ms| {
        export::handle(&api.service, &shelf, order, ends_at_ms).await.expect("exported")
    };
    // No time: one page at a time.
    let ordered = serde_json::from_str(&event("order-export.json")).expect("JSON");
    let mut told = export(order(ordered), 0).await;
    let name = told["export"].as_str().expect("a name").to_owned();
    while told["done"] == false {
        assert_eq!(told["export"], name);
        told = export(order(told), 0).await;
    }
    assert_eq!(told, json!({ "done": true, "export": name, "files": 3 }));
    let files = shelf.0.take();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["links-00001.jsonl", "links-00002.jsonl", "links-00003.jsonl", "manifest.json"];
    assert_eq!(names, expected.map(|file| format!("exports/{name}/{file}")));
    let lines = files[..3].iter().flat_map(|(_, text)| text.lines());
    let slugs: Vec<String> = lines
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["slug"].to_string())
        .collect();
    let expected: Vec<String> = (0..250).map(|number| format!("\"hello-{number}\"")).collect();
    assert_eq!(slugs, expected);
    // Enough time: one file.
    let told = export(Order::default(), NOW.0 as u64 + 60_000).await;
    assert_eq!((&told["done"], &told["files"]), (&json!(true), &json!(1)));
}
