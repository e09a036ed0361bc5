//! Writes all links into files.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_aws::clients::Clients;
use waypost_functions::export::{Order, handle};
use waypost_functions::renewal::Renewed;
use waypost_functions::serving;
use waypost_functions::start::{Environment, Started, logs};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let ambient = &Ambient::system();
    let make = |started: Started| {
        serving::service(&started, ambient.clone()).map(|service| (service, started.store))
    };
    let clients = Clients::from_environment();
    let serving = &Renewed::start(Environment, clients, make, ambient.now()).await?;
    run(service_fn(async |event: LambdaEvent<Order>| {
        let LambdaEvent { payload, context } = event;
        let current = serving.current(ambient.now()).await;
        let (service, store) = &*current;
        Ok::<_, Error>(handle(service, store, payload, context.deadline).await?)
    }))
    .await
}
