//! The HTTP API, and the questions of edges.

use lambda_http::{Error, Request, run, service_fn};
use waypost_aws::clients::Clients;
use waypost_functions::renewal::Renewed;
use waypost_functions::serving;
use waypost_functions::start::{Environment, logs};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let ambient = &Ambient::system();
    let make = |started| serving::api(&started, ambient.clone());
    let clients = Clients::from_environment();
    let api = &Renewed::start(Environment, clients, make, ambient.now()).await?;
    run(service_fn(async |request: Request| {
        Ok::<_, Error>(api.current(ambient.now()).await.answer(request).await)
    }))
    .await
}
