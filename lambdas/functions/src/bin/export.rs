//! Writes all links into files.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_functions::export::{Order, handle};
use waypost_functions::serving;
use waypost_functions::start::{Environment, logs, start};
use waypost_host::ambient::Ambient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let started = &start(&Environment).await?;
    let service = &serving::service(started, Ambient::system())?;
    run(service_fn(async |event: LambdaEvent<Order>| {
        let LambdaEvent { payload, context } = event;
        Ok::<_, Error>(handle(service, &started.store, payload, context.deadline).await?)
    }))
    .await
}
