//! Spin apps, against a stand-in of their route.
#![expect(clippy::unwrap_used, reason = "a test that fails has said what it had to say")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use waypost_publish::SpinSync;
use waypost_service::publish::{
    Budget, EdgeStore, Kept, LimitedCalls, Mark, Put, Removal, StoreFault,
};
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::record::Generation;
use waypost_wire::sync::{Change, Entry, Outcome, PATH, Sync, encode_outcomes};
use waypost_wire::time::Timestamp;

const KEY: [u8; 32] = [7; 32];

/// What the app does with the next call.
#[derive(Clone, Debug)]
enum Mood {
    Outcomes(Vec<Outcome>),
    Unsigned,
    Status(u16, &'static str, Option<u32>),
    Cut,
}

#[derive(Debug)]
struct App {
    mood: Mood,
    bodies: Vec<Vec<u8>>,
}

async fn started() -> (Arc<Mutex<App>>, SpinSync) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let app = Arc::new(Mutex::new(App { mood: Mood::Cut, bodies: Vec::new() }));
    let shared = Arc::clone(&app);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move {
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (app, SpinSync::new("spin", &url, OriginKey::new(KEY), 40).unwrap())
}

async fn answer(
    app: Arc<Mutex<App>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    assert_eq!((parts.method.as_str(), parts.uri.path()), ("PUT", PATH));
    assert_eq!(parts.headers["content-type"], "application/octet-stream");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp(i64::try_from(since.as_millis()).unwrap());
    let signature = parts.headers[HEADER].to_str().unwrap();
    let mac = OriginKey::new(KEY).check_question(signature, PATH, &body, now).unwrap();
    let mut app = app.lock().unwrap();
    app.bodies.push(body.to_vec());
    let (status, text, retry_after, is_signed) = match app.mood.clone() {
        Mood::Outcomes(outcomes) => (200, encode_outcomes(&outcomes), None, true),
        Mood::Unsigned => (200, encode_outcomes(&[Outcome::Stored]), None, false),
        Mood::Status(status, text, retry_after) => (status, text.into(), retry_after, false),
        Mood::Cut => return Err(std::io::Error::other("cut")),
    };
    let mut answer = Response::builder().status(status);
    if is_signed {
        answer = answer.header(HEADER, OriginKey::new(KEY).sign_answer(&mac, status, &text));
    }
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds);
    }
    Ok(answer.body(Full::new(text.into())).unwrap())
}

fn put<'a>(key: &'a str, record: &'a [u8]) -> Put<'a> {
    Put { key, record, mark: Mark::with(Generation { link_id: 1, version: 1 }, record) }
}

#[tokio::test]
async fn records_removals_and_the_state_are_put_and_their_outcomes_told() {
    let (app, store) = started().await;
    let set = |outcomes: &[Outcome]| app.lock().unwrap().mood = Mood::Outcomes(outcomes.to_vec());
    set(&[Outcome::Failed, Outcome::Outdated, Outcome::Refused, Outcome::Stored]);
    let records = ["a", "b", "c", "d"].map(|key| put(key, b"record"));
    let kept = store.put(&records).await;
    assert_eq!(kept, Ok(vec![Kept::Failed, Kept::Newer, Kept::Refused, Kept::Stored]));
    set(&[Outcome::Stored]);
    let generation = Generation { link_id: 9, version: 4 };
    assert_eq!(store.remove(&[Removal { key: "a", generation }]).await, Ok(vec![Kept::Stored]));
    assert_eq!(store.put_state(b"state").await, Ok(Kept::Stored));
    let bodies = std::mem::take(&mut app.lock().unwrap().bodies);
    let synced: Vec<Sync<'_>> = bodies.iter().map(|body| Sync::decode(body).unwrap()).collect();
    let entries = ["a", "b", "c", "d"].map(|key| Entry { key, change: Change::Put(b"record") });
    let removal = Entry { key: "a", change: Change::Remove(generation) };
    let expected = [
        Sync { entries: entries.to_vec(), state: None },
        Sync { entries: vec![removal], state: None },
        Sync { entries: vec![], state: Some(b"state") },
    ];
    assert_eq!(synced, expected);
}

#[tokio::test]
async fn what_is_refused_is_told_apart_from_what_may_pass() {
    let (app, store) = started().await;
    let refused = |text: &str| StoreFault::Refused(text.to_owned());
    let limited = |retry_after_seconds| StoreFault::Limited {
        text: "429: slow down".to_owned(),
        retry_after_seconds,
    };
    for (mood, fault) in [
        (Mood::Status(429, "slow down", Some(7)), limited(Some(7))),
        (Mood::Status(429, "slow down", None), limited(None)),
        (Mood::Status(503, "later\n", None), StoreFault::Unavailable("503: later".to_owned())),
        (
            Mood::Status(401, "signed at another time", None),
            refused("401: its clock and the one here are too far apart"),
        ),
        (
            Mood::Status(401, "signed with another key", None),
            refused("401: it has other keys: set its secret waypost_edge_keys"),
        ),
        (
            Mood::Status(404, "<html>", None),
            refused("404: it takes no records: set waypost_sync to true, check the address"),
        ),
        (Mood::Status(413, "too large", None), refused("413: too large")),
        (
            Mood::Unsigned,
            refused(
                "200 without the signature of the app: is this its address, and does all between \
                 pass its headers on?",
            ),
        ),
        (
            Mood::Outcomes(vec![Outcome::Stored; 2]),
            StoreFault::Unexpected("outcomes that this version cannot read".to_owned()),
        ),
    ] {
        app.lock().unwrap().mood = mood.clone();
        assert_eq!(store.put(&[put("a", b"r")]).await, Err(fault), "{mood:?}");
    }
    app.lock().unwrap().mood = Mood::Cut;
    let answer = store.put(&[put("a", b"r")]).await;
    assert!(matches!(answer, Err(StoreFault::Unavailable(_))), "{answer:?}");
    assert!(matches!(store.list(None).await, Err(StoreFault::Refused(_))));
    assert!(matches!(store.marks(&["a"]).await, Err(StoreFault::Refused(_))));
}

#[tokio::test]
async fn publisher_and_reconciler_share_what_the_app_takes() -> Result<(), Infallible> {
    let (_, store) = started().await;
    let writes = |budget| store.limits(budget).writes.unwrap();
    let share = |burst| LimitedCalls { burst, refill: burst, per_ms: 1_000 };
    assert_eq!(writes(Budget::Publisher), share(30));
    assert_eq!(writes(Budget::Reconcile), share(10));
    Ok(())
}
