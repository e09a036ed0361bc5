//! What every implementation of a seam must do: one function per behaviour, run by
//! `tests/contracts_*.rs` over each implementation that this machine can run.

pub mod counters;
pub mod keys;
pub mod limits;
pub mod links;
pub mod seals;

use std::sync::Barrier;
use std::thread;

use waypost_service::seams::StoreError;

/// The value; a store that fails breaks every contract.
pub fn ok<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}

/// Runs `job` with 0, 1, .. on so many threads at the same moment; the results in that order.
pub fn at_once<T: Send, F: Future<Output = T>>(
    count: usize,
    job: impl Fn(usize) -> F + Sync,
) -> Vec<T> {
    let barrier = Barrier::new(count);
    let run = &|index| match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => {
            barrier.wait();
            runtime.block_on(job(index))
        }
        Err(error) => panic!("no runtime: {error}"),
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || run(index))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, T>| match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}
