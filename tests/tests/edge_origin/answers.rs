use std::collections::BTreeMap;

use serde_json::{Value, json};
use waypost_native::sqlite::FILE_NAME;
use waypost_tests::wire::Raw;
use waypost_wire::codec::{decode, generation};
use waypost_wire::key::LinkKey;
use waypost_wire::origin::sign::HEADER;
use waypost_wire::origin::{Answer, Question, Resolved, Unlocked, Used};
use waypost_wire::record::{Generation, LinkState};
use waypost_wire::state::{self, Change};

use crate::asking::{Edge, NOW, change, create, packed, printed, server};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What every signed answer has, and nothing else: no compression, nothing for browsers.
fn check_whole(answer: &Raw) {
    let varies = ["date", "x-request-id", HEADER];
    let mut headers: BTreeMap<&str, &str> =
        answer.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers.len(), answer.headers.len());
    for name in varies {
        assert!(headers.remove(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    let length = answer.body.len().to_string();
    let wanted = [
        ("cache-control", "no-store"),
        ("connection", "close"),
        ("content-length", &*length),
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
    ];
    assert_eq!(headers, BTreeMap::from(wanted));
    assert_eq!(answer.status, 200);
}

/// Everything an answer has, and its bytes.
async fn whole(edge: &Edge<'_>, question: &Question<'_>) -> Vec<u8> {
    let (answer, mac) = edge.raw(question, NOW).await;
    check_whole(&answer);
    let signature = answer.header(HEADER).expect("a signature");
    assert!(edge.key.is_answer(signature, &mac, 200, &answer.body));
    let (_, other) = edge.raw(question, NOW.plus_ms(1_000)).await;
    assert!(!edge.key.is_answer(signature, &other, 200, &answer.body), "fits another question");
    answer.body
}

#[tokio::test]
async fn every_answer_is_whole_and_signed() {
    let server = server().await;
    let edge = Edge::of(&server);
    let id = create(&server, "abc", json!({"max_clicks": 4, "password": "sésame"})).await;
    let key = "go.example/abc";
    let answer = whole(&edge, &Question::Resolve { key }).await;
    let resolved = Resolved::decode(&answer).expect("an answer");
    assert_eq!(resolved.key, key);
    let record = decode(resolved.record.expect("a record")).expect("a record");
    assert_eq!((record.id, record.version, record.limited), (id, 1, true));
    assert_eq!(record.destination, "https://example.com/");
    let missing = Question::Resolve { key: "go.example/none" };
    assert_eq!(whole(&edge, &missing).await, b"\x01\x0fgo.example/none\0");
    assert_eq!(whole(&edge, &Question::Consume { link_id: id }).await, [1, 1]);
    let unlock = |password| Question::Unlock { key, password, client_ip: None };
    assert_eq!(whole(&edge, &unlock("sésame")).await, [1, 1]);
    assert_eq!(whole(&edge, &unlock("Sésame")).await, [1, 0]);
    let batch = packed(7, id, 2, NOW);
    let clicks = Question::Clicks { batches: vec![&batch, b"none"] };
    assert_eq!(whole(&edge, &clicks).await, [1, 2, 1, 0]);
    let state = whole(&edge, &Question::State).await;
    assert_eq!(state::decode(&state).map(|state| state.published_at), Ok(NOW));
    server.stop().await;
}

#[tokio::test]
async fn a_record_is_answered_as_it_is_after_every_write() {
    let server = server().await;
    let edge = Edge::of(&server);
    let key = "go.example/abc";
    let found = async || {
        let answer = edge.ask(&Question::Resolve { key }, NOW).await;
        let resolved = Resolved::decode(&answer).expect("an answer");
        resolved.record.map(|bytes| decode(bytes).map(|record| (record.version, record.state)))
    };
    assert_eq!(found().await, None);
    create(&server, "abc", json!({})).await;
    // Its absence was remembered until now.
    assert_eq!(found().await, Some(Ok((1, LinkState::Live))));
    change(&server, "abc", &json!({"disabled": true})).await;
    assert_eq!(found().await, Some(Ok((2, LinkState::Disabled))));
    assert_eq!(server.api("DELETE /api/v1/links/abc", "").await.status, 204);
    assert_eq!(found().await, Some(Ok((3, LinkState::Deleted))));
    server.stop().await;
}

#[tokio::test]
async fn the_state_has_a_write_at_once() {
    let server = server().await;
    let edge = Edge::of(&server);
    let one = create(&server, "one", json!({})).await;
    let two = create(&server, "two/x", json!({"max_clicks": 1})).await;
    change(&server, "one", &json!({"disabled": true})).await;
    // The clock stands still: this is the same moment.
    let bytes = edge.ask(&Question::State, NOW).await;
    let state = state::decode(&bytes).expect("a state");
    assert_eq!((state.published_at, state.since), (NOW, NOW.plus_ms(-DAY_MS)));
    let days: Vec<i64> = state.salts.iter().map(|(day, _)| day.0).collect();
    let today = NOW.0 - NOW.0.rem_euclid(DAY_MS);
    assert_eq!(days, [today, today + DAY_MS]);
    let told = |key, link_id, version, stopped| Change {
        key,
        generation: Generation { link_id, version },
        stopped,
    };
    let (first, second) = ("go.example/one", "go.example/two/x");
    assert_eq!(state.changes, [told(second, two, 1, false), told(first, one, 2, true)]);

    change(&server, "one", &json!({"disabled": false})).await;
    let block = server.api("POST /api/v1/links/two%2Fx/block", r#"{"reason":"abuse"}"#).await;
    assert_eq!(block.status, 200, "{}", block.text());
    let later = edge.ask(&Question::State, NOW).await;
    let later = state::decode(&later).expect("a state");
    assert_eq!(later.salts, state.salts, "a day has one salt");
    assert_eq!(later.changes, [told(second, two, 2, true), told(first, one, 3, false)]);
    // A use that was the last one is a write too.
    let lift = server.api("DELETE /api/v1/links/two%2Fx/block", "").await;
    assert_eq!(lift.status, 200, "{}", lift.text());
    assert_eq!(edge.consume(two, NOW).await, Used::Taken);
    let used = edge.ask(&Question::State, NOW).await;
    let used = state::decode(&used).expect("a state");
    assert_eq!(used.changes, [told(second, two, 4, false), told(first, one, 3, false)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_exact_however_many_ask_at_once() {
    let server = server().await;
    let id = create(&server, "few", json!({"max_clicks": 23})).await;
    let edge = Edge::of(&server);
    let mut taken = 0;
    for _ in 0..4 {
        let asked = (0..16).map(|_| edge.consume(id, NOW));
        let answers = join_all(asked.collect()).await;
        taken += answers.iter().filter(|used| **used == Used::Taken).count();
    }
    assert_eq!(taken, 23);
    let answer = edge.ask(&Question::Resolve { key: "go.example/few" }, NOW).await;
    let resolved = Resolved::decode(&answer).expect("an answer");
    let record = decode(resolved.record.expect("a record")).expect("a record");
    assert!(record.used_up);
    assert_eq!(server.send("GET /few", &[], "").await.status, 410);
    server.stop().await;
}

/// Drives all futures at once, in this task.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<_> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            let polled = future.as_mut().map(|future| future.as_mut().poll(context));
            if let Some(std::task::Poll::Ready(output)) = polled {
                (*future, *done) = (None, Some(output));
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn clicks_that_come_twice_count_once() {
    let server = server().await;
    let edge = Edge::of(&server);
    let id = create(&server, "abc", json!({})).await;
    let (first, second) = (packed(7, id, 3, NOW), packed(8, id, 2, NOW));
    assert_eq!(edge.clicks(vec![&first, &second], NOW).await, [true, true]);
    assert_eq!(
        edge.clicks(vec![&second, b"", &first, &first], NOW).await,
        [true, false, true, true]
    );
    let read = async |path: &str| -> Value {
        let answer = server.api(&format!("GET {path}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    };
    let statistics = read("/api/v1/links/abc/stats").await;
    assert_eq!(statistics["totals"]["all"], json!(5), "{statistics}");
    assert_eq!(read("/api/v1/links/abc").await["clicks"], json!(5));
    let account = read("/api/v1/stats/integrity").await;
    assert_eq!((&account["accepted"], &account["counted"]), (&json!(5), &json!(5)));
    assert_eq!((&account["duplicate"], &account["lost"]), (&json!(8), &json!(0)));
    server.stop().await;
}

#[tokio::test]
async fn what_an_edge_is_filled_with_is_what_it_would_be_answered() {
    let server = server().await;
    let edge = Edge::of(&server);
    for slug in ["one", "two", "x/y"] {
        create(&server, slug, json!({"title": slug})).await;
    }
    assert_eq!(server.api("DELETE /api/v1/links/two", "").await.status, 204);
    let commands = printed(&server, &["edge", "export", "--format", "redis"]);
    let mut values = values(&commands);
    let exported = values.pop().expect("the state");
    assert_eq!(exported.0, state::STATE_KEY);
    let keys: Vec<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["go.example/one", "go.example/two", "go.example/x/y"]);
    for (key, record) in &values {
        let answer = edge.ask(&Question::Resolve { key }, NOW).await;
        assert_eq!(Resolved::decode(&answer), Ok(Resolved { key, record: Some(record) }));
    }
    let asked = edge.ask(&Question::State, NOW).await;
    let (asked, exported) = (state::decode(&asked), state::decode(&exported.1));
    let (asked, exported) = (asked.expect("a state"), exported.expect("a state"));
    assert_eq!((asked.changes.len(), &asked.salts), (3, &exported.salts));
    let newest = asked.changes.iter().find(|change| change.key == "go.example/two");
    let (_, record) = &values[1];
    assert_eq!(newest.map(|change| change.generation), generation(record).ok());
    server.stop().await;
}

/// Keys and values of `SET` commands.
fn values(mut commands: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn bulk(from: &mut &[u8]) -> Vec<u8> {
        let end = from.windows(2).position(|two| two == b"\r\n").expect("a length");
        let length = std::str::from_utf8(&from[1..end]).expect("digits").parse().expect("digits");
        let (text, rest) = from[end + 2..].split_at(length);
        *from = rest.strip_prefix(b"\r\n").expect("an end");
        text.to_vec()
    }
    let mut values = Vec::new();
    while let Some(rest) = commands.strip_prefix(b"*3\r\n") {
        commands = rest;
        assert_eq!(bulk(&mut commands), b"SET");
        let key = String::from_utf8(bulk(&mut commands)).expect("text");
        values.push((key, bulk(&mut commands)));
    }
    assert!(commands.is_empty());
    values
}

#[tokio::test]
async fn passwords_open_and_stay_shut_whoever_asks() {
    let server = server().await;
    let edge = Edge::of(&server);
    create(&server, "abc", json!({"password": "right"})).await;
    create(&server, "open", json!({})).await;
    let key = LinkKey::new("go.example", "abc", false);
    assert_eq!(edge.unlock(key.as_str(), "right", None).await, Unlocked::Right);
    for (key, password) in [
        ("go.example/abc", ""),
        ("go.example/abc", "right "),
        ("go.example/open", ""),
        ("go.example/none", "right"),
        ("none", "right"),
    ] {
        assert_eq!(edge.unlock(key, password, None).await, Unlocked::Wrong, "{key} {password:?}");
    }
    change(&server, "abc", &json!({"disabled": true})).await;
    assert_eq!(edge.unlock(key.as_str(), "right", None).await, Unlocked::Wrong);
    assert!(server.directory.path().join(FILE_NAME).exists());
    server.stop().await;
}
