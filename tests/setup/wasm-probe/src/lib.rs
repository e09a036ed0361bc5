//! Follows a link from an exported function, so that the linker keeps the whole redirect core
//! and whatever it would import from a host. The module is linked, never run.

use std::hint::black_box;

use waypost_core::decide::decide;
use waypost_core::decision::{Decision, NotFoundReason};
use waypost_core::facts::RequestFacts;
use waypost_core::flow::{Flow, Lookup, Next};
use waypost_core::policy::Policy;
use waypost_core::reply::reply;
use waypost_wire::time::Timestamp;

/// The status that a request is answered with.
///
/// The optimiser knows nothing of a value out of `black_box`, so no branch is left out.
#[unsafe(no_mangle)]
pub extern "C" fn follow(now_ms: i64) -> u32 {
    let facts = black_box(RequestFacts::default());
    let Some(policy) = black_box(None::<Policy>) else {
        return 0;
    };
    let decision = match Flow::start(&facts, &policy) {
        Err(decision) => decision,
        Ok(mut flow) => match flow.take(Lookup::Found(black_box(&[]))) {
            Next::Done(decision) => decision,
            Next::Found(found) => decide(&facts, &found, Timestamp(now_ms), &policy),
            Next::Read => Decision::NotFound(NotFoundReason::NoLink),
        },
    };
    u32::from(reply(&decision, &facts, &policy).status)
}
