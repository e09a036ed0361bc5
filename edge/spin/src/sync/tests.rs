use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use waypost_wire::origin::sign::HEADER;
use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
use waypost_wire::state::EdgeState;
use waypost_wire::sync::decode_outcomes;

use super::*;

const NOW: Timestamp = Timestamp(1_780_315_200_000);

/// A store that notes what is written to it.
#[derive(Default)]
struct Memory {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    written: RefCell<Vec<String>>,
    fails: Cell<bool>,
    /// Keys that the instance was told to forget.
    forgotten: RefCell<Vec<String>>,
}

impl Memory {
    fn forget(&self, key: &str) {
        self.forgotten.borrow_mut().push(key.to_owned());
    }

    fn check(&self) -> Result<(), Failed> {
        if self.fails.get() { Err(Failed) } else { Ok(()) }
    }
}

impl Store for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.check()?;
        Ok(self.values.borrow().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed> {
        self.check()?;
        self.written.borrow_mut().push(format!("set {key}"));
        self.values.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), Failed> {
        self.check()?;
        self.written.borrow_mut().push(format!("remove {key}"));
        self.values.borrow_mut().remove(key);
        Ok(())
    }
}

/// Nothing here ever waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn key() -> OriginKey {
    OriginKey::new([7; 32])
}

fn record(link_id: u64, version: u64, destination: &str) -> Vec<u8> {
    codec::encode(&LinkRecord {
        id: link_id,
        version,
        state: LinkState::Live,
        created_at: NOW,
        destination,
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        limited: false,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: None,
        preview: None,
        rules: Vec::new(),
    })
}

fn state_at(ms: i64) -> Vec<u8> {
    state::encode(&EdgeState { published_at: Timestamp(ms), ..EdgeState::default() })
}

fn send(sync: &Sync<'_>, store: &Memory) -> Vec<Outcome> {
    let body = sync.encode();
    let (signature, mac) = key().sign_question(PATH, &body, NOW);
    let answer = run(answer(&key(), Some(&signature), &body, NOW, store, |key| store.forget(key)));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let signature = answer.headers.iter().find(|(name, _)| name == HEADER).expect("signed");
    let signature = std::str::from_utf8(&signature.1).expect("text");
    assert!(key().is_answer(signature, &mac, 200, &answer.body));
    decode_outcomes(&answer.body).expect("outcomes")
}

fn put(store: &Memory, entry_key: &str, record: &[u8]) -> Outcome {
    let entries = vec![Entry { key: entry_key, change: Change::Put(record) }];
    send(&Sync { entries, state: None }, store)[0]
}

fn remove(store: &Memory, link_id: u64, version: u64) -> Outcome {
    let change = Change::Remove(Generation { link_id, version });
    send(&Sync { entries: vec![Entry { key: "s.example/a", change }], state: None }, store)[0]
}

#[test]
fn nothing_newer_is_replaced_in_whatever_order_records_come() {
    let (store, key) = (Memory::default(), "s.example/a");
    let newest = record(9, 3, "https://example.com/3");
    for (record, expected) in [
        (record(9, 2, "https://example.com/2"), Outcome::Stored),
        (newest.clone(), Outcome::Stored),
        (record(9, 2, "https://example.com/2"), Outcome::Outdated),
        (record(8, 99, "https://example.com/8"), Outcome::Outdated),
        (newest.clone(), Outcome::Stored),
    ] {
        assert_eq!(put(&store, key, &record), expected);
    }
    assert_eq!(store.values.borrow().get(key), Some(&newest));
    assert_eq!(store.written.take(), ["set s.example/a", "set s.example/a"], "not three times");
    let compiled_again = record(9, 3, "https://example.com/again");
    assert_eq!(put(&store, key, &compiled_again), Outcome::Stored);
    assert_eq!(store.values.borrow().get(key), Some(&compiled_again));
}

#[test]
fn removals_take_what_they_name_and_nothing_newer() {
    let store = Memory::default();
    assert_eq!(remove(&store, 9, 3), Outcome::Stored);
    put(&store, "s.example/a", &record(9, 3, "https://example.com/"));
    assert_eq!(remove(&store, 9, 2), Outcome::Outdated);
    assert_eq!(remove(&store, 9, 3), Outcome::Stored);
    assert_eq!(remove(&store, 9, 3), Outcome::Stored);
    assert!(store.values.borrow().is_empty());
    assert_eq!(store.written.take(), ["set s.example/a", "remove s.example/a"]);
}

