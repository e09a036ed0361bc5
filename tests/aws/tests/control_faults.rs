//! What links and control data make of throttles, of writes that meet, and of answers that are
//! lost: the store says what happened, or that it does not know.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use waypost_aws::calls::{Write, Written};
use waypost_aws::control::machine::TERMS;
use waypost_aws::host::AwsHost;
use waypost_aws::item::{bytes, number, pair, time};
use waypost_aws::store::AwsStore;
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Draws;
use waypost_service::codes::{Snowflake, Strategy};
use waypost_service::edge::Gate;
use waypost_service::keys::{KeyStore, Role};
use waypost_service::limits::{Limits, Rate, Taken};
use waypost_service::links::Service;
use waypost_service::model::{Link, LinkId};
use waypost_service::problem::{Kind, Problem};
use waypost_service::seams::{
    Created, Idempotency, LinkStore, ListQuery, StoreError, Updated, Use,
};
use waypost_service::testing::{MemoryHost, service};
use waypost_tests::contracts::links::{NOW, create, deleted, edit, sample, stored};
use waypost_tests::contracts::ok;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::Fate::{AnswerLost, Cancelled, Refused, RequestLost};
use waypost_tests_aws::faults::{Fate, Faults};
use waypost_wire::time::Timestamp;

const TRANSACT: &str = "TransactWriteItems";
/// Most tries of a write that meets others.
const TRIES: usize = 10;

/// A store with tables of its own, and what fails of it.
async fn store() -> (AwsStore, Faults) {
    let emulator = Emulator::shared();
    let (_, names) = emulator.tables().await;
    let faults = Faults::default();
    (AwsStore::new(faults.clients(&emulator.url()).await, names), faults)
}

fn answer() -> Idempotency {
    Idempotency {
        key: "key".into(),
        body_hash: [7; 32],
        answer: b"{}".to_vec(),
        expires_at: NOW.plus_ms(1),
    }
}

fn is_unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>, word: &str) {
    match result {
        Err(StoreError::Unavailable(text)) if text.contains(word) => {}
        other => panic!("{other:?} does not say {word:?}"),
    }
}

/// Three times the connection breaks, which is all the SDK tries.
fn thrice(fate: &Fate) -> Vec<Fate> {
    vec![fate.clone(); 3]
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_has_succeeded() {
    let (store, faults) = store().await;
    let own = Link { external_id: Some("crm-1".into()), ..sample(1) };
    // The SDK repeats the call, and the store knows its token.
    faults.plan(TRANSACT, [AnswerLost]);
    assert_eq!(store.create(&stored(own), Some(&answer()), false, NOW).await, Ok(Created::Created));
    assert_eq!(faults.sent(), [TRANSACT, TRANSACT]);

    // All answers are lost: the items say that it was this creation.
    faults.plan(TRANSACT, thrice(&AnswerLost));
    let second = stored(Link { external_id: Some("crm-2".into()), ..sample(2) });
    let other = Idempotency { key: "other".into(), ..answer() };
    assert_eq!(store.create(&second, Some(&other), false, NOW).await, Ok(Created::Created));
    assert_eq!(store.link(&second.key).await, Ok(Some(second.clone())));

    // The store has forgotten the token, and refuses the repetition.
    faults.plan(TRANSACT, [AnswerLost, Cancelled(vec!["ConditionalCheckFailed", "None", "None"])]);
    let third = stored(sample(3));
    assert_eq!(store.create(&third, None, false, NOW).await, Ok(Created::Created));

    // Another creation of the same slug, and of the same link, is another.
    let taken = Ok(Created::SlugTaken { quarantine_until: None });
    assert_eq!(store.create(&third, None, false, NOW).await, taken);
    let twin = stored(Link { slug: third.link.slug, ..sample(4) });
    assert_eq!(store.create(&twin, None, false, NOW).await, taken);
}

#[tokio::test]
async fn a_creation_that_does_not_arrive_says_so() {
    let (store, faults) = store().await;
    let link = stored(sample(1));
    faults.plan(TRANSACT, thrice(&RequestLost));
    is_unavailable(store.create(&link, None, false, NOW).await, "connection");
    assert_eq!(store.link(&link.key).await, Ok(None));
    // Nor is it known whether it was done, if looking fails too.
    faults.plan(TRANSACT, thrice(&AnswerLost));
    faults.plan("GetItem", vec![RequestLost; 6]);
    is_unavailable(store.create(&link, None, false, NOW).await, "connection");
    // Whoever repeats it under its idempotency key is answered; without one, the slug is taken.
    let taken = Created::SlugTaken { quarantine_until: None };
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(taken));
}

