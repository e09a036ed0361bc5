//! What the control plane asks of its surroundings. Traits are small and use plain `async fn`;
//! an implementation proves `Send` where its host asks for it.

use waypost_wire::key::LinkKey;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use crate::model::{Link, LinkId, LinkState};

/// Why a store could not answer. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The cursor is not one this store gave out for this sort and these filters. The only fault
    /// here that is the caller's.
    #[error("the cursor belongs to another list, or is damaged: start again without it")]
    BadCursor,
    /// The store's own state is not what it must be: a bug or a damaged file.
    #[error("store is damaged: {0}")]
    Damaged(String),
    /// The store did not answer, or refused: try again.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
}

/// A link with the record compiled from it. Both are written together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLink {
    /// What its owner sees.
    pub link: Link,
    /// The key of the record; unique.
    pub key: LinkKey,
    /// What the edge reads: bytes of `waypost_wire::codec::encode`.
    pub record: Vec<u8>,
    /// When the record must be compiled anew because what it was compiled from (time zones) runs
    /// out; `None` if never.
    pub recompile_at: Option<Timestamp>,
}

/// A finished creation, remembered under the caller's `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, scoped to the caller.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// The answer's body, given again word for word.
    pub answer: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// How a creation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// Durable.
    Created,
    /// Another link has the external id.
    ExternalIdTaken,
    /// The idempotency key was used before; nothing was written.
    Replayed(Idempotency),
    /// Another link has the key. A deleted one answers until when its slug is in quarantine.
    SlugTaken {
        /// `None`: the holder is not deleted.
        quarantine_until: Option<Timestamp>,
    },
}

/// How a conditional write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Another link has the external id.
    ExternalIdTaken,
    /// The link is not there, or has another version than expected.
    Stale,
    /// Durable.
    Updated,
}

/// What lists can be sorted by; each has an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Oldest first.
    CreatedAscending,
    /// Newest first.
    #[default]
    CreatedDescending,
    /// Most recently written first.
    UpdatedDescending,
}

/// A page of links to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Most links to answer, 1 to 100.
    pub limit: usize,
    /// `next_cursor` of the page before; opaque outside of the store.
    pub cursor: Option<String>,
    /// At least 3 characters found in slug, destination, title, notes or a tag; ignores case.
    pub q: Option<String>,
    /// A tag the link has.
    pub tag: Option<String>,
    /// The domain the link is on.
    pub domain: Option<String>,
    /// The state the link has. Without it, all but deleted links.
    pub state: Option<LinkState>,
    /// The order.
    pub sort: Sort,
}

/// A page of links.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// At most `limit`. A page may be short, even empty, and still have a next one: a store walks
    /// a bounded number of index entries for one page.
    pub links: Vec<Link>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Why a link is due for attention. Each kind has an index by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// `expires_at` has passed; time is the expiry.
    Expired,
    /// Deleted and the quarantine has ended; time is its end.
    QuarantineEnded,
    /// The record must be compiled anew; time is `recompile_at`.
    Recompile,
    /// The state changes by itself; time is the transition.
    Transition,
    /// Not marked `keep`, not followed since; time is the last click or else the creation.
    Unused,
}

/// A link that was written, as edges are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// When it was last written.
    pub at: Timestamp,
    /// The key of its record.
    pub key: LinkKey,
    /// Which writing of which link its record is.
    pub generation: Generation,
    /// [`Link::is_stopped`].
    pub stopped: bool,
}

/// How taking one use of a limited link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The limit was reached before.
    Exhausted,
    /// Taken, durably; this many are left.
    Taken {
        /// 0: this was the last one.
        left: u64,
    },
}

/// Where links live.
pub trait LinkStore {
    /// Writes a new link; durable when it answers [`Created::Created`]. A deleted holder of the
    /// key is replaced if `replace_deleted`. `idempotency` is checked and written with the link.
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError>;

    /// The answer remembered under an idempotency key that has not expired.
    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError>;

    /// The link with this key, deleted ones included.
    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError>;

    /// The link with this id, deleted ones included.
    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError>;

    /// Replaces a link (same id, same key) if the stored version is `expected_version`.
    async fn update(&self, link: &StoredLink, expected_version: u64)
    -> Result<Updated, StoreError>;

    /// Removes every trace of a deleted link if the stored version is `expected_version`.
    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError>;

    /// A page of links.
    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError>;

    /// Links due before or at `until`, earliest first, at most `limit`, from index entries after
    /// `after` (time and id of the last one seen).
    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError>;

    /// Links last written after `after`, deleted ones included, latest first and then by descending
    /// id, at most `limit`. A link that was purged is no link any more.
    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError>;

    /// Writes the state column that lists filter by, after a transition.
    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError>;

    /// Takes one use of a link limited to `max_clicks`; durable.
    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError>;

    /// Leases `count` values of a named counter: the first of them. No value is leased twice.
    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError>;

    /// Forgets idempotency keys that expired before `now`, at most `limit`; how many.
    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

/// Where files for people go.
pub trait Files {
    /// Writes a file; durable when it answers.
    async fn put(&self, name: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), StoreError>;
}
