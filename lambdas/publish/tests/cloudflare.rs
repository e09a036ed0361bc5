//! Workers KV through its REST API, against a stand-in that checks requests whole.
#![expect(clippy::unwrap_used, reason = "a test that fails has said what it had to say")]

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waypost_publish::CloudflareKv;
use waypost_publish::testing::{Call, Kept as Held, KvApi, TOKEN, Upset};
use waypost_service::ambient::{Clock, Pause};
use waypost_service::publish::memory::{MemoryTable, current};
use waypost_service::publish::reconcile::{Options, Reconciler};
use waypost_service::publish::{
    Backoff, Budget, Change, EdgeStore, Kept, Mark, Publisher, Put, Removal, StateSource,
    StoreFault,
};
use waypost_service::seams::{Changed, StoreError};
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

const START: Timestamp = Timestamp(1_795_244_400_000);

const NAMESPACE: &str = "/client/v4/accounts/0123456789abcdef0123456789abcdef/storage/kv\
                         /namespaces/fedcba9876543210fedcba9876543210";

async fn started() -> (KvApi, CloudflareKv) {
    let api = KvApi::start().await.unwrap();
    let store = CloudflareKv::new("kv", &api.account().unwrap(), TOKEN).unwrap();
    (api, store)
}

fn put<'a>(key: &'a str, record: &'a [u8], link_id: u64) -> Put<'a> {
    let generation = Generation { link_id, version: 7 };
    Put { key, record, mark: Mark::with(generation, record) }
}

fn removal(key: &str) -> Removal<'_> {
    Removal { key, generation: Generation::default() }
}

fn call(method: &str, path: &str, body: Value) -> Call {
    Call { method: method.into(), target: format!("{NAMESPACE}/{path}"), body }
}

#[tokio::test]
async fn records_are_put_listed_and_removed() {
    let (api, store) = started().await;
    let records = [put("s.example/é", b"test", 42), put("s.example/b", &[0, 255], 1)];
    assert_eq!(store.put(&records).await, Ok(vec![Kept::Stored; 2]));
    assert_eq!(store.put_state(b"state").await, Ok(Kept::Stored));
    let listed = store.list(None).await.unwrap();
    let keys = [
        ("!state".to_owned(), None),
        ("s.example/b".to_owned(), Some(records[1].mark)),
        ("s.example/é".to_owned(), Some(records[0].mark)),
    ];
    assert_eq!((listed.keys.as_slice(), listed.next_cursor), (keys.as_slice(), None));
    let removals = [removal("s.example/b"), removal("s.example/never")];
    assert_eq!(store.remove(&removals).await, Ok(vec![Kept::Stored; 2]));
    let left: Vec<_> = api.kept().into_iter().map(|(key, kept)| (key, kept.value)).collect();
    let expected =
        [("!state".to_owned(), b"state".to_vec()), ("s.example/é".to_owned(), b"test".to_vec())];
    assert_eq!(left, expected);
    let pairs = json!([
        {"key": "s.example/é", "value": "dGVzdA==", "base64": true,
            "metadata": {"waypost": "000000000000002a.7.9f86d081884c7d65"}},
        {"key": "s.example/b", "value": "AP8=", "base64": true,
            "metadata": {"waypost": records[1].mark.to_string()}},
    ]);
    let expected = [
        call("PUT", "bulk", pairs),
        call("PUT", "bulk", json!([{"key": "!state", "value": "c3RhdGU=", "base64": true}])),
        call("GET", "keys?limit=1000", Value::Null),
        call("POST", "bulk/delete", json!(["s.example/b", "s.example/never"])),
    ];
    assert_eq!(api.calls(), expected);
}

#[tokio::test]
async fn long_lists_come_in_pages_and_strange_metadata_is_none() {
    let (api, store) = started().await;
    let keys: Vec<String> = (0..2_500).map(|n| format!("s.example/{n:04} &é")).collect();
    let records: Vec<Put<'_>> = keys.iter().map(|key| put(key, b"x", 1)).collect();
    assert_eq!(store.put(&records).await.unwrap().len(), 2_500);
    for (at, metadata) in [json!({"waypost": "x"}), json!({"waypost": 5}), json!("x"), json!([1])]
        .into_iter()
        .enumerate()
    {
        api.tamper(&keys[at], Some(Held { value: b"x".to_vec(), metadata }));
    }
    let (mut cursor, mut listed, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = store.list(cursor.as_deref()).await.unwrap();
        (pages, cursor) = (pages + 1, page.next_cursor);
        listed.extend(page.keys);
        if cursor.is_none() {
            break;
        }
    }
    let mark = Some(records[0].mark);
    let expected: Vec<_> =
        keys.iter().enumerate().map(|(at, key)| (key.clone(), mark.filter(|_| at >= 4))).collect();
    assert_eq!((pages, listed), (3, expected));
    let unknown = store.list(Some("what")).await;
    assert_eq!(unknown, Err(StoreFault::Refused("400: 10029 bad cursor".to_owned())));
}

