//! How often passwords may be tried, over all processes: the limits of the binary
//! (`waypost-native`, `attempts.rs`). Guesses are limited for each link, and more tightly for each
//! client at a link.
//!
//! A counter is an item: when its span began, and tries since. Its increment is conditional on
//! both, so tries at the same moment are all counted. If the store does not answer, the try is not
//! admitted: its caller fails, as it does when the link cannot be read. Whoever could switch the
//! store off must not get to guess freely.

use std::net::Ipv6Addr;

use sha2::{Digest, Sha256};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, number, pair, time};
use crate::store::AwsStore;

/// The span in which attempts add up.
pub const SPAN_MS: i64 = 60_000;
/// Attempts of one client at one link in a span. People mistype; programs guess.
pub const PER_CLIENT: u32 = 10;
/// Attempts of all clients at one link in a span: a botnet gains little, a crowd gets in.
pub const PER_LINK: u32 = 300;

/// Counters stay for so long after their span, in seconds: clocks may differ.
const KEPT_SECONDS: i64 = 600;

impl AwsStore {
    /// Whether one more attempt at a link (the text of its key) is allowed; counts it if so.
    ///
    /// # Errors
    /// The store's fault: the attempt must not be allowed.
    pub async fn allow_attempt(
        &self,
        link: &str,
        client: Option<u128>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let client = client_tag(link, network(client.unwrap_or_default()));
        Ok(self.count_attempt(link, &client, PER_CLIENT, now).await?
            && self.count_attempt(link, "all", PER_LINK, now).await?)
    }

    async fn count_attempt(
        &self,
        link: &str,
        who: &str,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = pair(format!("attempts#{link}#{who}"), "count");
        let control = &self.names.control;
        let over = now.plus_ms(-SPAN_MS);
        let mut tries = Tries::new();
        loop {
            let count = Write::update(control, key.clone(), "SET attempts = attempts + :one")
                .only_if("since > :over AND since <= :now AND attempts < :most")
                .with(":one", number(1))
                .with(":over", time(over))
                .with(":now", time(now))
                .with(":most", number(most));
            match count.alone(self).await? {
                Written::Done(_) => return Ok(true),
                Written::Refused(Some(found)) => {
                    let since = found.time("since")?;
                    if over < since && since <= now {
                        return Ok(false);
                    }
                }
                Written::Refused(None) => {}
                Written::Met => {
                    tries.again("counting an attempt").await?;
                    continue;
                }
            }
            let mut fresh = key.clone();
            fresh.insert("since".to_owned(), time(now));
            fresh.insert("attempts".to_owned(), number(1));
            let ends = now.plus_ms(SPAN_MS).0.div_euclid(1_000);
            fresh.insert("ttl".to_owned(), number(ends.saturating_add(KEPT_SECONDS)));
            let begin = Write::put(control, fresh)
                .only_if("attribute_not_exists(pk) OR since <= :over OR since > :now")
                .with(":over", time(over))
                .with(":now", time(now));
            if let Written::Done(_) = begin.alone(self).await? {
                return Ok(true);
            }
            // Another began the span.
            tries.again("counting an attempt").await?;
        }
    }
}

/// One client's addresses: an IPv6 host commands a /64 (RFC 6177), an IPv4 host one address.
fn network(address: u128) -> u128 {
    match Ipv6Addr::from_bits(address).to_ipv4_mapped() {
        Some(_) => address,
        None => address >> 64,
    }
}

/// What tells clients at a link apart, without naming them: 24 bits of a digest, which hundreds of
/// IPv4 addresses share, and which are others at each link. Tables are kept and copied for longer
/// than a minute. That two clients with one tag try the same link in the same minute is unlikely,
/// and only makes their limit tighter.
fn client_tag(link: &str, network: u128) -> String {
    let mut digest = Sha256::new();
    digest.update(network.to_be_bytes());
    digest.update(link);
    digest.finalize().iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_differ_by_network_and_by_link() {
        let v6 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;
        assert_eq!(network(v6), network(v6 + 1));
        assert_ne!(network(v6), network(v6 + (1 << 64)));
        let v4 = 0xffff_0102_0304;
        assert_ne!(network(v4), network(v4 + 1));
        assert_ne!(client_tag("a/b", v4), client_tag("a/b", v4 + 1));
        assert_ne!(client_tag("a/b", v4), client_tag("a/c", v4));
        assert_eq!(client_tag("a/b", v4).len(), 6);
    }
}
