//! How often passwords may be tried: guesses are limited for each link, and more tightly for each
//! client at a link.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};

use waypost_wire::time::Timestamp;

/// The span in which attempts add up.
const SPAN_MS: i64 = 60_000;
/// Attempts of one client at one link in a span. People mistype; programs guess.
const PER_CLIENT: u32 = 10;
/// Attempts of all clients at one link in a span: a botnet gains little, a crowd gets in.
const PER_LINK: u32 = 300;
/// Counters kept; past that the eldest spans go, and if all are young nobody gets a new one.
const COUNTERS_MAX: usize = 100_000;

/// Counts attempts in memory.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<Counted, Counter>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Client(String, u128),
    Link(String),
}

#[derive(Debug)]
struct Counter {
    since: Timestamp,
    attempts: u32,
}

impl Attempts {
    /// Whether one more attempt is allowed; counts it if so.
    pub fn allow(&self, link: &str, client: Option<u128>, now: Timestamp) -> bool {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= COUNTERS_MAX {
            counters.retain(|_, counter| !counter.is_over(now));
        }
        if counters.len() >= COUNTERS_MAX {
            return false;
        }
        let by_client = Counted::Client(link.to_owned(), network(client.unwrap_or_default()));
        let mut take = |counted, most| {
            let fresh = || Counter { since: now, attempts: 0 };
            let counter = counters.entry(counted).or_insert_with(fresh);
            if counter.is_over(now) {
                *counter = fresh();
            }
            counter.attempts += 1;
            counter.attempts <= most
        };
        take(by_client, PER_CLIENT) && take(Counted::Link(link.to_owned()), PER_LINK)
    }
}

impl Counter {
    fn is_over(&self, now: Timestamp) -> bool {
        !(0..SPAN_MS).contains(&now.ms_since(self.since))
    }
}

/// One client's addresses: an IPv6 host commands a /64 (RFC 6177), an IPv4 host one address.
fn network(address: u128) -> u128 {
    match Ipv6Addr::from_bits(address).to_ipv4_mapped() {
        Some(_) => address,
        None => address >> 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6: u128 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;

    fn granted(attempts: &Attempts, client: u128, now: i64, tries: u32) -> u32 {
        let tries = (0..tries).filter(|_| attempts.allow("s/a", Some(client), Timestamp(now)));
        tries.count() as u32
    }

    #[test]
    fn a_client_gets_a_few_tries_a_minute() {
        let attempts = Attempts::default();
        assert_eq!(granted(&attempts, V6, 0, 20), PER_CLIENT);
        assert_eq!(granted(&attempts, V6 + 1, 59_999, 1), 0, "the same /64");
        assert_eq!(granted(&attempts, V6 + (1 << 64), 59_999, 1), 1);
        assert_eq!(granted(&attempts, V6, 60_000, 20), PER_CLIENT);
        assert!(attempts.allow("s/b", Some(V6), Timestamp(60_000)), "another link");
    }

    #[test]
    fn all_clients_together_are_limited_too() {
        let attempts = Attempts::default();
        let all: u32 = (0..1_000u128).map(|n| granted(&attempts, n << 64, 0, 1)).sum();
        assert_eq!(all, PER_LINK);
    }

    #[test]
    fn a_clock_set_back_starts_a_new_span() {
        let attempts = Attempts::default();
        assert_eq!(granted(&attempts, V6, 1_000, 20), PER_CLIENT);
        assert_eq!(granted(&attempts, V6, 999, 1), 1);
    }
}