#[tokio::test]
async fn what_is_refused_is_told_apart_from_what_may_pass() {
    let (api, store) = started().await;
    let status = |status, retry_after_seconds| Some(Upset::Status { status, retry_after_seconds });
    let text = |status: &str| format!("{status}: 10429 upset");
    let limited =
        |retry_after_seconds| StoreFault::Limited { text: text("429"), retry_after_seconds };
    let cases = [
        (status(429, Some(300)), limited(Some(300))),
        (status(429, None), limited(None)),
        (status(500, None), StoreFault::Unavailable(text("500"))),
        (status(503, Some(5)), StoreFault::Unavailable(text("503"))),
        (status(400, None), StoreFault::Refused(text("400"))),
        (status(403, None), StoreFault::Refused(text("403"))),
        (status(302, None), StoreFault::Refused(text("302"))),
        (status(204, None), StoreFault::Unexpected("204: ".to_owned())),
        (Some(Upset::NoSuccess), StoreFault::Unavailable("10001 service failure".to_owned())),
        (
            Some(Upset::NoJson),
            StoreFault::Unexpected(
                "expected value at line 1 column 1 in an answer that begins with <html>".to_owned(),
            ),
        ),
    ];
    for (upset, fault) in cases {
        api.upset([upset.clone(), upset.clone(), upset.clone()]);
        assert_eq!(store.put(&[put("s/a", b"a", 1)]).await, Err(fault.clone()), "{upset:?}");
        assert_eq!(store.remove(&[removal("s/a")]).await, Err(fault.clone()), "{upset:?}");
        assert_eq!(store.list(None).await, Err(fault), "{upset:?}");
    }
    assert!(api.kept().is_empty());
    for done in [false, true] {
        api.upset([Some(Upset::Cut { done })]);
        let answer = store.put(&[put("s/a", b"a", 1)]).await;
        assert!(matches!(answer, Err(StoreFault::Unavailable(_))), "{answer:?}");
        assert_eq!(api.kept().len(), usize::from(done));
    }
    assert_eq!(store.put(&[put("s/b", b"b", 1)]).await, Ok(vec![Kept::Stored]));
}

#[tokio::test]
async fn keys_that_were_left_out_are_told() {
    let (api, store) = started().await;
    for success in [true, false] {
        api.upset([Some(Upset::Half { success }), Some(Upset::Half { success })]);
        let long = "x".repeat(513);
        let records = [put("s/a", b"a", 1), put(&long, b"b", 2), put("s/b", b"b", 2)];
        let kept = store.put(&records).await;
        assert_eq!(kept, Ok(vec![Kept::Stored, Kept::Refused, Kept::Failed]));
        let kept = store.remove(&[removal("s/a"), removal("s/c")]).await;
        assert_eq!(kept, Ok(vec![Kept::Stored, Kept::Failed]));
    }
    let long = "x".repeat(513);
    api.calls();
    assert_eq!(store.put(&[put(&long, b"b", 2)]).await, Ok(vec![Kept::Refused]));
    assert_eq!(api.calls(), []);
}

