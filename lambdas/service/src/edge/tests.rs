use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::HeaderMap;
use pollster::block_on;
use serde_json::{Value, json};
use waypost_wire::click::{BatchWriter, Click, Target};
use waypost_wire::origin::{Answer, Resolved, Stored, Unlocked, Used};
use waypost_wire::record::Generation;
use waypost_wire::state::{CHANGES_MAX, Change, EdgeState, decode};

use super::state::{CHANGES_WANTED, SPAN_MS, compose};
use super::*;
use crate::ambient::Draws;
use crate::counting::integrity::integrity;
use crate::links::Expected;
use crate::model::{Block, Link, LinkId};
use crate::seams::{Changed, LinkStore};
use crate::testing::{MemoryHost, service};

const NOW: Timestamp = Timestamp(1_795_244_400_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const KEY: OriginKey = OriginKey::new([7; 32]);
const PATHS: [&str; 5] = [
    "/api/v1/edge/clicks",
    "/api/v1/edge/consume",
    "/api/v1/edge/resolve",
    "/api/v1/edge/state",
    "/api/v1/edge/unlock",
];

/// A host in memory with edges.
struct World {
    service: Service<MemoryHost>,
    /// Passwords that may still be tried.
    attempts: AtomicU32,
    is_down: AtomicBool,
}

impl Gate for World {
    type Record = Vec<u8>;

    async fn record(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        assert_eq!(now, NOW);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("no answer".into()));
        }
        let (domain, slug) = key.split_once('/').unwrap_or((key, ""));
        let stored = self.service.host.links.link(&LinkKey::new(domain, slug, false)).await?;
        Ok(stored.map(|stored| stored.record))
    }

    async fn admits_attempt(
        &self,
        _: &LinkKey,
        _: Option<u128>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        let take = |left: u32| left.checked_sub(1);
        Ok(self.attempts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok())
    }
}

impl World {
    fn new() -> Self {
        Self {
            service: service(MemoryHost::new(NOW)).unwrap(),
            attempts: AtomicU32::new(2),
            is_down: AtomicBool::new(false),
        }
    }

