//! The contract of `SealedLinks`: what sealing anew does and leaves. Every function is given an
//! empty vault.

use std::cell::Cell;

use waypost_service::model::{Link, LinkId};
use waypost_service::seal::fields::Sealing;
use waypost_service::seal::reseal::{Change, Report, Row, Rows, SealedLinks, Stopped, reseal};
use waypost_service::seal::{NONCE_BYTES, SealKeys};
use waypost_service::seams::{Due, LinkStore, ListQuery, StoreError, StoredLink, Updated, Use};
use waypost_wire::time::Timestamp;

use super::links::lists::walk;
use super::links::{NOW, create, deleted, sample, stored};
use super::ok;

/// Keys, by their numbers.
pub const OLD: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
/// See [`OLD`].
pub const NEW: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";
/// In nobody's list.
const LOST: &str = "3:0303030303030303030303030303030303030303030303030303030303030303";

/// Links that can be opened with different keys, one after the other.
pub trait Vault {
    /// How they are seen.
    type Store: LinkStore + SealedLinks;

    /// With these keys; the store before is dropped.
    fn open(&self, keys: Option<SealKeys>) -> impl Future<Output = Self::Store>;
}

/// The keys in a text, the first seals.
///
/// # Panics
/// If they are none.
pub fn keys(text: &str) -> SealKeys {
    match SealKeys::read(text) {
        Ok(keys) => keys,
        Err(fault) => panic!("{fault}"),
    }
}

/// The new keys in front of the old ones.
fn both() -> SealKeys {
    keys(&format!("{NEW} {OLD}"))
}

fn nonces() -> impl Fn() -> Option<[u8; NONCE_BYTES]> {
    let next = Cell::new(0);
    move || {
        next.set(next.get() + 1);
        Some([next.get(); NONCE_BYTES])
    }
}

async fn run(store: &impl SealedLinks, after: Option<LinkId>) -> Result<Report, Stopped> {
    reseal(store, &Sealing::with(Some(both())), &nonces(), after, &mut |_| ()).await
}

/// With notes, and a password if `is_private`.
fn secret(number: u64, is_private: bool) -> Link {
    let password_hash = is_private.then(|| "$argon2id$".to_owned());
    let (notes, tags) = (Some("between us".to_owned()), vec!["tag".to_owned()]);
    Link { notes, tags, password_hash, ..sample(number) }
}

/// A report without faults.
fn report(links: u64, written: u64, in_use: &[(u32, u64)]) -> Report {
    Report { links, written, in_use: in_use.iter().copied().collect(), ..Report::default() }
}

/// What the store tells of everything in it.
async fn told(store: &impl LinkStore, numbers: std::ops::RangeInclusive<u64>) -> Told {
    let mut links = Vec::new();
    for number in numbers {
        links.push(ok(store.link_by_id(LinkId(number)).await));
    }
    let mut due = Vec::new();
    for kind in [Due::Expired, Due::QuarantineEnded, Due::Recompile, Due::Transition, Due::Unused] {
        due.push(ok(store.due(kind, NOW.plus_ms(90_000_000), None, 100).await));
    }
    let changed = ok(store.changed(Timestamp(0), 100).await);
    let listed = walk(store, &ListQuery { limit: 2, ..ListQuery::default() }).await;
    Told {
        links,
        due,
        changed: changed.into_iter().map(|link| format!("{link:?}")).collect(),
        listed,
    }
}

#[derive(Debug, PartialEq)]
struct Told {
    links: Vec<Option<StoredLink>>,
    due: Vec<Vec<(Timestamp, StoredLink)>>,
    changed: Vec<String>,
    listed: Vec<Link>,
}