#[tokio::test]
async fn a_creation_that_meets_others_is_tried_again() {
    let (store, faults) = store().await;
    let met = Cancelled(vec!["TransactionConflict", "None", "None"]);
    let throttled = Cancelled(vec!["None", "ThrottlingError", "None"]);
    faults.plan(TRANSACT, [met.clone(), throttled, met.clone()]);
    let link = stored(sample(1));
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(Created::Created));
    let calls = faults.sent();
    assert_eq!(calls.iter().filter(|call| *call == TRANSACT).count(), 4, "{calls:?}");

    // Not for ever.
    faults.plan(TRANSACT, vec![met.clone(); TRIES]);
    is_unavailable(store.create(&stored(sample(2)), None, false, NOW).await, "tries");
    faults.sent();
    // What it met may be the one that takes its slug.
    faults.plan(TRANSACT, [met]);
    let twin = stored(Link { slug: link.link.slug, ..sample(3) });
    let taken = Created::SlugTaken { quarantine_until: None };
    assert_eq!(store.create(&twin, None, false, NOW).await, Ok(taken));
    assert_eq!(faults.sent().iter().filter(|call| *call == TRANSACT).count(), 1);
}

#[tokio::test]
async fn throttles_that_last_are_told() {
    let (store, faults) = store().await;
    let link = create(&store, sample(1)).await;
    for code in ["ThrottlingException", "ProvisionedThroughputExceededException"] {
        for (operation, fate) in
            [("GetItem", Refused(code)), ("Query", Refused(code)), ("UpdateItem", Refused(code))]
        {
            // The SDK tries three times; sixteen partitions are read side by side.
            faults.plan(operation, vec![fate; if operation == "Query" { 48 } else { 3 }]);
        }
        is_unavailable(store.link(&link.key).await, code);
        is_unavailable(store.take_use(link.link.id, 1).await, code);
        let query = ListQuery { limit: 9, ..ListQuery::default() };
        is_unavailable(store.list(&query, NOW).await, code);
        faults.begin(Vec::new());
    }
    // One throttle is not told.
    faults.plan("GetItem", [Refused("ThrottlingException")]);
    assert_eq!(store.link(&link.key).await, Ok(Some(link)));
    assert_eq!(faults.sent().iter().filter(|call| *call == "GetItem").count(), 2);
}

#[tokio::test]
async fn an_edit_whose_answer_is_lost_has_succeeded() {
    let (store, faults) = store().await;
    create(&store, sample(1)).await;
    let next =
        |version, title: &str| stored(Link { version, title: Some(title.into()), ..sample(1) });
    // The repetition finds the version that it wrote itself.
    faults.plan("PutItem", [AnswerLost]);
    assert_eq!(store.update(&next(2, "a"), 1).await, Ok(Updated::Updated));
    // Another writing of the same version does not take it for its own.
    assert_eq!(store.update(&next(2, "a"), 1).await, Ok(Updated::Stale));
    faults.plan("PutItem", thrice(&RequestLost));
    is_unavailable(store.update(&next(3, "b"), 2).await, "connection");
    // The same in a transaction, as the external id is written too.
    let named =
        |version| stored(Link { external_id: Some("crm-1".into()), ..next(version, "c").link });
    faults.plan(TRANSACT, [Cancelled(vec!["TransactionConflict", "None"])]);
    assert_eq!(store.update(&named(3), 2).await, Ok(Updated::Updated));
    faults.plan(TRANSACT, [AnswerLost, Cancelled(vec!["None", "ConditionalCheckFailed"])]);
    assert_eq!(store.update(&next(4, "d"), 3).await, Ok(Updated::Updated));
    faults.plan("PutItem", vec![Refused("TransactionConflictException"); TRIES]);
    is_unavailable(store.update(&next(5, "e"), 4).await, "tries");
    assert_eq!(store.link(&next(4, "d").key).await, Ok(Some(next(4, "d"))));
    faults.sent();
}

#[tokio::test]
async fn a_purge_whose_answer_is_lost_has_succeeded() {
    let (store, faults) = store().await;
    let dead = create(&store, deleted(1)).await;
    faults.plan(TRANSACT, [AnswerLost, Cancelled(vec!["ConditionalCheckFailed", "None", "None"])]);
    assert_eq!(store.purge(dead.link.id, 1).await, Ok(Updated::Updated));
    assert_eq!(store.purge(dead.link.id, 1).await, Ok(Updated::Stale));
    faults.sent();
}

#[tokio::test]
async fn a_lost_answer_costs_a_use_and_never_gives_one_too_many() {
    let (store, faults) = store().await;
    let link = create(&store, sample(1)).await;
    faults.plan("UpdateItem", [AnswerLost]);
    assert_eq!(store.take_use(link.link.id, 3).await, Ok(Use::Taken { left: 1 }));
    assert_eq!(store.take_use(link.link.id, 3).await, Ok(Use::Taken { left: 0 }));
    assert_eq!(store.take_use(link.link.id, 3).await, Ok(Use::Exhausted));
    faults.plan("UpdateItem", [Refused("TransactionConflictException")]);
    assert_eq!(store.take_use(link.link.id, 4).await, Ok(Use::Taken { left: 0 }));
    // A counter skips what may have been leased.
    faults.plan("UpdateItem", [AnswerLost]);
    assert_eq!(store.lease("codes", 10).await, Ok(10));
}