    fn create(&self, fields: Value) -> Link {
        let mut body = json!({"destination": "https://example.com/"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut draws = Draws::new(self.service.host.ambient());
        let body = body.to_string();
        let made = block_on(self.service.create(body.as_bytes(), None, &mut draws, NOW)).unwrap();
        let key = self.service.key("s.example", &made.slug);
        block_on(self.service.host.links.link(&key)).unwrap().unwrap().link
    }

    fn send(&self, request: Request<Bytes>) -> (Response<Bytes>, Handled) {
        let caller = Caller { request_id: "r1".into(), client_ip: None };
        let mut response = block_on(handle(&self.service, self, &KEY, request, caller));
        let handled = response.extensions_mut().remove::<Handled>().unwrap();
        (response, handled)
    }

    /// Asks as an edge does, and checks the answer as an edge does.
    fn ask(&self, question: &Question<'_>) -> (Vec<u8>, Handled) {
        let (path, body) = (question.path(), question.encode());
        let (signature, mac) = KEY.sign_question(path, &body, NOW);
        let (response, handled) = self.send(post(path, body, Some(&signature)));
        let answer = response.body();
        let signature = header(response.headers(), sign::HEADER);
        assert!(KEY.is_answer(signature, &mac, response.status().as_u16(), answer));
        assert_eq!(
            headers(&response),
            [
                "cache-control: no-store",
                "content-type: application/octet-stream",
                "x-content-type-options: nosniff",
                &format!("x-waypost-signature: {signature}"),
            ]
        );
        (answer.to_vec(), handled)
    }

    fn consume(&self, id: LinkId) -> (Used, &'static str) {
        let (answer, handled) = self.ask(&Question::Consume { link_id: id.0 });
        (Used::decode(&answer).unwrap(), handled.outcome)
    }

    fn unlock(&self, key: &str, password: &str) -> (Unlocked, &'static str) {
        let question = Question::Unlock { key, password, client_ip: Some(7) };
        let (answer, handled) = self.ask(&question);
        (Unlocked::decode(&answer).unwrap(), handled.outcome)
    }
}

fn post(path: &str, body: Vec<u8>, signature: Option<&str>) -> Request<Bytes> {
    let mut request = Request::post(path);
    if let Some(signature) = signature {
        request = request.header(sign::HEADER, signature);
    }
    request.body(Bytes::from(body)).unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// All of them, sorted.
fn headers(response: &Response<Bytes>) -> Vec<String> {
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<String> = response.headers().iter().map(line).collect();
    lines.sort();
    lines
}

/// A refused request: the document, the headers but those that all have, and what is logged.
fn refusal((response, handled): (Response<Bytes>, Handled)) -> (Value, Vec<String>, Handled) {
    let always = ["cache-control: no-store", "x-content-type-options: nosniff"];
    let (common, own): (Vec<_>, Vec<_>) =
        headers(&response).into_iter().partition(|line| always.contains(&line.as_str()));
    assert_eq!(common, always);
    assert!(response.headers().get(sign::HEADER).is_none());
    let document: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(document["status"], json!(response.status().as_u16()));
    (document, own, handled)
}

fn document(kind: Kind, detail: &str) -> Value {
    let about = kind.about();
    json!({
        "type": kind.uri(), "title": about.title, "status": about.status, "detail": detail,
        "instance": "urn:waypost:request:r1",
    })
}

#[test]
fn every_question_is_asked_at_its_own_path() {
    let questions = [
        Question::Clicks { batches: vec![] },
        Question::Consume { link_id: 1 },
        Question::Resolve { key: "" },
        Question::State,
        Question::Unlock { key: "", password: "", client_ip: None },
    ];
    assert_eq!(questions.each_ref().map(Question::path), PATHS);
    let names = PATHS.map(|path| name(path).unwrap());
    assert_eq!(names, ["clicks", "consume", "resolve", "state", "unlock"]);
    for other in ["/api/v1/edge/", "/api/v1/edge/State", "/api/v1/edge/state/", "/api/v1/state"] {
        assert_eq!(name(other), None, "{other}");
    }
}

#[test]
fn a_record_is_what_is_stored_under_its_key() {
    let world = World::new();
    let link = world.create(json!({}));
    let key = world.service.key("s.example", &link.slug);
    let record = block_on(world.service.host.links.link(&key)).unwrap().unwrap().record;
    let (answer, handled) = world.ask(&Question::Resolve { key: key.as_str() });
    let found = Resolved { key: key.as_str(), record: Some(&record) };
    assert_eq!(Resolved::decode(&answer), Ok(found));
    let found = Handled { question: Some("resolve"), outcome: "found", log: None };
    assert_eq!(handled, found);
    for key in ["s.example/none", "no slash", ""] {
        let (answer, handled) = world.ask(&Question::Resolve { key });
        assert_eq!(Resolved::decode(&answer), Ok(Resolved { key, record: None }));
        assert_eq!(handled.outcome, "missing");
    }
}

#[test]
fn uses_end_at_the_limit() {
    let world = World::new();
    let link = world.create(json!({"max_clicks": 2}));
    let taken = (Used::Taken, "taken");
    let exhausted = (Used::Exhausted, "exhausted");
    let uses: Vec<_> = (0..4).map(|_| world.consume(link.id)).collect();
    assert_eq!(uses, [taken, taken, exhausted, exhausted]);
    assert_eq!(world.consume(world.create(json!({})).id), taken, "the limit was lifted");
    for id in [0, u64::MAX] {
        assert_eq!(world.consume(LinkId(id)), exhausted);
    }
}

#[test]
fn passwords_are_compared_as_long_as_tries_are_left() {
    let world = World::new();
    let link = world.create(json!({"password": "sésame"}));
    let key = world.service.key("s.example", &link.slug);
    assert_eq!(world.unlock(key.as_str(), "Sésame"), (Unlocked::Wrong, "wrong"));
    assert_eq!(world.unlock(key.as_str(), "sésame"), (Unlocked::Right, "right"));
    assert_eq!(world.unlock(key.as_str(), "sésame"), (Unlocked::TooMany, "too-many"));
    world.attempts.store(9, Ordering::SeqCst);
    for key in ["s.example/none", "none", ""] {
        assert_eq!(world.unlock(key, ""), (Unlocked::Wrong, "wrong"), "{key}");
    }
}

#[test]
fn clicks_are_stored_once_and_what_is_no_batch_is_told_apart() {
    let world = World::new();
    let mut writer = BatchWriter::new(9, 0);
    for _ in 0..3 {
        let target = Target::Default;
        writer.push(&Click { link_id: 1, at: NOW, target, ..Click::default() });
    }
    let batch = writer.finish();
    let question = Question::Clicks { batches: vec![b"none", &batch, b"", &batch] };
    let (answer, handled) = world.ask(&question);
    let stored = Stored { batches: vec![false, true, false, true] };
    assert_eq!(Stored::decode(&answer), Ok(stored));
    assert_eq!((handled.question, handled.outcome), (Some("clicks"), "partly-stored"));
    let log = handled.log.unwrap();
    assert!(log.starts_with("2 of 4 batches of clicks are none, the first: "), "{log}");
    let (answer, handled) = world.ask(&Question::Clicks { batches: vec![&batch] });
    assert_eq!(Stored::decode(&answer), Ok(Stored { batches: vec![true] }));
    assert_eq!((handled.outcome, handled.log), ("stored", None));
    let account = block_on(integrity(&world.service.host.counters, NOW)).unwrap();
    assert_eq!((account.accepted, account.counted, account.duplicate), (3, 3, 6));
    let (answer, _) = world.ask(&Question::Clicks { batches: vec![] });
    assert_eq!(Stored::decode(&answer), Ok(Stored { batches: vec![] }));
}

#[test]
fn the_state_has_the_salts_and_every_change_of_a_day() {
    let world = World::new();
    let (answer, handled) = world.ask(&Question::State);
    assert_eq!((handled.question, handled.outcome), (Some("state"), "told"));
    let empty = decode(&answer).unwrap();
    assert_eq!((empty.published_at, empty.since), (NOW, NOW.plus_ms(-DAY_MS)));
    assert_eq!(empty.changes, []);
    let today = Timestamp(NOW.0.div_euclid(DAY_MS) * DAY_MS);
    let [(first, one), (second, two)] = empty.salts[..] else { panic!("{:?}", empty.salts) };
    assert_eq!((first, second), (today, today.plus_ms(DAY_MS)));
    assert!(one != two && one != [0; 16]);

    let links = [json!({"slug": "one"}), json!({"slug": "two"}), json!({"slug": "three"})];
    let [one, two, three] = links.map(|fields| world.create(fields));
    let key = |link: &Link| world.service.key("s.example", &link.slug);
    let (first, third) = (key(&one), key(&three));
    let mut draws = Draws::new(world.service.host.ambient());
    let (disable, any) = (br#"{"disabled": true}"#, Expected::Any);
    let disabled = world.service.update(&first, disable, &any, &mut draws, NOW.plus_ms(1));
    assert!(block_on(disabled).is_ok());
    let blocked = world.service.block(&third, Some(Block::Legal), &any, NOW.plus_ms(2));
    assert!(block_on(blocked).is_ok());
    let (answer, _) = world.ask(&Question::State);
    let state = decode(&answer).unwrap();
    assert_eq!((state.published_at, state.since, &state.salts), (NOW, empty.since, &empty.salts));
    let change = |key, link: &Link, version, stopped| Change {
        key,
        generation: Generation { link_id: link.id.0, version },
        stopped,
    };
    assert_eq!(
        state.changes,
        [
            change("s.example/three", &three, 2, true),
            change("s.example/one", &one, 2, true),
            change("s.example/two", &two, 1, false),
        ]
    );
}

#[test]
fn what_does_not_fit_the_state_moves_its_start() {
    let changed = |number: usize| Changed {
        at: NOW.plus_ms(-(number as i64) / 2),
        key: LinkKey::new("s.example", &number.to_string(), false),
        generation: Generation { link_id: number as u64, version: 1 },
        stopped: number == 3,
    };
    // By time, two at each.
    let all: Vec<Changed> = (0..CHANGES_WANTED).map(changed).collect();
    let state = |count: usize| compose(&all[..count], &[(NOW, [7; 16])], NOW);
    let whole = state(CHANGES_MAX);
    let EdgeState { published_at, since, salts, changes } = decode(&whole).unwrap();
    assert_eq!((published_at, since), (NOW, NOW.plus_ms(-SPAN_MS)));
    assert_eq!(salts, [(NOW, [7; 16])]);
    let told: Vec<_> = changes.iter().map(|change| (change.key, change.generation)).collect();
    let wanted: Vec<_> = all.iter().map(|one| (one.key.as_str(), one.generation)).collect();
    assert_eq!(told, wanted[..CHANGES_MAX]);
    assert_eq!(changes.iter().position(|change| change.stopped), Some(3));

    let cut = state(CHANGES_WANTED);
    let cut = decode(&cut).unwrap();
    assert_eq!(cut.changes, changes);
    assert_eq!(cut.since, all[CHANGES_MAX].at.plus_ms(10_000));
}

#[test]
fn nothing_is_done_for_who_does_not_hold_the_key() {
    let world = World::new();
    let link = world.create(json!({"max_clicks": 1}));
    let body = Question::Consume { link_id: link.id.0 }.encode();
    let path = "/api/v1/edge/consume";
    let (right, _) = KEY.sign_question(path, &body, NOW);
    let (elsewhere, _) = KEY.sign_question("/api/v1/edge/state", &body, NOW);
    let (foreign, _) = OriginKey::new([8; 32]).sign_question(path, &body, NOW);
    let (old, _) = KEY.sign_question(path, &body, NOW.plus_ms(-301_000));
    let (early, _) = KEY.sign_question(path, &body, NOW.plus_ms(301_000));
    let forgetful = "there is not one header x-waypost-signature";
    let malformed = "x-waypost-signature is not of the form t=<unix seconds>,s=<64 hex digits>";
    let wrong = "the signature is not that of this path and body under the key of this origin";
    let clock = "the clock differs by more than 300 s from this one";
    let longer = [&body[..], &[0]].concat();
    let mut twice = post(path, body.clone(), Some(&right));
    twice.headers_mut().append(sign::HEADER, HeaderValue::try_from(&right).unwrap());
    let mut binary = post(path, body.clone(), None);
    binary.headers_mut().insert(sign::HEADER, HeaderValue::from_bytes(b"\xff").unwrap());
    for (request, detail) in [
        (post(path, body.clone(), None), forgetful),
        (twice, forgetful),
        (binary, malformed),
        (post(path, body.clone(), Some("")), malformed),
        (post(path, body.clone(), Some(&right[..right.len() - 1])), malformed),
        (post(path, longer, Some(&right)), wrong),
        (post(path, body.clone(), Some(&elsewhere)), wrong),
        (post(path, body.clone(), Some(&foreign)), wrong),
        (post("/api/v1/edge/state", body.clone(), Some(&right)), wrong),
        (post(path, body.clone(), Some(&old)), clock),
        (post(path, body.clone(), Some(&early)), clock),
    ] {
        let (found, headers, handled) = refusal(world.send(request));
        assert_eq!(found, document(Kind::Unauthenticated, detail));
        let asks =
            ["content-type: application/problem+json", "www-authenticate: Waypost-Signature"];
        assert_eq!(headers, asks);
        assert_eq!((handled.outcome, handled.log.as_deref()), ("unauthenticated", Some(detail)));
    }
    assert_eq!(world.consume(link.id), (Used::Taken, "taken"), "none was used");
}

#[test]
fn questions_are_posted_to_their_paths_and_are_not_too_long() {
    let world = World::new();
    let problem = vec!["content-type: application/problem+json".to_owned()];
    let elsewhere = post("/api/v1/edge/other", vec![], None);
    let (found, headers, handled) = refusal(world.send(elsewhere));
    assert_eq!(found, document(Kind::NotFound, "there is nothing at /api/v1/edge/other"));
    assert_eq!((headers, handled.question), (problem.clone(), None));
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let mut request = post("/api/v1/edge/state", vec![], None);
        *request.method_mut() = method;
        let (found, headers, handled) = refusal(world.send(request));
        let detail = "/api/v1/edge/state takes POST";
        assert_eq!(found, document(Kind::MethodNotAllowed, detail));
        assert_eq!(headers, ["allow: POST", "content-type: application/problem+json"]);
        assert_eq!((handled.question, handled.outcome), (Some("state"), "method-not-allowed"));
    }
    let mut head = post("/api/v1/edge/state", vec![], None);
    *head.method_mut() = Method::HEAD;
    let (response, _) = world.send(head);
    assert_eq!((response.status().as_u16(), response.body().len()), (405, 0));
    let (found, headers, handled) =
        refusal(world.send(post("/api/v1/edge/clicks", vec![1; QUESTION_MAX_BYTES + 1], None)));
    assert_eq!(found, document(Kind::BodyTooLarge, "a question has at most 524288 bytes"));
    assert_eq!((headers, handled.question), (problem, Some("clicks")));
}

#[test]
fn what_is_no_question_is_refused_though_it_is_signed() {
    let world = World::new();
    let version = "the question is of a version that this origin cannot read";
    let damaged = "the question is damaged: a value is missing, unknown or too many";
    for path in PATHS {
        for (body, detail) in [
            (&b""[..], damaged),
            (&[2], version),
            (b"{\"links\": []}", version),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7], damaged),
            (&[1, 1, 0xff, 0, 0, 0], damaged),
        ] {
            let (signature, _) = KEY.sign_question(path, body, NOW);
            let (found, headers, handled) =
                refusal(world.send(post(path, body.to_vec(), Some(&signature))));
            assert_eq!(found, document(Kind::MalformedQuestion, detail), "{path} {body:?}");
            assert_eq!(headers, ["content-type: application/problem+json"]);
            assert_eq!(handled.outcome, "malformed-question");
        }
    }
}

#[test]
fn a_store_that_does_not_answer_is_a_failure_and_no_absence() {
    let world = World::new();
    world.is_down.store(true, Ordering::SeqCst);
    let question = Question::Resolve { key: "s.example/a" };
    let (path, body) = (question.path(), question.encode());
    let (signature, _) = KEY.sign_question(path, &body, NOW);
    let (found, headers, handled) = refusal(world.send(post(path, body, Some(&signature))));
    let mut wanted = document(Kind::Unavailable, "the store does not answer; nothing was changed");
    wanted["retry_after_seconds"] = json!(5);
    assert_eq!(found, wanted);
    assert_eq!(headers, ["content-type: application/problem+json", "retry-after: 5"]);
    assert_eq!(handled.outcome, "unavailable");
    assert_eq!(handled.log.as_deref(), Some("store is unavailable: no answer"));
}
