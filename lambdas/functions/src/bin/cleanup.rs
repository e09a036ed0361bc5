//! Removes what time has made superfluous: links past their end, statistics of links that are gone.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_functions::cleanup::{Work, handle};
use waypost_functions::serving;
use waypost_functions::start::{Environment, logs, start};
use waypost_host::ambient::Ambient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let service = &serving::service(&start(&Environment).await?, Ambient::system())?;
    run(service_fn(async |event: LambdaEvent<Work>| {
        Ok::<_, Error>(handle(service, event.payload, event.context.deadline).await?)
    }))
    .await
}
