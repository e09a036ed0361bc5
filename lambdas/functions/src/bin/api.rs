//! The HTTP API, and the questions of edges.

use lambda_http::{Error, Request, run, service_fn};
use waypost_functions::serving;
use waypost_functions::start::{Environment, logs, start};
use waypost_host::ambient::Ambient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs();
    let api = &serving::api(&start(&Environment).await?, Ambient::system())?;
    run(service_fn(async |request: Request| Ok::<_, Error>(api.answer(request).await))).await
}
