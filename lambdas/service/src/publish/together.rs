//! Futures side by side.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A future, and its answer once it is there.
type Running<F> = (Pin<Box<F>>, Poll<<F as Future>::Output>);

/// Runs all futures to their ends on the task that asks; their answers in their order.
pub(super) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Running<F>> =
        futures.into_iter().map(|future| (Box::pin(future), Poll::Pending)).collect();
    poll_fn(|context| {
        for (future, answer) in &mut running {
            if answer.is_pending() {
                *answer = future.as_mut().poll(context);
            }
        }
        match running.iter().any(|(_, answer)| answer.is_pending()) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
    let answer = |(_, answer)| match answer {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    };
    running.into_iter().filter_map(answer).collect()
}
