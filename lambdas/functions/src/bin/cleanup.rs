//! Removes what time has made superfluous: links past their end, statistics of links that are gone.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_aws::clients::Clients;
use waypost_functions::cleanup::{Work, handle};
use waypost_functions::renewal::Renewed;
use waypost_functions::serving;
use waypost_functions::start::{Environment, logs};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let ambient = &Ambient::system();
    let make = |started| serving::service(&started, ambient.clone());
    let clients = Clients::from_environment();
    let service = &Renewed::start(Environment, clients, make, ambient.now()).await?;
    run(service_fn(async |event: LambdaEvent<Work>| {
        let service = service.current(ambient.now()).await;
        Ok::<_, Error>(handle(&service, event.payload, event.context.deadline).await?)
    }))
    .await
}