#[tokio::test]
async fn a_lease_whose_answer_is_lost_is_had() {
    let (store, faults) = store().await;
    faults.plan("UpdateItem", [AnswerLost]);
    let run = ok(store.begin_run("rollup", 1_000, NOW).await).expect("nobody else runs");
    assert_eq!(run.lease.fence, 2);
    assert_eq!(store.begin_run("rollup", 1_000, NOW).await, Ok(None));
    faults.plan("UpdateItem", [AnswerLost]);
    assert!(ok(store.renew_run(&run, NOW).await).is_some());
    faults.plan("UpdateItem", [AnswerLost]);
    ok(store.lease_machine(NOW).await);
}

/// A control plane whose clock a test sets.
struct Plane {
    service: Service<AwsHost>,
    clock: Arc<AtomicI64>,
}

impl Plane {
    fn new(store: &AwsStore) -> Self {
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let shown = Arc::clone(&clock);
        let ambient = Ambient::with_clock(move || Timestamp(shown.load(Ordering::SeqCst)));
        let base = service(MemoryHost::new(NOW)).expect("a service");
        let snowflake = || Snowflake::new(0, 0, 5_000).expect("a machine");
        let host = AwsHost::new(ambient, store.clone());
        let codes = Strategy::Snowflake(snowflake());
        let (policy, rules, settings) = (base.policy, base.rules, base.settings);
        Self { service: Service::new(host, policy, rules, settings, snowflake(), codes), clock }
    }

    /// Makes a link; answers the number of the machine in its id.
    async fn create(&self) -> Result<u16, Problem> {
        let now = Timestamp(self.clock.load(Ordering::SeqCst));
        let body = json!({ "destination": "https://example.com/" }).to_string();
        let mut draws = Draws::new(&self.service.host.ambient);
        let made = self.service.create(body.as_bytes(), None, &mut draws, now).await?;
        let link: serde_json::Value = serde_json::from_slice(&made.answer).expect("JSON");
        let id: LinkId = link["id"].as_str().expect("an id").parse().expect("an id");
        // The code is an id of the same machine.
        let code: LinkId = made.slug.parse().expect("an id");
        let machine = |id: LinkId| (id.0 >> 12 & 1_023) as u16;
        assert_eq!(machine(id), machine(code));
        Ok(machine(id))
    }

