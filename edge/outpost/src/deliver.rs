use waypost_wire::origin::{Answer, Question, Stored};
use waypost_wire::time::Timestamp;

use crate::clicks::{Fate, Taken};
use crate::settings::Sink;
use crate::{Failed, Outpost, Platform, sqs};

/// Waits before each try. With the time limit of every try they stay below the 30 s that Workers
/// give a request after its answer (`waitUntil`).
const PAUSES_MS: [u32; 4] = [0, 500, 2_000, 6_000];

/// No call begins that could end later than this after its delivery began, pauses and waits for
/// other clicks included: Workers give a request 30 s after its answer.
const DELIVERY_MAX_MS: i64 = 29_000;

/// Most of one call: SQS takes ten messages and 1 MiB; an origin's question is smaller.
const PARCELS_MAX: usize = 10;
const CALL_MAX_BYTES: usize = 256 * 1024;

impl Outpost {
    /// Waits `after_ms` for more clicks, then delivers all there are, with a few tries. What could
    /// not be delivered waits for the next call.
    ///
    /// Answers whether all was delivered, as far as anybody takes it: `false` if some of it waits.
    pub async fn deliver<P: Platform>(&self, after_ms: u32, platform: &P) -> bool {
        let end = platform.now().plus_ms(DELIVERY_MAX_MS);
        if after_ms > 0 {
            platform.pause(after_ms).await;
            self.clicks.borrow_mut().seal();
        } else {
            self.clicks.borrow_mut().pack();
        }
        for pause_ms in PAUSES_MS {
            if pause_ms > 0 {
                platform.pause(pause_ms).await;
            }
            match self.deliver_waiting(end, platform).await {
                Ok(()) => return self.clicks.borrow().is_empty(),
                Err(Failed) => self.counts.delivery_failures.add(1),
            }
        }
        false
    }

    /// Delivers until nothing waits, a call fails, or there is no time for another one.
    async fn deliver_waiting<P: Platform>(
        &self,
        end: Timestamp,
        platform: &P,
    ) -> Result<(), Failed> {
        let timeout_ms = match &self.settings.sink {
            Some(Sink::Sqs(queue)) => queue.timeout_ms,
            _ => self.settings.origin.as_ref().map_or(0, |origin| origin.timeout_ms),
        };
        while platform.now().plus_ms(timeout_ms.into()) <= end
            && let Some(mut taken) = Taken::from(&self.clicks, PARCELS_MAX, CALL_MAX_BYTES)
        {
            let arrived = match &self.settings.sink {
                None => taken.settle(|_| Fate::Hopeless),
                Some(Sink::Origin) => self.to_origin(&mut taken, platform).await?,
                Some(Sink::Sqs(queue)) => {
                    let bytes: Vec<&[u8]> = taken.parcels.iter().map(|p| &*p.bytes).collect();
                    let request = sqs::request(queue, &bytes, platform.now());
                    let answer = platform.post(&request).await?;
                    let fates = sqs::fates(&answer, taken.parcels.len()).ok_or(Failed)?;
                    taken.settle(|at| fates[at])
                }
            };
            self.counts.clicks_delivered.add(arrived);
            if !taken.parcels.is_empty() {
                return Err(Failed);
            }
        }
        Ok(())
    }

    async fn to_origin<P: Platform>(
        &self,
        taken: &mut Taken<'_>,
        platform: &P,
    ) -> Result<u64, Failed> {
        let batches = taken.parcels.iter().map(|parcel| &*parcel.bytes).collect();
        let bytes = self.ask(platform, &Question::Clicks { batches }).await?;
        let stored = Stored::decode(&bytes).map_err(|_| Failed)?.batches;
        if stored.len() != taken.parcels.len() {
            return Err(Failed);
        }
        Ok(taken.settle(|at| match stored[at] {
            true => Fate::Arrived,
            false => Fate::Hopeless,
        }))
    }
}
