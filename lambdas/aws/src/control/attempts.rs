//! How often passwords may be tried, over all processes: [`AttemptCounters`].
//!
//! A counter is an item: when its span began, and tries since. Its increment is conditional on
//! both, so tries at the same moment are all counted.

use sha2::{Digest, Sha256};
use waypost_service::limits::attempts::{AttemptCounters, Counter, Decision, SPAN_MS, Who, decide};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, number, pair, time};
use crate::store::AwsStore;

/// Counters stay for so long after their span, in seconds: clocks may differ.
const KEPT_SECONDS: i64 = 600;

impl AttemptCounters for AwsStore {
    async fn count_attempt(
        &self,
        link: &str,
        who: Who,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let who = match who {
            Who::Client(network) => client_tag(link, network),
            Who::Everybody => "all".to_owned(),
        };
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
            let found = match count.alone(self).await? {
                Written::Done(_) => return Ok(true),
                Written::Refused(found) => found,
                Written::Met => {
                    tries.again("counting an attempt").await?;
                    continue;
                }
            };
            let found = found.map(|item| {
                let (since, attempts) = (item.time("since")?, item.number("attempts")?);
                Ok::<_, StoreError>(Counter { since, attempts })
            });
            if decide(found.transpose()?, most, now) == Decision::Refuse {
                return Ok(false);
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

/// What tells clients at a link apart, without naming them: 24 bits of a digest, which hundreds of
/// IPv4 addresses share, and which are others at each link. Tables are kept and copied for longer
/// than a minute. That two clients with one tag try the same link in the same minute is unlikely,
/// and only makes their limit tighter.
fn client_tag(link: &str, network: u128) -> String {
    let mut digest = Sha256::new();
    digest.update(network.to_be_bytes());
    digest.update(link);
    hex::encode(&digest.finalize()[..3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_differ_by_network_and_by_link() {
        assert_ne!(client_tag("a/b", 1), client_tag("a/b", 2));
        assert_ne!(client_tag("a/b", 1), client_tag("a/c", 1));
        assert_eq!(client_tag("a/b", 1).len(), 6);
    }
}