    fn wait(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_process_takes_a_machine_with_its_first_id_and_not_before() {
    let (store, faults) = store().await;
    let plane = Plane::new(&store);
    // Reading makes no ids.
    plane.service.list(&ListQuery { limit: 1, ..ListQuery::default() }, NOW).await.expect("a page");
    assert!(!faults.sent().contains(&"UpdateItem".to_owned()));

    // No number to be had: that creation fails, reading goes on, and the next one tries again.
    faults.plan("UpdateItem", thrice(&RequestLost));
    let problem = plane.create().await.expect_err("no number");
    assert_eq!((problem.kind, problem.status()), (Kind::Unavailable, 503));
    assert!(problem.log.is_some_and(|log| log.contains("connection")));
    assert_eq!(faults.sent(), ["UpdateItem"; 3], "nothing was written");
    plane.service.list(&ListQuery { limit: 1, ..ListQuery::default() }, NOW).await.expect("a page");

    // Many at once take one.
    faults.sent();
    let (one, two, three) = tokio::join!(plane.create(), plane.create(), plane.create());
    let numbers: BTreeSet<u16> = [one, two, three].map(|made| made.expect("a link")).into();
    assert_eq!(numbers.len(), 1);
    let taken = faults.sent().into_iter().filter(|call| call == "UpdateItem").count();
    assert_eq!(taken, 1);
    // Processes differ.
    assert!(!numbers.contains(&Plane::new(&store).create().await.expect("a link")));
}

#[tokio::test]
async fn no_id_is_made_with_a_number_whose_lease_has_ended() {
    let (store, faults) = store().await;
    let plane = Plane::new(&store);
    let leases = || faults.sent().into_iter().filter(|call| call == "UpdateItem").count();
    let first = plane.create().await.expect("a link");
    assert_eq!(leases(), 1);
    plane.wait(TERMS.lease_ms / 2);
    assert_eq!((plane.create().await, leases()), (Ok(first), 0));
    // It is renewed when half of its time is over; if that fails, there is time to try again.
    plane.wait(1);
    faults.plan("UpdateItem", thrice(&RequestLost));
    assert_eq!((plane.create().await, leases()), (Ok(first), 4), "its code, then its id");
    assert_eq!((plane.create().await, leases()), (Ok(first), 0));
    // Its time is over, and nobody says that it may go on.
    plane.wait(TERMS.lease_ms);
    faults.plan("UpdateItem", thrice(&RequestLost));
    let problem = plane.create().await.expect_err("no number");
    assert_eq!((problem.kind, leases()), (Kind::Unavailable, 3));
    // Nor may those go on that ask while another one does.
    faults.plan("UpdateItem", vec![RequestLost; 9]);
    let (one, two, three) = tokio::join!(plane.create(), plane.create(), plane.create());
    let kinds = [one, two, three].map(|made| made.map_err(|problem| problem.kind));
    assert_eq!((kinds, leases()), ([const { Err(Kind::Unavailable) }; 3], 9));
    // Nobody took it meanwhile.
    assert_eq!((plane.create().await, leases()), (Ok(first), 1));

    // It was frozen for so long that another has its number: it takes another one first.
    plane.wait(TERMS.lease_ms + TERMS.safe_ms);
    let mut key = pair("machines", format!("{first:04}"));
    key.insert("holder".into(), bytes([7; 16]));
    key.insert("fence".into(), number(9));
    let until = Timestamp(plane.clock.load(Ordering::SeqCst)).plus_ms(TERMS.lease_ms);
    key.insert("expires_at".into(), time(until));
    let put = Write::put(&store.names.control, key).alone(&store).await;
    assert!(matches!(put, Ok(Written::Done(_))), "{put:?}");
    let second = plane.create().await.expect("a link");
    assert_ne!(second, first);
    assert_eq!(plane.create().await, Ok(second));

    // Given back, it is not used again without being taken again.
    ok(plane.service.host.machine.end(&store, until).await);
    leases();
    plane.create().await.expect("a link");
    assert_eq!(leases(), 1);
}

/// A limit that cannot be counted admits nobody.
#[tokio::test]
async fn attempts_are_not_admitted_uncounted() {
    let (store, faults) = store().await;
    let key = stored(sample(1)).key;
    faults.plan("UpdateItem", thrice(&RequestLost));
    is_unavailable(store.admits_attempt(&key, Some(1), NOW).await, "connection");
    faults.plan("UpdateItem", vec![Refused("TransactionConflictException"); TRIES]);
    is_unavailable(store.admits_attempt(&key, Some(1), NOW).await, "tries");
    assert_eq!(store.admits_attempt(&key, Some(1), NOW).await, Ok(true));
    // A lost answer counts twice, never not at all.
    let rate = Rate { capacity: 2, refill: 1, per_ms: 1_000 };
    let granted = Taken::Granted { remaining: 1, full_at: NOW.plus_ms(1_000) };
    assert_eq!(store.take_tokens("a", rate, 1, NOW).await, Ok(granted));
    faults.plan("UpdateItem", [AnswerLost]);
    let refused = Taken::Refused { retry_after_ms: 1_000, full_at: NOW.plus_ms(2_000) };
    assert_eq!(store.take_tokens("a", rate, 1, NOW).await, Ok(refused));
}

#[tokio::test]
async fn a_key_whose_answer_is_lost_is_there_once() {
    let (store, faults) = store().await;
    let key = waypost_service::keys::ApiKey {
        id: "a".into(),
        name: "n".into(),
        role: Role::Viewer,
        requests_per_minute: None,
        hash: [1; 32],
        created_at: NOW,
        last_used_at: None,
        revoked_at: None,
    };
    faults.plan(TRANSACT, [AnswerLost, Cancelled(vec!["ConditionalCheckFailed", "None"])]);
    assert_eq!(store.insert_key(&key).await, Ok(()));
    faults.plan("UpdateItem", [AnswerLost]);
    assert_eq!(store.revoke_key("a", NOW).await, Ok(true));
    assert_eq!(store.revoke_key("a", NOW.plus_ms(1)).await, Ok(false));
}

#[tokio::test]
async fn a_replaced_link_is_not_taken_for_its_heir() {
    let (store, faults) = store().await;
    let link = create(&store, sample(1)).await;
    let heir = edit(&store, &link, |link| link.deleted_at = Some(NOW)).await;
    let heir = stored(Link { slug: heir.link.slug, ..sample(2) });
    assert_eq!(store.create(&heir, None, true, NOW).await, Ok(Created::Created));
    assert_eq!(store.link_by_id(LinkId(1)).await, Ok(None));
    assert_eq!(store.take_use(LinkId(1), 1).await, Ok(Use::Exhausted));
    assert_eq!(store.record(heir.key.as_str(), NOW).await, Ok(Some(heir.record.clone())));
    assert_eq!(store.record("", NOW).await, Ok(None));
    faults.sent();
}
