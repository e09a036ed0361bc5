//! Books clicks, closes windows, compacts: every minute, one at a time.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use waypost_functions::rollup::handle;
use waypost_functions::start::{Environment, logs, start_store};
use waypost_host::ambient::Ambient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let store = &start_store(&Environment).await?;
    let ambient = &Ambient::system();
    run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Error>(handle(store, ambient, event.context.deadline).await?)
    }))
    .await
}
