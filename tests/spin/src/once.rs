//! One request on an instance of its own, without a socket.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use wasmtime::Store;
use wasmtime_wasi_http::{WasiHttpView, p3};

use crate::engine::component;
use crate::guest::Guest;
use crate::world::World;

/// The answer to a request that has arrived ([`crate::arrival::arrive`]). The instance is given
/// the time it takes after its answer.
///
/// # Errors
/// The instance ended, as by a panic, or gave no answer.
pub async fn once(world: &Arc<World>, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let component = component()?;
    let mut store = Store::new(component.engine(), Guest::new(world));
    let instance = component.instantiate_async(&mut store).await.map_err(text)?;
    let request = request.map(Full::new);
    let (request, io) = p3::Request::from_http(store.data_mut().http().hooks, request);
    let answered = store.run_concurrent(async |guest| {
        let answer = instance.handle(guest, request).await?;
        let answer = answer.map_err(|code| wasmtime::format_err!("{code:?}"))?;
        let (head, body) = guest.with(|mut store| answer.into_http(&mut store, io))?.into_parts();
        let body = body.collect().await.map_err(|error| wasmtime::format_err!("{error:?}"))?;
        poll_fn(|context| guest.poll_no_interesting_tasks(context)).await;
        wasmtime::error::Ok(Response::from_parts(head, body.to_bytes()))
    });
    answered.await.and_then(|answered| answered).map_err(text)
}

fn text(error: wasmtime::Error) -> String {
    format!("{error:?}")
}
