//! Compares the stores of edges with the table, and repairs them.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_functions::publish::reconcile::{Order, handle};
use waypost_functions::publish::targets;
use waypost_functions::start::{Environment, logs, start};
use waypost_host::ambient::Ambient;
use waypost_service::publish::reconcile::Reconciler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let started = &start(&Environment).await?;
    let ambient = &Ambient::system();
    let reconcilers: &Vec<_> = &targets(&Environment, started)
        .await?
        .into_iter()
        .map(|store| Reconciler::new(store, ambient.clone()))
        .collect();
    run(service_fn(async |event: LambdaEvent<Order>| {
        let LambdaEvent { payload, context } = event;
        Ok::<_, Error>(
            handle(reconcilers, &started.store, ambient, &payload, context.deadline).await,
        )
    }))
    .await
}
