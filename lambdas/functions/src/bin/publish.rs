//! Tells the stores of edges what changed, and every minute the state.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_aws::queue::Queue;
use waypost_functions::publish::{CleanupQueue, Surroundings, Work, handle, targets};
use waypost_functions::start::{Environment, StartError, logs, required, start};
use waypost_host::ambient::Ambient;
use waypost_service::publish::{Backoff, Publisher, StateOf};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let mut faults = Vec::new();
    let queue = required(&Environment, "cleanup_queue_url", &mut faults);
    if !faults.is_empty() {
        return Err(StartError::Environment(faults).into());
    }
    let started = &start(&Environment).await?;
    let ambient = &Ambient::system();
    let stores = targets(&Environment, started).await?;
    let store = &started.store;
    let around = &Surroundings {
        table: store,
        states: &StateOf::new(store, store, ambient),
        statistics: &CleanupQueue(Queue::new(&store.clients, queue)),
        stores: stores.len(),
    };
    let publisher = &Publisher::new(stores, ambient.clone(), Backoff::default());
    run(service_fn(async |event: LambdaEvent<Work>| {
        let LambdaEvent { payload, context } = event;
        Ok::<_, Error>(handle(publisher, around, ambient, payload, context.deadline).await)
    }))
    .await
}
