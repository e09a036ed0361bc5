//! How often passwords of links may be tried: guesses are limited for each link, and more tightly
//! for each client at a link. Hosts keep the counters ([`AttemptCounters`]); what they count, and
//! how many are too many, is decided here.

use std::net::Ipv6Addr;

use waypost_wire::time::Timestamp;

use crate::seams::StoreError;

/// The span in which attempts add up.
pub const SPAN_MS: i64 = 60_000;
/// Attempts of one client at one link in a span. People mistype; programs guess.
pub const PER_CLIENT: u32 = 10;
/// Attempts of all clients at one link in a span: a botnet gains little, a crowd gets in.
pub const PER_LINK: u32 = 300;

/// Whose attempts at a link are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// One client's: its [`network`].
    Client(u128),
    /// Those of all clients.
    Everybody,
}

/// A counter: when its span began, and attempts since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// When its span began.
    pub since: Timestamp,
    /// Attempts since.
    pub attempts: u32,
}

impl Counter {
    /// Whether its span has ended, or begins later than now: a clock was set back.
    pub const fn is_over(self, now: Timestamp) -> bool {
        let age_ms = now.ms_since(self.since);
        age_ms < 0 || age_ms >= SPAN_MS
    }
}

/// What one more attempt means for a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One more than these.
    Add,
    /// The first of a span that begins now.
    Begin,
    /// There were too many already.
    Refuse,
}

/// What one more attempt means for a counter of which `most` are admitted in a span; `None`: there
/// is no such counter.
pub const fn decide(found: Option<Counter>, most: u32, now: Timestamp) -> Decision {
    match found {
        Some(counter) if !counter.is_over(now) => match counter.attempts < most {
            true => Decision::Add,
            false => Decision::Refuse,
        },
        _ => Decision::Begin,
    }
}

/// Where attempts are counted.
pub trait AttemptCounters {
    /// Counts one more attempt as [`decide`] says; whether it is admitted.
    ///
    /// # Errors
    /// The store's fault: the attempt must not be admitted.
    async fn count_attempt(
        &self,
        link: &str,
        who: Who,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Whether one more attempt at a link (the text of its key) is admitted; counts it. Clients without
/// an address are one client.
///
/// # Errors
/// The store's fault: the attempt must not be admitted. Whoever could switch the store off must not
/// get to guess freely.
pub async fn admits(
    counters: &impl AttemptCounters,
    link: &str,
    client_ip: Option<u128>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let client = Who::Client(network(client_ip.unwrap_or_default()));
    Ok(counters.count_attempt(link, client, PER_CLIENT, now).await?
        && counters.count_attempt(link, Who::Everybody, PER_LINK, now).await?)
}

/// One client's addresses (IPv4 mapped into IPv6): an IPv6 host commands a /64 (RFC 6177), an IPv4
/// host one address.
pub fn network(address: u128) -> u128 {
    match Ipv6Addr::from_bits(address).to_ipv4_mapped() {
        Some(_) => address,
        None => address >> 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_differ_by_network() {
        let v6 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;
        assert_eq!(network(v6), network(v6 + 1));
        assert_ne!(network(v6), network(v6 + (1 << 64)));
        let v4 = 0xffff_0102_0304;
        assert_ne!(network(v4), network(v4 + 1));
    }

    #[test]
    fn a_counter_counts_for_a_span() {
        let since = Timestamp(1_000);
        let at = |attempts, ms| decide(Some(Counter { since, attempts }), 3, Timestamp(1_000 + ms));
        assert_eq!(decide(None, 3, since), Decision::Begin);
        assert_eq!(at(2, 0), Decision::Add);
        assert_eq!(at(2, SPAN_MS - 1), Decision::Add);
        assert_eq!(at(3, SPAN_MS - 1), Decision::Refuse);
        assert_eq!(at(3, SPAN_MS), Decision::Begin);
        assert_eq!(at(3, -1), Decision::Begin, "a clock set back starts a new span");
    }
}