#[tokio::test]
async fn wrong_settings_are_refused_and_never_show_the_token() {
    let (api, store) = started().await;
    let other = CloudflareKv::new("kv", &api.account().unwrap(), "secret").unwrap();
    let fault = other.list(None).await.unwrap_err();
    assert_eq!(fault, StoreFault::Refused("401: 10000 Authentication error".to_owned()));
    assert!(!format!("{other:?} {store:?}").contains("secret"));
    let mut account = api.account().unwrap();
    account.namespace_id = "other".to_owned();
    let other = CloudflareKv::new("kv", &account, TOKEN).unwrap();
    let fault = other.list(None).await.unwrap_err();
    assert_eq!(fault, StoreFault::Refused("404: 10013 namespace not found".to_owned()));
    drop(api);
    let gone = async {
        loop {
            if let Err(StoreFault::Unavailable(text)) = store.list(None).await {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(!gone.await.is_empty());
    let limits = [Budget::Publisher, Budget::Reconcile].map(|budget| {
        let calls = store.limits(budget).calls.unwrap();
        calls.burst + calls.refill
    });
    assert!(limits.iter().sum::<u32>() <= 1_200 - 200);
}

/// A clock that pauses move on.
struct Time(AtomicI64);

impl Clock for &Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Pause for &Time {
    async fn pause_ms(&self, ms: u64) {
        self.0.fetch_add(i64::try_from(ms).unwrap(), Ordering::SeqCst);
    }
}

struct Bytes;

impl StateSource for Bytes {
    async fn state(&self, recent: &[Changed], _: Timestamp) -> Result<Vec<u8>, StoreError> {
        Ok(recent.len().to_string().into_bytes())
    }
}

fn table(links: u64) -> MemoryTable {
    let table = MemoryTable::default();
    for link_id in 1..=links {
        let generation = Generation { link_id, version: 1 };
        let link = current(generation, false, START.plus_ms(-3_600_000));
        table.set(&format!("s.example/{link_id}"), Some(link));
    }
    table
}

fn changes(links: u64) -> Vec<Change> {
    let change = |link_id| Change {
        key: format!("s.example/{link_id}"),
        generation: Generation { link_id, version: 1 },
        gone: None,
    };
    (1..=links).map(change).collect()
}

#[tokio::test]
async fn three_thousand_changes_are_four_calls_and_limits_are_kept() {
    let (api, store) = started().await;
    let (table, time) = (table(3_000), Time(AtomicI64::new(START.0)));
    let publisher = Publisher::new(vec![store], &time, Backoff::default());
    let deadline = START.plus_ms(60_000);
    let changes = changes(3_000);
    let done = publisher.publish_changed(&table, &Bytes, &table, &changes, deadline).await;
    assert_eq!((done.written, done.failures, done.state_failures), (3_000, vec![], vec![]));
    assert_eq!(api.calls().len(), 4);
    let limited = Upset::Status { status: 429, retry_after_seconds: Some(300) };
    api.upset([Some(limited)]);
    for _ in 0..3 {
        // A second write of these keys waits for a second; then there is peace for five minutes.
        let done = publisher.publish_changed(&table, &Bytes, &table, &changes[..9], deadline).await;
        assert_eq!((done.retry().len(), done.retry_state()), (9, true));
    }
    assert_eq!(api.calls().len(), 1);
    time.0.fetch_add(300_000, Ordering::SeqCst);
    let deadline = deadline.plus_ms(600_000);
    let done = publisher.publish_changed(&table, &Bytes, &table, &changes[..9], deadline).await;
    assert_eq!((done.written, done.failures), (9, vec![]));
}

#[tokio::test]
async fn a_wiped_namespace_is_rebuilt_and_foreign_keys_go() {
    let (api, store) = started().await;
    let (table, time) = (table(1_200), Time(AtomicI64::new(START.0)));
    let foreign = [put("s.example/gone", b"x", 9)];
    assert_eq!(store.put(&foreign).await, Ok(vec![Kept::Stored]));
    let reconciler = Reconciler::new(store, &time);
    let options = Options::until(START.plus_ms(600_000));
    let report = reconciler.run(&table, &options, None).await;
    let counts = (report.missing, report.foreign, report.repaired, report.failed, report.fault);
    assert_eq!(counts, (1_200, 1, 1_201, 0, None));
    let kept: Vec<_> = api.kept().into_iter().map(|(key, kept)| (key, kept.value)).collect();
    let expected: Vec<_> =
        table.links().into_iter().map(|(key, current)| (key, current.record)).collect();
    assert!(kept == expected);
    let again = reconciler.run(&table, &options, None).await;
    assert_eq!((again.drift(), again.checked, again.fault), (0, 2_400, None));
    // Once with the whole list, once with a slice at a time.
    let options = Options { slice_keys_max: 500, ..options };
    let again = reconciler.run(&table, &options, None).await;
    assert_eq!((again.drift(), again.checked, again.next_cursor), (0, 2_400, None));
}

/// The status line and the last line of an answer.
async fn got(api: &KvApi, target: &str, authorization: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let first = answer.lines().next().unwrap().to_owned();
    (first, answer.split("\r\n\r\n").last().unwrap().to_owned())
}

#[tokio::test]
async fn a_local_worker_and_other_callers_read_what_was_put() {
    let (api, store) = started().await;
    let record = put("s.example/é b", b"test", 42);
    assert_eq!(store.put(&[record]).await, Ok(vec![Kept::Stored]));
    let told = |status: &str, body: &str| (format!("HTTP/1.1 {status}"), body.to_owned());
    let there = "s.example%2F%C3%A9%20b";
    let binding = |key: &str| format!("/{key}?urlencoded=true&cache_ttl=30");
    assert_eq!(got(&api, &binding(there), "").await, told("200 OK", "test"));
    assert_eq!(got(&api, &binding("s.example%2Fb"), "").await.0, "HTTP/1.1 404 Not Found");
    assert_eq!(got(&api, "/s.example", "").await.0, "HTTP/1.1 404 Not Found");
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    let value = got(&api, &format!("{NAMESPACE}/values/{there}"), &token).await;
    assert_eq!(value, told("200 OK", "test"));
    let metadata = got(&api, &format!("{NAMESPACE}/metadata/{there}"), &token).await.1;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["result"], json!({ "waypost": record.mark.to_string() }));
    assert_eq!(api.reads(), 3);
    api.wipe();
    assert_eq!(got(&api, &binding(there), "").await.0, "HTTP/1.1 404 Not Found");
}
