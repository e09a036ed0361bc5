//! The store of an edge, written.

use super::mark::Mark;

/// A record that is put under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// The text of a [`waypost_wire::key::LinkKey`].
    pub key: &'a str,
    /// The bytes the edge reads, stored as they are.
    pub record: &'a [u8],
    /// What identifies them; kept beside them where the store can.
    pub mark: Mark,
}

/// A key that loses its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal<'a> {
    /// The text of a [`waypost_wire::key::LinkKey`].
    pub key: &'a str,
    /// What is known to be gone. Stores that compare keep a record of a later generation.
    pub generation: waypost_wire::record::Generation,
}

/// What became of one record or removal of a call that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The store has it so, or did before.
    Stored,
    /// The store compares, and keeps something newer.
    Newer,
    /// Not done; it may go better next time.
    Failed,
    /// Never going to be done: the store does not take such a key or record.
    Refused,
}

/// A page of what a store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Keys and what identifies their records; `None` where the store keeps none, or an unreadable
    /// one. Without the keys of the system itself, which start with `!`.
    pub keys: Vec<(String, Option<Mark>)>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

/// What a store can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// [`EdgeStore::list`] only, with keys in the order of their bytes.
    Lists,
    /// Both, keys in any order.
    ListsAndReads,
    /// [`EdgeStore::marks`] only.
    Reads,
    /// Nothing: it can only be written to.
    Writes,
}

impl Ways {
    /// Whether [`EdgeStore::list`] works.
    pub const fn lists(self) -> bool {
        matches!(self, Self::Lists | Self::ListsAndReads)
    }

    /// Whether [`EdgeStore::marks`] works.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Reads | Self::ListsAndReads)
    }
}

/// A number of calls within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitedCalls {
    /// Most calls at once, after a time without any.
    pub burst: u32,
    /// Calls a bucket gets back in `per_ms`.
    pub refill: u32,
    /// Milliseconds.
    pub per_ms: u32,
}

/// What a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most records of one call.
    pub puts_max: usize,
    /// Most bytes of keys and records together of one call.
    pub bytes_max: usize,
    /// Most removals of one call.
    pub removals_max: usize,
    /// Most keys of one call of [`EdgeStore::marks`].
    pub marks_max: usize,
    /// How often it may be called; `None`: as often as one likes.
    pub calls: Option<LimitedCalls>,
    /// The same for keys written; `None`: as many as one likes.
    pub writes: Option<LimitedCalls>,
    /// Least time between two writes of one key, in milliseconds.
    pub same_key_ms: u32,
}

/// Who may spend how much of what a store allows: the publisher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Follows changes.
    Publisher,
    /// Repairs beside it.
    Reconcile,
}

/// Why a call came to nothing, by who must act. The text is for the log and names no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// Too much was asked: time must act. With the seconds the store asks to be left alone.
    #[error("the store asks for fewer calls: {text}")]
    Limited {
        /// What the store said.
        text: String,
        /// `Retry-After`, if it said.
        retry_after_seconds: Option<u32>,
    },
    /// No answer, or one that says the store has a problem: trying again may help. It may or may
    /// not have been done.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Address, name or token are wrong: the operator must act, trying again is of no use.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// An answer that was not understood: whoever develops this must act.
    #[error("the store's answer is not understood: {0}")]
    Unexpected(String),
}

impl StoreFault {
    /// Whether the same call may go better later, without anybody doing anything.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable(_))
    }
}

/// The store of an edge, or of many that share it. A call is one request to it: what is too much
/// for one is split, paced and tried again by who calls.
pub trait EdgeStore {
    /// What it is called in logs, reports and bookmarks; not secret.
    fn name(&self) -> &str;

    /// What it takes, and how often.
    fn limits(&self, budget: Budget) -> Limits;

    /// What it can be asked for.
    fn ways(&self) -> Ways;

    /// Puts records; what became of each, in their order. Keys are all different.
    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault>;

    /// Removes records; what became of each, in their order. A key that is not there is
    /// [`Kept::Stored`].
    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault>;

    /// Puts the state of all edges under [`waypost_wire::state::STATE_KEY`].
    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault>;

    /// A page of what the store has; only if [`Ways::lists`].
    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault>;

    /// What the store has under each of these keys, in their order; only if [`Ways::reads`].
    /// The outer `None`: nothing; the inner: something that no [`Mark`] can be made of.
    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault>;
}
