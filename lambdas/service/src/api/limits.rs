//! How much a caller may ask: requests of a key in a minute, and wrong keys of a client.
//!
//! If the store of the buckets fails, or takes long, the request passes: being there is worth more
//! than a limit.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use sha2::{Digest, Sha256};
use waypost_wire::time::Timestamp;

use super::auth::Principal;
use crate::ambient::Pause;
use crate::limits::attempts::network;
use crate::limits::{Limits, Rate, Taken};
use crate::links::{Host, Service};
use crate::problem::{Kind, Problem};
use crate::seams::StoreError;

/// Longest wait for a bucket, in milliseconds: one attempt at a store over the network.
const WAIT_MS: u64 = 2_000;

const MINUTE_MS: u32 = 60_000;
const QUARTER_HOUR_MS: u32 = 900_000;
const DAY_MS: i64 = 86_400_000;

/// How much may be asked of the API. The default is: any number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiLimits {
    /// Requests with one key in a minute, for keys without a limit of their own; 0: any number.
    pub requests_per_minute: u32,
    /// Wrong keys of one client in 15 minutes; 0: any number.
    pub wrong_keys_per_quarter_hour: u32,
}

/// How a caller stands: what the headers of an answer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Which limit: a token of structured fields.
    policy: &'static str,
    rate: Rate,
    remaining: u32,
    /// Seconds until the bucket is full, rounded up.
    reset_seconds: u64,
}

impl Standing {
    fn new(policy: &'static str, rate: Rate, taken: Taken, now: Timestamp) -> Self {
        let (remaining, full_at) = match taken {
            Taken::Granted { remaining, full_at } => (remaining, full_at),
            Taken::Refused { full_at, .. } => (0, full_at),
        };
        let reset_seconds = full_at.ms_since(now).max(0).unsigned_abs().div_ceil(1_000);
        Self { policy, rate, remaining, reset_seconds }
    }

    /// Both families of headers: the one that most clients know, and the IETF's
    /// (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn write_to<T>(&self, response: &mut Response<T>) {
        let Self { policy, rate, remaining, reset_seconds } = self;
        let (quota, window) = (rate.capacity, rate.window_seconds());
        let mut set = |name, value: HeaderValue| {
            let headers: &mut HeaderMap = response.headers_mut();
            headers.insert(HeaderName::from_static(name), value);
        };
        set("x-ratelimit-limit", quota.into());
        set("x-ratelimit-remaining", (*remaining).into());
        set("x-ratelimit-reset", (*reset_seconds).into());
        for (name, text) in [
            ("ratelimit-policy", format!("\"{policy}\";q={quota};w={window}")),
            ("ratelimit", format!("\"{policy}\";r={remaining};t={reset_seconds}")),
        ] {
            // Digits and names are always a value.
            if let Ok(value) = HeaderValue::try_from(text) {
                set(name, value);
            }
        }
    }
}

/// What limits have to say of a request so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// How the caller stands, if that is known.
    pub(super) standing: Option<Standing>,
    /// Why a bucket was not asked; the request passed.
    pub(super) failed: Option<String>,
}

/// Takes a token of the caller's key.
///
/// # Errors
/// [`Kind::RateLimited`] if there is none.
pub(super) async fn take<H: Host>(
    service: &Service<H>,
    principal: &Principal,
    now: Timestamp,
    said: &mut Said,
) -> Result<(), Problem> {
    let default = service.settings.api_limits.requests_per_minute;
    let limit = principal.requests_per_minute.unwrap_or(default);
    if limit == 0 {
        return Ok(());
    }
    let rate = Rate::full_in(limit, MINUTE_MS);
    let bucket = format!("key/{}", principal.key_id);
    let taking = service.host.limits().take_tokens(&bucket, rate, 1, now);
    let Some(taken) = answered(service, taking, said).await else { return Ok(()) };
    said.standing = Some(Standing::new("key", rate, taken, now));
    admitted(taken, |seconds| {
        format!("this key may make {limit} requests a minute; there is room again in {seconds} s")
    })
}

/// The limit on wrong keys of a client.
#[derive(Debug)]
pub(super) struct WrongKeys {
    bucket: String,
    rate: Rate,
}

impl WrongKeys {
    /// `None`: there is no limit. Clients without an address are one client.
    pub(super) fn of<H: Host>(
        service: &Service<H>,
        client_ip: Option<u128>,
        now: Timestamp,
    ) -> Option<Self> {
        let limit = service.settings.api_limits.wrong_keys_per_quarter_hour;
        let secret = &service.policy.secrets.cookie_key;
        let tag = client_tag(secret, network(client_ip.unwrap_or_default()), now);
        let rate = Rate::full_in(limit, QUARTER_HOUR_MS);
        (limit > 0).then(|| Self { bucket: format!("wrong-keys/{tag}"), rate })
    }

