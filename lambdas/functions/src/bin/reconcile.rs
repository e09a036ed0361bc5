//! Compares the stores of edges with the table, and repairs them.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_aws::clients::Clients;
use waypost_functions::publish::reconcile::{Order, handle};
use waypost_functions::publish::targets;
use waypost_functions::renewal::Renewed;
use waypost_functions::start::{Environment, Started, logs};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;
use waypost_service::publish::reconcile::Reconciler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let ambient = &Ambient::system();
    let make = |started: Started| {
        let stores = targets(&Environment, &started)?.into_iter();
        let reconcilers = stores.map(|store| Reconciler::new(store, ambient.clone())).collect();
        Ok((started.store, reconcilers))
    };
    let clients = Clients::from_environment();
    let comparing =
        &Renewed::<_, _, (_, Vec<_>)>::start(Environment, clients, make, ambient.now()).await?;
    run(service_fn(async |event: LambdaEvent<Order>| {
        let LambdaEvent { payload, context } = event;
        let current = comparing.current(ambient.now()).await;
        let (table, reconcilers) = &*current;
        Ok::<_, Error>(handle(reconcilers, table, ambient, &payload, context.deadline).await)
    }))
    .await
}