/// Links that were plain and those of an old key end with the first key, and nothing else of them
/// changes; a second run finds nothing to do, and the old key is not needed any more.
pub async fn all_links_end_with_the_first_key(vault: &impl Vault) {
    let plain = vault.open(None).await;
    create(&plain, secret(1, false)).await;
    create(&plain, secret(2, true)).await;
    create(&plain, Link { notes: Some("gone".into()), ..deleted(3) }).await;
    drop(plain);
    let old = vault.open(Some(keys(OLD))).await;
    let limited = Link { expires_at: Some(NOW.plus_ms(5)), max_clicks: Some(2), ..secret(4, true) };
    let limited = StoredLink { recompile_at: Some(NOW), ..stored(limited) };
    ok(old.create(&limited, None, false, NOW).await);
    create(&old, sample(5)).await;
    assert_eq!(old.take_use(LinkId(4), 2).await, Ok(Use::Taken { left: 1 }));
    drop(old);

    let store = vault.open(Some(both())).await;
    create(&store, secret(6, true)).await;
    let before = told(&store, 1..=6).await;
    assert_eq!(run(&store, None).await, Ok(report(6, 5, &[(2, 6)])));
    assert_eq!(told(&store, 1..=6).await, before);
    assert_eq!(run(&store, None).await, Ok(report(6, 0, &[(2, 6)])));
    drop(store);

    let new = vault.open(Some(keys(NEW))).await;
    assert_eq!(told(&new, 1..=6).await, before);
    assert_eq!(new.take_use(LinkId(4), 2).await, Ok(Use::Taken { left: 0 }));
    let edited = before.links[0].clone().map(|link| link.link);
    let edited =
        stored(Link { version: 2, title: Some("new".into()), ..edited.unwrap_or(sample(1)) });
    assert_eq!(new.update(&edited, 1).await, Ok(Updated::Updated));
    assert_eq!(new.link_by_id(LinkId(1)).await, Ok(Some(edited)));
}

/// Documents and records lie sealed and plain as they should: every document is, and the record of
/// a link with a password.
pub async fn what_lies_in_the_store_is_sealed(vault: &impl Vault) {
    let store = vault.open(Some(keys(OLD))).await;
    create(&store, secret(1, false)).await;
    create(&store, secret(2, true)).await;
    let lies = |rows: Rows| -> Vec<[Option<u32>; 2]> {
        rows.rows.iter().map(|row| row.fields.keys()).collect()
    };
    assert_eq!(lies(ok(store.rows(None, 9).await)), [[Some(1), None], [Some(1), Some(1)]]);
    drop(store);
    let store = vault.open(Some(both())).await;
    ok(run(&store, None).await.map_err(|stopped| stopped.error));
    let rows = ok(store.rows(None, 9).await);
    let told: Vec<_> = rows.rows.iter().map(|row| (row.id.0, row.version, &*row.key)).collect();
    assert_eq!(told, [(1, 1, "s.example/slug-1"), (2, 1, "s.example/slug-2")]);
    assert_eq!(lies(rows), [[Some(2), None], [Some(2), Some(2)]]);
}

/// The walk goes by creation, in pages, and starts where it is told to.
pub async fn a_walk_starts_behind_a_link(vault: &impl Vault) {
    let store = vault.open(Some(keys(OLD))).await;
    for number in 1..=5 {
        create(&store, secret(number, true)).await;
    }
    let (mut after, mut walked) = (None, Vec::new());
    loop {
        let Rows { rows, next } = ok(store.rows(after, 2).await);
        walked.extend(rows.iter().map(|row| row.id.0));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, [1, 2, 3, 4, 5]);
    drop(store);
    let store = vault.open(Some(both())).await;
    assert_eq!(run(&store, Some(LinkId(3))).await, Ok(report(2, 2, &[(2, 2)])));
    assert_eq!(run(&store, None).await, Ok(report(5, 3, &[(2, 5)])));
}

/// A store that fails is told, with how far everything is done, and the next run goes on there.
pub async fn a_stopped_walk_says_how_far_it_was(vault: &impl Vault) {
    // More than are looked at together.
    const LINKS: u64 = 230;
    let store = vault.open(Some(keys(OLD))).await;
    for number in 1..=LINKS {
        create(&store, sample(number)).await;
    }
    drop(store);
    let store = vault.open(Some(both())).await;
    let failing = Failing { store: &store, pages: Cell::new(1) };
    let Err(Stopped { after: Some(after), error }) = run(&failing, None).await else {
        panic!("it must stop behind a link")
    };
    assert_eq!(error, StoreError::Unavailable("no more pages".into()));
    let done = after.0;
    assert!((1..LINKS).contains(&done), "{done}");
    assert_eq!(
        run(&store, Some(after)).await,
        Ok(report(LINKS - done, LINKS - done, &[(2, LINKS - done)]))
    );
    assert_eq!(run(&store, None).await, Ok(report(LINKS, 0, &[(2, LINKS)])));
}

/// Answers so many pages.
struct Failing<'a, S> {
    store: &'a S,
    pages: Cell<u32>,
}

impl<S: SealedLinks> SealedLinks for Failing<'_, S> {
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError> {
        let Some(left) = self.pages.get().checked_sub(1) else {
            return Err(StoreError::Unavailable("no more pages".into()));
        };
        self.pages.set(left);
        self.store.rows(after, limit).await
    }

    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError> {
        self.store.row(id).await
    }

    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        self.store.replace_fields(changes).await
    }
}