    /// Refuses a client that has sent too many; takes nothing.
    ///
    /// # Errors
    /// [`Kind::RateLimited`].
    pub(super) async fn refuse_guesser<H: Host>(
        &self,
        service: &Service<H>,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Problem> {
        let peeking = service.host.limits().peek_tokens(&self.bucket, self.rate, now);
        match answered(service, peeking, said).await {
            Some(taken) => self.judge(taken, now, said),
            None => Ok(()),
        }
    }

    /// Counts a wrong key.
    ///
    /// # Errors
    /// [`Kind::RateLimited`] if others were faster to use up what there was.
    pub(super) async fn count<H: Host>(
        &self,
        service: &Service<H>,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Problem> {
        let taking = service.host.limits().take_tokens(&self.bucket, self.rate, 1, now);
        match answered(service, taking, said).await {
            Some(taken) => self.judge(taken, now, said),
            None => Ok(()),
        }
    }

    fn judge(&self, taken: Taken, now: Timestamp, said: &mut Said) -> Result<(), Problem> {
        let limit = self.rate.capacity;
        admitted(taken, |seconds| {
            format!(
                "your network has sent {limit} wrong keys in 15 minutes; the next request is \
                 looked at in {seconds} s"
            )
        })
        .inspect_err(|_| {
            // Nobody but a refused one is told how close it is.
            said.standing = Some(Standing::new("wrong-keys", self.rate, taken, now));
        })
    }
}

/// What tells clients apart for a day, without naming them: 24 bits of a keyed digest, which
/// hundreds of IPv4 addresses share. Tables are kept and copied for longer than 15 minutes. The key
/// keeps others from finding a network that shares its tag with a given one; that two clients with
/// one tag send wrong keys at the same time is unlikely, and only makes their limit tighter.
fn client_tag(secret: &[u8; 32], network: u128, now: Timestamp) -> String {
    // All parts have fixed lengths and most of the digest is left out, so nothing can be added to
    // its end.
    let mut digest = Sha256::new();
    digest.update(b"waypost wrong keys 1");
    digest.update(secret);
    digest.update(now.0.div_euclid(DAY_MS).to_be_bytes());
    digest.update(network.to_be_bytes());
    hex::encode(&digest.finalize()[..3])
}

/// The answer of a bucket; `None` if there was none, which is noted.
async fn answered<H: Host>(
    service: &Service<H>,
    asking: impl Future<Output = Result<Taken, StoreError>>,
    said: &mut Said,
) -> Option<Taken> {
    let failed = match within(service.host.ambient(), WAIT_MS, asking).await {
        Some(Ok(taken)) => return Some(taken),
        Some(Err(error)) => error.to_string(),
        None => format!("no answer within {WAIT_MS} ms"),
    };
    said.failed = Some(failed);
    None
}

/// The future's output, unless the pause ends first.
async fn within<T>(
    ambient: &impl Pause,
    wait_ms: u64,
    asking: impl Future<Output = T>,
) -> Option<T> {
    let (mut asking, mut pause) = (pin!(asking), pin!(ambient.pause_ms(wait_ms)));
    poll_fn(|context| match asking.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => pause.as_mut().poll(context).map(|()| None),
    })
    .await
}

fn admitted(taken: Taken, detail: impl FnOnce(u32) -> String) -> Result<(), Problem> {
    match taken {
        Taken::Granted { .. } => Ok(()),
        Taken::Refused { retry_after_ms, .. } => {
            let seconds = retry_after_ms.div_ceil(1_000).max(1);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            Err(Problem::new(Kind::RateLimited, detail(seconds)).with_retry_after(seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn clients_differ_by_network_key_and_day() {
        let (key, now) = ([1; 32], Timestamp(0));
        let tag = client_tag(&key, 1, now);
        assert_eq!(tag.len(), 6);
        assert_eq!(tag, client_tag(&key, 1, Timestamp(DAY_MS - 1)));
        for other in [
            client_tag(&key, 2, now),
            client_tag(&[2; 32], 1, now),
            client_tag(&key, 1, Timestamp(DAY_MS)),
            client_tag(&key, 1, Timestamp(-1)),
        ] {
            assert_ne!(tag, other);
        }
    }

    /// Ends at the second time that it is asked whether it has.
    struct Second(bool);

    impl Future for Second {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            context.waker().wake_by_ref();
            match std::mem::replace(&mut self.0, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }
    }

    /// Pauses until then, or for ever.
    struct Paused(bool);

    impl Pause for Paused {
        async fn pause_ms(&self, _: u64) {
            match self.0 {
                true => Second(false).await,
                false => std::future::pending().await,
            }
        }
    }

    #[test]
    fn an_answer_is_waited_for_until_the_pause_ends() {
        let within = |ends, answer: Pin<Box<dyn Future<Output = ()>>>| {
            pollster::block_on(within(&Paused(ends), 1, answer))
        };
        assert_eq!(within(false, Box::pin(Second(false))), Some(()));
        assert_eq!(within(true, Box::pin(Second(true))), Some(()));
        assert_eq!(within(true, Box::pin(std::future::pending())), None);
    }

    #[test]
    fn waits_are_whole_seconds_rounded_up() {
        for (retry_after_ms, seconds) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
            let refused = Taken::Refused { retry_after_ms, full_at: Timestamp(0) };
            let problem = admitted(refused, |seconds| seconds.to_string()).unwrap_err();
            assert_eq!(problem.retry_after_seconds, Some(seconds));
            assert_eq!((problem.status(), problem.detail), (429, seconds.to_string()));
        }
    }
}
