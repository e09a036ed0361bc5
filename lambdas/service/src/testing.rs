//! A host in memory, with a clock that stands still: what tests of the whole service run on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_wire::check::CheckKey;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::ambient::{Clock, Entropy, FixedClock, Pause, SeededEntropy};
use crate::cleanup::Retention;
use crate::codes::{NoMachine, Snowflake, Strategy};
use crate::destination::DestinationRules;
use crate::draft::{DomainRules, DraftRules};
use crate::links::{Counted, Host, RecordSink, Service, Settings};
use crate::memory::{MemoryKeys, MemoryLinks};
use crate::model::LinkId;
use crate::seams::StoreError;
use crate::slug::SlugRules;

/// Everything a service needs, in memory.
pub struct MemoryHost {
    /// Time and randomness.
    pub ambient: FixedAmbient,
    /// Clicks as the test sets them.
    pub counted: FixedCounts,
    /// API keys.
    pub keys: MemoryKeys,
    /// Links.
    pub links: MemoryLinks,
    /// What was published.
    pub records: RecordLog,
}

impl MemoryHost {
    /// An empty host at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            ambient: FixedAmbient {
                clock: FixedClock::new(now),
                entropy: SeededEntropy::new(1),
                paused_ms: AtomicU64::new(0),
            },
            counted: FixedCounts::default(),
            keys: MemoryKeys::default(),
            links: MemoryLinks::default(),
            records: RecordLog::default(),
        }
    }
}

impl Host for MemoryHost {
    type Ambient = FixedAmbient;
    type Counted = FixedCounts;
    type Keys = MemoryKeys;
    type Links = MemoryLinks;
    type Records = RecordLog;

    fn ambient(&self) -> &FixedAmbient {
        &self.ambient
    }

    fn counted(&self) -> &FixedCounts {
        &self.counted
    }

    fn keys(&self) -> &MemoryKeys {
        &self.keys
    }

    fn links(&self) -> &MemoryLinks {
        &self.links
    }

    fn records(&self) -> &RecordLog {
        &self.records
    }
}

/// Time that stands still and randomness that repeats.
pub struct FixedAmbient {
    /// The clock.
    pub clock: FixedClock,
    /// The randomness.
    pub entropy: SeededEntropy,
    paused_ms: AtomicU64,
}

impl FixedAmbient {
    /// How long the service has paused, in milliseconds.
    pub fn paused_ms(&self) -> u64 {
        self.paused_ms.load(Ordering::SeqCst)
    }
}

impl Clock for FixedAmbient {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Entropy for FixedAmbient {
    fn fill(&self, into: &mut [u8]) {
        self.entropy.fill(into);
    }
}

impl Pause for FixedAmbient {
    async fn pause_ms(&self, ms: u64) {
        self.paused_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

/// Counts that a test sets.
#[derive(Debug, Default)]
pub struct FixedCounts {
    clicks: Mutex<BTreeMap<LinkId, u64>>,
    raw_received_at: Mutex<Vec<Timestamp>>,
    salts_of: Mutex<Vec<Timestamp>>,
}

impl FixedCounts {
    /// The link was followed so often.
    pub fn set_clicks(&self, id: LinkId, clicks: u64) {
        lock(&self.clicks).insert(id, clicks);
    }

    /// A raw batch was received.
    pub fn add_raw(&self, received_at: Timestamp) {
        lock(&self.raw_received_at).push(received_at);
    }

    /// A salt was made.
    pub fn add_salt(&self, made_at: Timestamp) {
        lock(&self.salts_of).push(made_at);
    }

    /// Links with clicks, raw batches, salts.
    pub fn left(&self) -> (Vec<LinkId>, usize, usize) {
        let links = lock(&self.clicks).keys().copied().collect();
        (links, lock(&self.raw_received_at).len(), lock(&self.salts_of).len())
    }
}

const SALT_MS: i64 = 48 * 60 * 60 * 1_000;

impl Counted for FixedCounts {
    async fn clicks(&self, ids: &[LinkId]) -> Result<Vec<u64>, StoreError> {
        let clicks = lock(&self.clicks);
        Ok(ids.iter().map(|id| clicks.get(id).copied().unwrap_or_default()).collect())
    }

    async fn forget_link(&self, id: LinkId) -> Result<(), StoreError> {
        lock(&self.clicks).remove(&id);
        Ok(())
    }

    async fn forget_raw(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut raw = lock(&self.raw_received_at);
        raw.sort_unstable();
        let count = raw.iter().take(limit).take_while(|at| **at < before).count();
        raw.drain(..count);
        Ok(count)
    }

    async fn forget_salts(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut salts = lock(&self.salts_of);
        let count = salts.len();
        salts.retain(|made_at| now.ms_since(*made_at) < SALT_MS);
        Ok(count - salts.len())
    }
}

/// What was published, in order.
#[derive(Debug, Default)]
pub struct RecordLog(Mutex<Vec<Published>>);

/// A call of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A key has this record.
    Changed {
        /// The key.
        key: LinkKey,
        /// The record's version.
        version: u64,
        /// Its bytes.
        record: Vec<u8>,
    },
    /// A key has no record any more.
    Removed {
        /// The key.
        key: LinkKey,
    },
}

impl RecordLog {
    /// What was published since the last call.
    pub fn take(&self) -> Vec<Published> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl RecordSink for RecordLog {
    fn changed(&self, key: &LinkKey, version: u64, record: &[u8]) {
        let (key, record) = (key.clone(), record.to_vec());
        lock(&self.0).push(Published::Changed { key, version, record });
    }

    fn removed(&self, key: &LinkKey) {
        lock(&self.0).push(Published::Removed { key: key.clone() });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A service on `host`: `s.example` (the default; slashes, check characters) and `ci.example`
/// (ignores case, no check), random codes.
///
/// # Errors
/// Never; the machine number is a constant.
pub fn service(host: MemoryHost) -> Result<Service<MemoryHost>, NoMachine> {
    let check = || Some(CheckKey::new(*b"sixteen byte key"));
    let domain = |name: &str, ignore_case, check| Domain {
        name: name.into(),
        ignore_case,
        check,
        base_url: format!("https://{name}"),
        home: None,
    };
    let policy = Policy {
        domains: vec![domain("s.example", false, check()), domain("ci.example", true, None)],
        any_host: false,
        slashes: true,
        read_through: false,
        edit_delay_seconds: 90,
        https: true,
        unlock_seconds: 3_600,
        secrets: Secrets { cookie_key: [1; 32], sticky_key: [2; 16] },
    };
    let domain_rules = |domain: &Domain| DomainRules {
        name: domain.name.clone(),
        ignore_case: domain.ignore_case,
        slug: SlugRules { slashes: true, check: domain.check.clone() },
    };
    let domains: Vec<DomainRules> = policy.domains.iter().map(domain_rules).collect();
    let own_domains = domains.iter().map(|domain| domain.name.clone()).collect();
    let rules = DraftRules {
        destination: DestinationRules { own_domains, ..DestinationRules::default() },
        domains,
        default_domain: "s.example".into(),
        redirect_status_default: 302,
    };
    let settings = Settings {
        admin_key: None,
        retention: Retention::default(),
        cleanup_per_second_max: NonZeroU32::MIN.saturating_add(499),
        edits_visible_within_seconds: 0,
    };
    let ids = Snowflake::new(0, 0, 1_000)?;
    Ok(Service::new(host, policy, rules, settings, ids, Strategy::Random))
}
