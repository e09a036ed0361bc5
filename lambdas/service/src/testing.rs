//! A host in memory, with a clock that stands still: what tests of the whole service run on.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_wire::check::CheckKey;
use waypost_wire::click::{BatchWriter, Click, Target};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::ambient::{Clock, Entropy, FixedClock, Pause, SeededEntropy};
use crate::api::ApiLimits;
use crate::cleanup::Retention;
use crate::codes::{NoMachine, Snowflake, Strategy};
use crate::counting::ingest::{IngestError, ingest};
use crate::counting::memory::MemoryCounters;
use crate::destination::DestinationRules;
use crate::draft::{DomainRules, DraftRules};
use crate::limits::{Limits, MemoryLimits, Rate, Taken};
use crate::links::{Host, RecordSink, Service, Settings};
use crate::memory::{MemoryKeys, MemoryLinks};
use crate::model::LinkId;
use crate::seams::StoreError;
use crate::slug::SlugRules;

/// Everything a service needs, in memory.
pub struct MemoryHost {
    /// Time and randomness.
    pub ambient: FixedAmbient,
    /// Clicks and statistics.
    pub counters: MemoryCounters,
    /// API keys.
    pub keys: MemoryKeys,
    /// Token buckets.
    pub limits: FailingLimits,
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
            counters: MemoryCounters::default(),
            keys: MemoryKeys::default(),
            limits: FailingLimits::default(),
            links: MemoryLinks::default(),
            records: RecordLog::default(),
        }
    }

    /// A link was followed `count` times, at most 500, at `at`; `source` is the number of a host
    /// that did nothing else.
    ///
    /// # Errors
    /// If the clicks are no batch.
    pub async fn follow(
        &self,
        source: u64,
        id: LinkId,
        at: Timestamp,
        count: usize,
    ) -> Result<(), IngestError> {
        let mut batch = BatchWriter::new(source, 0);
        let click = Click { link_id: id.0, at, target: Target::Default, ..Click::default() };
        for _ in 0..count {
            batch.push(&click);
        }
        ingest(&self.counters, batch.finish(), at).await.map(drop)
    }
}

impl Host for MemoryHost {
    type Ambient = FixedAmbient;
    type Counters = MemoryCounters;
    type Keys = MemoryKeys;
    type Limits = FailingLimits;
    type Links = MemoryLinks;
    type Records = RecordLog;

    fn ambient(&self) -> &FixedAmbient {
        &self.ambient
    }

    fn counters(&self) -> &MemoryCounters {
        &self.counters
    }

    fn keys(&self) -> &MemoryKeys {
        &self.keys
    }

    fn limits(&self) -> &FailingLimits {
        &self.limits
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

/// Token buckets in memory, as long as they answer.
#[derive(Debug, Default)]
pub struct FailingLimits {
    /// The buckets.
    pub buckets: MemoryLimits,
    /// What happens instead of an answer.
    pub failing: Mutex<Option<Failing>>,
}

/// What a store does that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Answers that it cannot.
    Fails,
    /// Never answers.
    Hangs,
}

impl FailingLimits {
    async fn answers(&self) -> Result<(), StoreError> {
        // Not held while nothing is answered.
        let failing = *lock(&self.failing);
        match failing {
            None => Ok(()),
            Some(Failing::Fails) => Err(StoreError::Unavailable("no buckets".into())),
            Some(Failing::Hangs) => std::future::pending().await,
        }
    }
}

impl Limits for FailingLimits {
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        self.answers().await?;
        self.buckets.take_tokens(bucket, rate, count, now).await
    }

    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        self.answers().await?;
        self.buckets.peek_tokens(bucket, rate, now).await
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
/// (ignores case, no check), random codes, no limits of the API.
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
        api_limits: ApiLimits::default(),
        retention: Retention::default(),
        cleanup_per_second_max: NonZeroU32::MIN.saturating_add(499),
        edits_visible_within_seconds: 0,
        fold_under: 5,
    };
    let ids = Snowflake::new(0, 0, 1_000)?;
    Ok(Service::new(host, policy, rules, settings, ids, Strategy::Random))
}
