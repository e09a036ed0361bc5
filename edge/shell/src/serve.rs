use waypost_core::click;
use waypost_core::decide::{Found, decide, unlocked};
use waypost_core::decision::{Cause, Decision, GoneReason};
use waypost_core::facts::RequestFacts;
use waypost_core::flow::{Flow, Lookup, Next};
use waypost_core::pages::PasswordState;
use waypost_core::policy::Policy;
use waypost_core::reply::{Reply, reply};
use waypost_wire::click::Click;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::seams::{LinkReader, Origin, Unlock, Use};

/// A request, served.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The answer to send.
    pub reply: Reply<'a>,
    /// The hit to count, if it is one.
    pub click: Option<Click<'a>>,
    /// What was decided, for logs and metrics.
    pub decision: &'a Decision<'a>,
}

/// Serves one request and hands the outcome to `finish`, which copies what its host needs: the
/// reply borrows from the record that was read.
///
/// `salt` keys the visitor hash of the click; without one, visitors are not told apart.
pub async fn serve<H: LinkReader + Origin, R>(
    facts: &RequestFacts<'_>,
    policy: &Policy,
    now: Timestamp,
    salt: Option<&[u8; 16]>,
    host: &H,
    finish: impl FnOnce(Outcome<'_>) -> R,
) -> R {
    let end = |decision: &Decision<'_>, link: Option<u64>| {
        finish(Outcome {
            reply: reply(decision, facts, policy),
            click: click::of(decision, link, facts, now, salt),
            decision,
        })
    };
    let mut flow = match Flow::start(facts, policy) {
        Ok(flow) => flow,
        Err(decision) => return end(&decision, None),
    };
    loop {
        let read = flow.read();
        let bytes = host.read(read.source, &read.key).await;
        let lookup = match &bytes {
            Ok(Some(bytes)) => Lookup::Found(bytes.as_ref()),
            Ok(None) => Lookup::Missing,
            Err(_) => Lookup::Failed,
        };
        match flow.take(lookup) {
            Next::Read => {}
            Next::Done(decision) => return end(&decision, None),
            Next::Found(found) => {
                let decision = settle(facts, &found, &read.key, now, policy, host).await;
                return end(&decision, Some(found.record.id));
            }
        }
    }
}

/// Decides, and asks the origin where the decision is not the edge's alone.
async fn settle<'a>(
    facts: &'a RequestFacts<'a>,
    found: &Found<'a>,
    key: &LinkKey,
    now: Timestamp,
    policy: &Policy,
    origin: &impl Origin,
) -> Decision<'a> {
    match decide(facts, found, now, policy) {
        Decision::Redirect(redirect) if redirect.takes_use => {
            match origin.take_use(found.record.id).await {
                Ok(Use::Taken) => Decision::Redirect(redirect),
                Ok(Use::Exhausted) => Decision::Gone {
                    reason: GoneReason::UsedUp,
                    to: found.record.expired_destination,
                },
                Err(_) => Decision::Unavailable(Cause::OriginFailed),
            }
        }
        Decision::Unlock(password) => {
            let version = found.record.password_version.unwrap_or_default();
            match origin.unlock(key, &password, facts.client_ip).await {
                Ok(Unlock::Right) => unlocked(facts, found.record.id, version, now, policy),
                Ok(Unlock::Wrong) => Decision::AskPassword(PasswordState::Wrong),
                Ok(Unlock::TooMany) => Decision::AskPassword(PasswordState::TooMany),
                Err(_) => Decision::Unavailable(Cause::OriginFailed),
            }
        }
        decision => decision,
    }
}
