//! Takes clicks from the queue.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use waypost_functions::aggregate::handle;
use waypost_functions::start::{Environment, logs, start_store};
use waypost_host::ambient::Ambient;
use waypost_service::ambient::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let store = &start_store(&Environment).await?;
    let ambient = &Ambient::system();
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(handle(store, event.payload, ambient.now()).await)
    }))
    .await
}