/// An edit that comes between looking and writing stays, and is sealed; so does a purge.
pub async fn a_change_meanwhile_is_never_lost(vault: &impl Vault) {
    let old = vault.open(Some(keys(OLD))).await;
    let before = create(&old, secret(1, true)).await;
    create(&old, deleted(2)).await;
    create(&old, secret(3, false)).await;
    drop(old);
    // The edit is made by a process that has the old key first.
    let behind_the_back = keys(&format!("{OLD} {NEW}"));
    let edited = stored(Link { version: 2, notes: Some("edited".into()), ..before.link });
    let store = vault.open(Some(behind_the_back)).await;
    let store = Meddled { store: &store, edited: &edited, is_done: Cell::new(false) };
    assert_eq!(run(&store, None).await, Ok(report(3, 2, &[(2, 2)])));
    assert_eq!(store.store.link_by_id(LinkId(1)).await, Ok(Some(edited.clone())));
    assert_eq!(store.store.link_by_id(LinkId(2)).await, Ok(None));
}

/// Edits and purges right before the first writing.
struct Meddled<'a, S> {
    store: &'a S,
    edited: &'a StoredLink,
    is_done: Cell<bool>,
}

impl<S: LinkStore + SealedLinks> SealedLinks for Meddled<'_, S> {
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError> {
        self.store.rows(after, limit).await
    }

    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError> {
        self.store.row(id).await
    }

    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        if !self.is_done.replace(true) {
            assert_eq!(self.store.update(self.edited, 1).await, Ok(Updated::Updated));
            assert_eq!(self.store.purge(LinkId(2), 1).await, Ok(Updated::Updated));
        }
        self.store.replace_fields(changes).await
    }
}

/// A link is replaced only if it lies as it was read: two that seal at the same time do no harm.
pub async fn only_what_was_read_is_replaced(vault: &impl Vault) {
    let store = vault.open(Some(keys(OLD))).await;
    let link = create(&store, secret(1, true)).await;
    let row = ok(store.row(LinkId(1)).await);
    let Some(row) = row else { panic!("no row") };
    let sealing = Sealing::with(Some(both()));
    let next = nonces();
    let change = || {
        let fields = sealing.fields(&link.link, &link.record, &next);
        let Ok(fields) = fields else { panic!("not sealed") };
        Change { row: row.clone(), fields, link: link.link.clone() }
    };
    assert_eq!(store.replace_fields(&[change()]).await, Ok(vec![true]));
    assert_eq!(store.replace_fields(&[change()]).await, Ok(vec![false]));
    assert_eq!(store.row(LinkId(9)).await, Ok(None));
}

/// A link whose key is lost stays as it is, and is told; the others are done.
pub async fn what_cannot_be_opened_is_told_and_left(vault: &impl Vault) {
    let all = keys(&format!("{LOST} {OLD} {NEW}"));
    let store = vault.open(Some(all)).await;
    create(&store, secret(1, true)).await;
    // Two keys at the same time, as if an old one came back.
    let sealing = Sealing::with(Some(keys(OLD)));
    let link = create(&store, secret(2, false)).await;
    let Some(row) = ok(store.row(LinkId(2)).await) else { panic!("no row") };
    let Ok(fields) = sealing.fields(&link.link, &link.record, &nonces()) else {
        panic!("not sealed")
    };
    let change = Change { row, fields, link: link.link };
    assert_eq!(store.replace_fields(&[change]).await, Ok(vec![true]));
    let done = run(&store, None).await;
    let fault = "link of link 1: it is sealed with key 3, which is not among the keys";
    let expected = Report {
        faults: 1,
        fault_examples: vec![fault.to_owned()],
        ..report(2, 1, &[(2, 1), (3, 1)])
    };
    assert_eq!(done, Ok(expected.clone()));
    assert!(!expected.is_complete(&Sealing::with(Some(both()))));
    assert_eq!(store.link_by_id(LinkId(1)).await, Ok(Some(stored(secret(1, true)))));
}

/// Hands the names of all behaviours to a macro that makes tests of them.
#[macro_export]
macro_rules! seals_contracts {
    ($kept:ident) => {
        $kept! {
            a_change_meanwhile_is_never_lost,
            a_stopped_walk_says_how_far_it_was,
            a_walk_starts_behind_a_link,
            all_links_end_with_the_first_key,
            only_what_was_read_is_replaced,
            what_cannot_be_opened_is_told_and_left,
            what_lies_in_the_store_is_sealed,
        }
    };
}
