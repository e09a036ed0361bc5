//! What can be done with links: make, read, change, delete, block, list, follow.
//!
//! [`Service`] is the control plane of one installation. Whoever hosts it brings a [`Host`]:
//! stores, clock, randomness. Every write compiles the link's record and stores both together,
//! then tells the host's [`RecordSink`].

mod change;
mod create;
mod follow;
mod read;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use waypost_core::policy::Policy;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::ambient::{Clock, Entropy, Pause};
use crate::api::ApiLimits;
use crate::cleanup::Retention;
use crate::codes::{Snowflake, SnowflakeFault, Strategy};
use crate::compile::compile;
use crate::counting::open::OpenWindows;
use crate::counting::store::CounterStore;
use crate::draft::{DraftRules, LinkView, ViewFacts};
use crate::keys::{AdminKey, KeyStore};
use crate::limits::Limits;
use crate::model::{Link, LinkId};
use crate::problem::{Kind, Problem};
use crate::seams::{LinkStore, StoreError, StoredLink};

pub use change::{Expected, tombstone};
pub use create::Creation;
pub use follow::Challenge;
pub use read::Listing;

/// What a host brings.
pub trait Host {
    /// Time and randomness.
    type Ambient: Clock + Entropy + Pause;
    /// Clicks and statistics.
    type Counters: CounterStore;
    /// API keys.
    type Keys: KeyStore;
    /// Token buckets.
    type Limits: Limits;
    /// Links.
    type Links: LinkStore;
    /// Who wants to know of new records.
    type Records: RecordSink;

    /// Time and randomness.
    fn ambient(&self) -> &Self::Ambient;
    /// Clicks and statistics.
    fn counters(&self) -> &Self::Counters;
    /// API keys.
    fn keys(&self) -> &Self::Keys;
    /// Token buckets.
    fn limits(&self) -> &Self::Limits;
    /// Links.
    fn links(&self) -> &Self::Links;
    /// Who wants to know of new records.
    fn records(&self) -> &Self::Records;

    /// The number of the Snowflake machine that this process is now, where many share a store:
    /// asked for each id. `None`: the one it was made with is its own for ever.
    ///
    /// # Errors
    /// If there is none to be had: then no id can be made, and nothing else is affected.
    fn machine(&self) -> impl Future<Output = Result<Option<u16>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }
}

/// Told of every record that was written, after the write is durable. Calls for one key may come
/// out of order; the version says which is newer.
pub trait RecordSink {
    /// The key has this record now.
    fn changed(&self, key: &LinkKey, version: u64, record: &[u8]);
    /// The key has no record any more.
    fn removed(&self, key: &LinkKey);
}

/// What an operator decides about links.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The admin key given by setting.
    pub admin_key: Option<AdminKey>,
    /// How much may be asked of the API.
    pub api_limits: ApiLimits,
    /// How long things are kept.
    pub retention: Retention,
    /// Most writes of a cleanup per second.
    pub cleanup_per_second_max: NonZeroU32,
    /// After how long an edit has reached every host. Visitors may remember permanent redirects
    /// for longer: [`Policy::edit_delay_seconds`].
    pub edits_visible_within_seconds: u32,
    /// Values of breakdowns with fewer clicks are folded into one.
    pub fold_under: u64,
}

/// The control plane of one installation.
pub struct Service<H> {
    /// What the host brought.
    pub host: H,
    /// How redirects are decided; the same value as on the edge.
    pub policy: Policy,
    /// What is accepted in links.
    pub rules: DraftRules,
    /// What else the operator decided.
    pub settings: Settings,
    /// The clicks that are not in closed windows yet.
    pub open: OpenWindows,
    /// The states of both generators, never locked across an await.
    ids: Mutex<Snowflake>,
    codes: Mutex<Strategy>,
}

/// How often a write is tried again because somebody else wrote in between.
const WRITE_ATTEMPTS: usize = 8;

impl<H: Host> Service<H> {
    /// The control plane on `host`. `ids` numbers links; no two processes share its machine, unless
    /// the host says which it is ([`Host::machine`]).
    pub fn new(
        host: H,
        policy: Policy,
        rules: DraftRules,
        settings: Settings,
        ids: Snowflake,
        codes: Strategy,
    ) -> Self {
        let (ids, codes) = (Mutex::new(ids), Mutex::new(codes));
        Self { host, policy, rules, settings, open: OpenWindows::new(), ids, codes }
    }

    /// The key of a slug. Domains that are not served any more keep their links; their case
    /// counts.
    pub fn key(&self, domain: &str, slug: &str) -> LinkKey {
        let ignore_case = self.rules.domain(domain).is_some_and(|domain| domain.ignore_case);
        LinkKey::new(&domain.to_ascii_lowercase(), slug, ignore_case)
    }

    /// `link` as its owner sees it, followed `clicks` times.
    pub fn view<'a>(&self, link: &'a Link, clicks: u64, now: Timestamp) -> LinkView<'a> {
        let domain = self.policy.domains.iter().find(|domain| domain.name == link.domain);
        let base_url =
            domain.map_or_else(|| format!("https://{}", link.domain), |d| d.base_url.clone());
        let reached = self.settings.edits_visible_within_seconds;
        let edits_visible_within_seconds = match link.status {
            301 | 308 => reached.max(self.policy.edit_delay_seconds),
            _ => reached,
        };
        LinkView::new(
            link,
            &ViewFacts { base_url: &base_url, clicks, edits_visible_within_seconds, now },
        )
    }

    /// The link with its record.
    fn compiled(&self, link: Link, now: Timestamp) -> Result<StoredLink, Problem> {
        let compiled = compile(&link, now).map_err(|error| {
            Problem::internal(format!("link {} has no record: {error}", link.id))
        })?;
        Ok(StoredLink {
            key: self.key(&link.domain, &link.slug),
            link,
            record: compiled.record,
            recompile_at: compiled.recompile_at,
        })
    }

    /// A new id. The time of a request stands still while others take ids, so what the generator
    /// asks to wait is added to it instead: its ids stay unique and ahead of the clock by no more
    /// than the skew it tolerates.
    async fn link_id(&self, now: Timestamp) -> Result<LinkId, Problem> {
        let machine = self.host.machine().await?;
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = machine {
            ids.move_to(number).map_err(|fault| Problem::internal(fault.to_string()))?;
        }
        let mut now_ms = now.0;
        loop {
            match ids.next(now_ms) {
                Ok(id) => return Ok(LinkId(id.0)),
                Err(SnowflakeFault::Wait { ms }) => now_ms = now_ms.saturating_add(ms.into()),
                Err(fault) => return Err(clock_fault(&fault.to_string())),
            }
        }
    }
}

/// The clock is not usable for ids: somebody must set it right.
fn clock_fault(log: &str) -> Problem {
    Problem::new(Kind::Unavailable, "no id can be made now; nothing was changed")
        .with_retry_after(CLOCK_RETRY_SECONDS)
        .with_log(log)
}

/// A clock that was set back catches up within about a minute, or not soon.
const CLOCK_RETRY_SECONDS: u32 = 60;