#[test]
fn what_cannot_be_read_is_refused_and_what_is_damaged_is_replaced() {
    let store = Memory::default();
    let good = record(9, 1, "https://example.com/");
    let long = format!("s.example/{}", "x".repeat(KEY_MAX_BYTES));
    for wrong in ["", "a", "/a", "s.example/", "!state", "!state/a", &long] {
        assert_eq!(put(&store, wrong, &good), Outcome::Refused, "{wrong}");
    }
    let mut damaged = good.clone();
    damaged.push(0);
    for wrong in [&b"\x01"[..], b"<html>", b"", &damaged] {
        assert_eq!(put(&store, "s.example/a", wrong), Outcome::Refused, "{wrong:?}");
    }
    assert!(store.values.borrow().is_empty());
    store.values.borrow_mut().insert("s.example/a".to_owned(), b"<html>".to_vec());
    assert_eq!(put(&store, "s.example/a", &good), Outcome::Stored);
    assert_eq!(store.values.borrow().get("s.example/a"), Some(&good));
}

#[test]
fn the_state_goes_forward_only() {
    let store = Memory::default();
    let send = |state: &[u8]| send(&Sync { entries: vec![], state: Some(state) }, &store);
    for (state, expected) in [
        (state_at(5), Outcome::Stored),
        (state_at(4), Outcome::Outdated),
        (state_at(5), Outcome::Stored),
        (state_at(6), Outcome::Stored),
        (b"no state".to_vec(), Outcome::Refused),
    ] {
        assert_eq!(send(&state), [expected]);
    }
    assert_eq!(store.values.borrow().get(STATE_KEY), Some(&state_at(6)));
    assert_eq!(store.written.take(), ["set !state", "set !state"]);
}

#[test]
fn each_entry_has_its_own_outcome() {
    let store = Memory::default();
    let good = record(9, 1, "https://example.com/");
    let entry = |key, record| Entry { key, change: Change::Put(record) };
    let entries =
        vec![entry("s.example/a", &good[..]), entry("s.example/b", b"no"), entry("!x/y", &good)];
    let state = state_at(1);
    let sync = Sync { entries, state: Some(&state) };
    assert_eq!(
        send(&sync, &store),
        [Outcome::Stored, Outcome::Refused, Outcome::Refused, Outcome::Stored]
    );
    assert_eq!(store.forgotten.take(), ["s.example/a"], "nothing else was written");
    store.fails.set(true);
    assert_eq!(
        send(&sync, &store),
        [Outcome::Failed, Outcome::Refused, Outcome::Refused, Outcome::Failed]
    );
    assert!(store.forgotten.take().is_empty());
}

#[test]
fn nobody_else_writes() {
    let store = Memory::default();
    let good = record(9, 1, "https://example.com/");
    let entries = vec![Entry { key: "s.example/a", change: Change::Put(&good) }];
    let body = Sync { entries, state: None }.encode();
    let sign = |key: &OriginKey, path, body: &[u8], now| key.sign_question(path, body, now).0;
    let right = sign(&key(), PATH, &body, NOW);
    let too_long = vec![1; BODY_MAX_BYTES + 1];
    for (signature, body, expected) in [
        (None, &body, (401, "not signed\n")),
        (Some("let me in".to_owned()), &body, (401, "not signed\n")),
        (
            Some(sign(&OriginKey::new([8; 32]), PATH, &body, NOW)),
            &body,
            (401, "signed with another key\n"),
        ),
        (
            Some(sign(&key(), "/api/v1/edge/clicks", &body, NOW)),
            &body,
            (401, "signed with another key\n"),
        ),
        (Some(sign(&key(), PATH, b"other", NOW)), &body, (401, "signed with another key\n")),
        (
            Some(sign(&key(), PATH, &body, NOW.plus_ms(-301_000))),
            &body,
            (401, "signed at another time\n"),
        ),
        (
            Some(sign(&key(), PATH, b"what", NOW)),
            &b"what".to_vec(),
            (400, "no synchronisation of version 1\n"),
        ),
        (Some(right.clone()), &too_long, (413, "a synchronisation has at most 524288 bytes\n")),
    ] {
        let answer =
            run(answer(&key(), signature.as_deref(), body, NOW, &store, |key| store.forget(key)));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, text.as_str()), expected, "{signature:?}");
    }
    assert!(store.values.borrow().is_empty() && store.forgotten.borrow().is_empty());
}
