//! Writes all links into files.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_functions::export::{Order, handle};
use waypost_functions::serving::Serving;
use waypost_functions::start::{Environment, logs, start};
use waypost_host::ambient::Ambient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let started = start(&Environment).await?;
    let files = &started.store.clone();
    let serving = &Serving::new(started, Ambient::system());
    run(service_fn(async |event: LambdaEvent<Order>| {
        let api = serving.api().await?;
        Ok::<_, Error>(handle(&api.service, files, event.payload, event.context.deadline).await?)
    }))
    .await
}
