//! The least that a function can be, to measure the others beside it: it answers what it is asked.
//! With `WAYPOST_ADMIN_KEY_SECRET` set it reads that secret first, as the least that a function which
//! needs anything of AWS can do.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use waypost_aws::clients::Clients;
use waypost_aws::secrets;
use waypost_functions::start::logs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    if let Ok(secret) = std::env::var("WAYPOST_ADMIN_KEY_SECRET") {
        secrets::read(&Clients::from_environment().await, &secret).await?;
    }
    run(service_fn(async |event: LambdaEvent<Value>| Ok::<_, Error>(event.payload))).await
}
