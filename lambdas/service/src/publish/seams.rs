//! What publishing asks of the place where links are written.

use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use crate::model::LinkId;
use crate::seams::{Changed, StoreError};

/// What the table has under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// What the edge reads: bytes of [`waypost_wire::codec::encode`]. Records of deleted links are
    /// records too.
    pub record: Vec<u8>,
    /// The generation of the record.
    pub generation: Generation,
    /// [`crate::model::Link::is_stopped`].
    pub stopped: bool,
    /// When the link was last written.
    pub updated_at: Timestamp,
}

/// Keys of the table, some at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePage {
    /// Texts of [`waypost_wire::key::LinkKey`]. A page may be short, even empty, and still have a
    /// next one.
    pub keys: Vec<String>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

/// The table of links, read.
pub trait LinkTable {
    /// What the table has now under each of `keys` (at most [`Self::KEYS_MAX`], all different), in
    /// their order; `None`: there is no such link, or not any more. Must be strongly consistent:
    /// whatever was durable before the call is in its answer. A key whose item is damaged fails
    /// alone.
    async fn current(&self, keys: &[&str]) -> Vec<Result<Option<Current>, StoreError>>;

    /// Most keys of one call of [`LinkTable::current`].
    const KEYS_MAX: usize = 100;

    /// A page of all keys, deleted links included, at most about 10,000. May lag behind by seconds.
    /// The order must be one that changes of links do not disturb (their creation, say): a link
    /// that is there during a whole walk is met at least once; others may be met or not.
    async fn page(&self, cursor: Option<&str>) -> Result<TablePage, StoreError>;
}

/// The state that edges share, put together anew.
pub trait StateSource {
    /// Its bytes as of `now`. `recent` are changes that were published lately; they are in it even
    /// if the index that changes are read from does not show them yet.
    async fn state(&self, recent: &[Changed], now: Timestamp) -> Result<Vec<u8>, StoreError>;
}

/// Where the clean-up of statistics is ordered.
pub trait StatisticsQueue {
    /// Has the statistics of these links deleted, which are gone for good; durable when it answers.
    /// The same link may be handed over more than once.
    async fn delete_statistics(&self, links: &[LinkId]) -> Result<(), StoreError>;
}

/// Where a pass that runs in pieces finds its place again. One bookmark for each edge store.
pub trait Bookmarks {
    /// The bookmark saved last; `None` if there is none.
    async fn load(&self, store: &str) -> Result<Option<String>, StoreError>;

    /// Replaces the bookmark; `None` removes it.
    async fn save(&self, store: &str, bookmark: Option<&str>) -> Result<(), StoreError>;
}
