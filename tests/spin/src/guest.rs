//! What one instance of the component sees of its host.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rand_core::TryRng;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::world::{Outgoing, World};

/// More than any test writes.
const LOG_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The data of one instance's store.
pub struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    way_out: WayOut,
    /// Resources of the instance.
    pub table: ResourceTable,
    /// All there is beside it.
    pub world: Arc<World>,
}

impl Guest {
    /// Of an instance in `world`.
    pub fn new(world: &Arc<World>) -> Self {
        let log = MemoryOutputPipe::new(LOG_MAX_BYTES);
        world.add_log(log.clone());
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(log.clone()).stderr(log).wall_clock(WorldClock(Arc::clone(world)));
        if let Some(draw) = world.draw {
            wasi.secure_random(Always(draw));
        }
        Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            way_out: WayOut(Arc::clone(world)),
            table: ResourceTable::new(),
            world: Arc::clone(world),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.way_out, table: &mut self.table, ctx: &mut self.http }
    }
}

struct WorldClock(Arc<World>);

impl HostWallClock for WorldClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().0).unwrap_or_default())
    }
}

/// The same number again and again.
struct Always(u64);

impl TryRng for Always {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0 as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for (byte, draw) in to.iter_mut().zip(self.0.to_le_bytes().iter().cycle()) {
            *byte = *draw;
        }
        Ok(())
    }
}

/// Hands outgoing requests to the world.
struct WayOut(Arc<World>);

/// How a request fared after it was answered.
type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for WayOut {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Sent), Error>> + Send> {
        let world = Arc::clone(&self.0);
        Box::new(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let answer = world.send(Outgoing { head, body }).await?;
            let body =
                |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
            let sent: Sent = Box::new(async { Ok(()) });
            Ok((answer.map(body), sent))
        })
    }
}
