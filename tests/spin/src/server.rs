//! The component behind a socket, as Spin runs it: instances are used again, for several requests
//! at once if they let it happen, and go when they have had enough or are idle.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ProxyHandler, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

use crate::arrival::arrive;
use crate::engine::component;
use crate::guest::Guest;
use crate::world::World;

/// How long instances live. The default is Spin's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests of one instance in all.
    pub requests: usize,
    /// Requests of one instance at once.
    pub at_once: usize,
    /// Idleness after which an instance goes.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 128, at_once: 16, idle: Duration::from_secs(1) }
    }
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Calls that wrote to any client.
    pub writes: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// There is no port, or no component.
    pub async fn start(world: &Arc<World>, limits: Limits) -> Result<Self, String> {
        component()?;
        let text = |error: io::Error| error.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let handler = ProxyHandler::new(Instances { world: Arc::clone(world), limits });
        let writes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&writes);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, client)) = listener.accept().await {
                let io = TokioIo::new(Counted { stream, writes: Arc::clone(&counter) });
                let handler = handler.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| handle(&handler, request, client));
                    // A client that goes away is no failure of a test.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        Ok(Self { address, writes, accepting })
    }
}

/// As Spin does it: whatever goes wrong on the way is a bare 500.
async fn handle(
    handler: &ProxyHandler<Instances>,
    request: http::Request<Incoming>,
    client: SocketAddr,
) -> Result<http::Response<WasiBody>, Infallible> {
    let answered = match arrive(request, Some(client)) {
        Ok(request) => {
            let body = |body: Incoming| body.map_err(Error::from).boxed_unsync();
            handler.handle((), request.map(body)).await.map_err(|error| format!("{error:?}"))
        }
        Err(error) => Err(error),
    };
    Ok(answered.unwrap_or_else(|_| {
        let empty = Empty::new().map_err(|never: Infallible| match never {});
        let mut failed = http::Response::new(empty.boxed_unsync());
        *failed.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    }))
}

struct Instances {
    world: Arc<World>,
    limits: Limits,
}

impl HandlerState for Instances {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Expiration, Worker>> {
        let component = component().map_err(wasmtime::Error::msg)?;
        let mut store = Store::new(component.engine(), Guest::new(&self.world));
        let service = component.instantiate_async(&mut store).await?;
        let sleep = Box::pin(tokio::time::sleep(self.limits.idle));
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: |guest| guest.http(),
            expiration: Expiration { idle: self.limits.idle, sleep },
            state: Worker(self.limits),
        })
    }
}

struct Worker(Limits);

impl WorkerState for Worker {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, at_once: usize, requests: usize) -> ShouldAccept {
        if requests >= self.0.requests {
            ShouldAccept::Never
        } else if at_once >= self.0.at_once {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        // Spin sets no limit either unless it is told to.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<Guest>, result: wasmtime::Result<()>) {
        store.data().world.ended(result.is_ok());
    }
}

struct Expiration {
    idle: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let end = (since + self.idle).into();
        if self.sleep.deadline() != end {
            self.sleep.as_mut().reset(end);
        }
        self.sleep.as_mut().poll(context)
    }
}

/// A connection that counts how often something is written to it. As with Spin, small writes wait
/// for the client's word on the ones before (Nagle).
struct Counted {
    stream: TcpStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.writes.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
