//! Tells the stores of edges what changed, and every minute the state.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_aws::clients::Clients;
use waypost_aws::queue::Queue;
use waypost_functions::publish::{CleanupQueue, Surroundings, Work, handle, targets};
use waypost_functions::renewal::Renewed;
use waypost_functions::start::{Environment, StartError, Started, logs, required};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;
use waypost_service::publish::{Backoff, Publisher, StateOf};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let mut faults = Vec::new();
    let queue = required(&Environment, "cleanup_queue_url", &mut faults);
    if !faults.is_empty() {
        return Err(StartError::Environment(faults).into());
    }
    let ambient = &Ambient::system();
    let make = |started: Started| {
        let stores = targets(&Environment, &started)?;
        let count = stores.len();
        Ok((started.store, Publisher::new(stores, ambient.clone(), Backoff::default()), count))
    };
    let clients = Clients::from_environment();
    let publishing = &Renewed::start(Environment, clients, make, ambient.now()).await?;
    // The state has nothing sealed in it, and is kept as long as the instance.
    let first = publishing.current(ambient.now()).await;
    let states = &StateOf::new(&first.0, &first.0, ambient);
    let statistics = &CleanupQueue(Queue::new(&first.0.clients, queue));
    run(service_fn(async |event: LambdaEvent<Work>| {
        let LambdaEvent { payload, context } = event;
        let current = publishing.current(ambient.now()).await;
        let (table, publisher, stores) = &*current;
        let around = Surroundings { table, states, statistics, stores: *stores };
        Ok::<_, Error>(handle(publisher, &around, ambient, payload, context.deadline).await)
    }))
    .await
}
