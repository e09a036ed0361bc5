//! The server, from start to end: open, recover, announce, serve, drain.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use waypost_service::ambient::{Clock, Draws, Entropy};
use waypost_service::keys::{self, KeyStore, Role};
use waypost_service::links::Service;
use waypost_service::seal::fields::Sealing;
use waypost_service::seams::StoreError;
use waypost_shell::cache::CacheLimits;
use waypost_wire::origin::sign::OriginKey;

use crate::app::App;
use crate::clicks::{self, Clicks};
use crate::counting::Counting;
use crate::edge::Edges;
use crate::facts::Trust;
use crate::follow::Follow;
use crate::geo::GeoIp;
use crate::health::Health;
use crate::host::NativeHost;
use crate::jobs::Jobs;
use crate::limits::Buckets;
use crate::records::Records;
use crate::salts::Salts;
use crate::server::{self, Limits};
use crate::sqlite::{Db, DbOptions, FILE_NAME, OpenError};
use crate::store::Store;
use waypost_host::ambient::Ambient;
use waypost_host::keys::Keys;
use waypost_host::plan;
use waypost_host::settings::{Settings, StoreSettings};

/// Threads of the API and of jobs: apart from those of visitors, and few, as most of their work
/// waits.
const API_THREADS: usize = 2;

/// Records of a shared store are read anew after this long: a change at another node takes effect
/// here within 5 seconds.
const SHARED_AGE_MAX_MS: i64 = 4_000;

/// Links read into memory before the first visitor comes.
const WARM_LINKS: usize = 10_000;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("the data directory {path} cannot be used: {source}", path = path.display())]
    DataDir {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The MMDB file cannot be read.
    #[error("the MMDB file {path} cannot be read: {source}", path = path.display())]
    GeoIp {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: maxminddb::MaxMindDbError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The clock or the machine id is unusable.
    #[error("the settings give no generator of ids: machine_id is out of range")]
    Machine,
    /// There is nothing to do for a worker: the one process does everything.
    #[error("a worker works beside nodes that share a store: set store to dynamodb")]
    NotShared,
    /// Built without what it takes.
    #[error("this waypost was built without DynamoDB: build it with --features aws")]
    NoAws,
    /// The operating system gave no thread.
    #[error("a thread could not be started: {0}")]
    Thread(io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs a server until it is interrupted or told to terminate.
pub fn run(settings: Settings) -> ExitCode {
    crate::logs::start(&settings);
    let outcome = runtime("waypost", None).map_err(StartError::Thread).and_then(|runtime| {
        runtime.block_on(async {
            let address = settings.listen;
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| StartError::Listen { address, source })?;
            start(settings, Ambient::system(), listener, terminated()).await
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word before the end; if standard error is gone, nobody can be told.
            let _ = writeln!(io::stderr(), "waypost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves on `listener` until `shutdown`, then drains clicks and closes the database.
///
/// # Errors
/// Why the server could not start; once it serves, it only ends by `shutdown`.
pub async fn start(
    settings: Settings,
    ambient: Ambient,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let journal = prepare(&settings.data_dir)?;
    let (db, secrets) = open_store(&settings, &ambient).await?;
    let geoip = open_geoip(settings.geoip.as_deref())?;
    let service = control_plane(&settings, &ambient, &db, &secrets)?;
    let source = u64::from_le_bytes(random(&ambient));
    let counting = Arc::new(Counting::new(db.clone(), source, ambient.clone()));

    let leftovers = clicks::leftovers(&journal)
        .map_err(|source| StartError::DataDir { path: journal.clone(), source })?;
    let (clicks, batches) = Clicks::start(source, &journal).map_err(StartError::Thread)?;
    let clicks = Arc::new(clicks);
    let salts = Arc::new(Salts::default());
    let jobs = Jobs {
        service: Arc::clone(&service),
        counting: Arc::clone(&counting),
        salts: Arc::clone(&salts),
        clicks: Arc::clone(&clicks),
        cleanup_at: settings.cleanup_at,
    };
    jobs.refresh_salts().await?;
    announce(&settings, &listener, &service).await?;
    let hot = db.keys_followed_last(WARM_LINKS).await?;
    service.host.records.warm(hot.iter().map(String::as_str)).await?;

    let health = Health {
        clicks: Arc::clone(&clicks),
        counting: Arc::clone(&counting),
        metrics: Arc::default(),
        has_geoip: geoip.is_some(),
    };
    let (key, metrics) = (OriginKey::new(secrets.origin), Arc::clone(&health.metrics));
    let edges = Edges { service: Arc::clone(&service), attempts: Arc::default(), key, metrics };
    let follow = Follow {
        records: Arc::clone(&service.host.records),
        service,
        clicks: Arc::clone(&clicks),
        salts,
        attempts: Arc::clone(&edges.attempts),
        trust: trust(&settings, geoip),
        body_timeout: seconds(settings.request_timeout_seconds),
        metrics: Arc::clone(&health.metrics),
    };
    let api = Threads::start()?;
    let app = Arc::new(App::new(follow, edges, health, api.handle(), &settings.cors_origins));
    let delivery = tokio::spawn(Arc::clone(&counting).deliver_all(leftovers, batches));
    let jobs = jobs.spawn(&api.handle());
    let limits = Limits {
        connections_max: settings.connections_max,
        header_timeout: seconds(settings.request_timeout_seconds),
        shutdown_timeout: seconds(settings.shutdown_seconds),
    };
    server::run(listener, app, limits, shutdown).await;

    jobs.abort();
    drain(&clicks, &counting, delivery, limits.shutdown_timeout).await;
    drop(api);
    db.close(ambient.now()).await;
    tracing::info!("stopped");
    Ok(())
}

/// The store that the settings name, with the keys of the installation.
pub(crate) async fn open_store(
    settings: &Settings,
    ambient: &Ambient,
) -> Result<(Store, Keys), StartError> {
    match &settings.store {
        StoreSettings::Sqlite => {
            let sealing = Sealing::with(settings.seal_keys.clone());
            let options = DbOptions { sealing, ..DbOptions::default() };
            let db = Db::open(&settings.data_dir.join(FILE_NAME), &options)?;
            let keys = db.secrets(ambient).await?;
            Ok((db.into(), keys))
        }
        #[cfg(feature = "aws")]
        StoreSettings::DynamoDb(shared) => {
            let joined = crate::shared::Shared::join(shared, settings.seal_keys.clone()).await?;
            Ok((Store::Shared(joined), shared.keys.clone()))
        }
        #[cfg(not(feature = "aws"))]
        StoreSettings::DynamoDb(_) => Err(StartError::NoAws),
    }
}

/// The control plane on `db`, with the cache in front of it.
pub(crate) fn control_plane(
    settings: &Settings,
    ambient: &Ambient,
    db: &Store,
    secrets: &Keys,
) -> Result<Arc<Service<NativeHost>>, StartError> {
    let (ids, codes) = plan::generators(settings, secrets).ok_or(StartError::Machine)?;
    let limits = CacheLimits {
        bytes_max: settings.cache_max_bytes,
        missing_ttl_ms: i64::from(settings.missing_ttl_seconds) * 1_000,
        age_max_ms: if db.is_shared() { SHARED_AGE_MAX_MS } else { i64::MAX },
    };
    let records = Arc::new(Records::new(db.clone(), ambient.clone(), limits));
    Ok(Arc::new(Service::new(
        NativeHost { ambient: ambient.clone(), db: db.clone(), limits: Buckets::from(db), records },
        plan::policy(settings, secrets),
        plan::draft_rules(settings, secrets),
        plan::service_settings(settings),
        ids,
        codes,
    )))
}

/// Hands all clicks to the store. What it does not take in time stays in the journal.
async fn drain(
    clicks: &Arc<Clicks>,
    counting: &Counting,
    delivery: tokio::task::JoinHandle<()>,
    timeout: Duration,
) {
    let closing = Arc::clone(clicks);
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    if tokio::time::timeout(timeout, delivery).await.is_err() {
        tracing::warn!("some clicks wait in the journal for the next start");
        return;
    }
    if let Ok(accepted) = closed
        && let Err(error) = counting.report(accepted).await
    {
        tracing::error!(%error, "the end of this process's clicks could not be noted");
    }
}

/// The data directory, for its owner only, and the journal's in it.
fn prepare(data_dir: &Path) -> Result<PathBuf, StartError> {
    let journal = data_dir.join("journal");
    let make = |path: &Path| {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| StartError::DataDir { path: path.to_owned(), source })
    };
    make(data_dir)?;
    make(&journal)?;
    Ok(journal)
}

/// Who is believed about clients.
fn trust(settings: &Settings, geoip: Option<GeoIp>) -> Trust {
    let (proxies, geo_headers) = (settings.trusted_proxies.clone(), settings.geo_headers);
    Trust { proxies, geo_headers, geoip }
}

fn open_geoip(path: Option<&Path>) -> Result<Option<GeoIp>, StartError> {
    let open = |path: &Path| {
        GeoIp::open(path).map_err(|source| StartError::GeoIp { path: path.to_owned(), source })
    };
    path.map(open).transpose()
}

/// Says where the server is. On the first start, makes an admin key and shows it, this once, with
/// a line to try it.
async fn announce(
    settings: &Settings,
    listener: &TcpListener,
    service: &Service<NativeHost>,
) -> Result<(), StartError> {
    let address = listener.local_addr().unwrap_or(settings.listen);
    tracing::info!(%address, public_url = settings.public_url, data_dir = %settings.data_dir.display(), "listening");
    let is_first = service.host.db.list_keys().await?.is_empty();
    if !is_first || settings.admin_key.is_some() {
        return Ok(());
    }
    let now = service.host.ambient.now();
    let mut draws = Draws::new(&service.host.ambient);
    let (key, secret) = keys::generate("admin".to_owned(), Role::Admin, &mut draws, now);
    service.host.db.insert_key(&key).await?;
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let base = format!("http://{}", std::net::SocketAddr::new(reachable, address.port()));
    let text = format!(
        "\nWaypost is ready at {url}, its data is in {data}.\n\
         \n\
         This is your admin key. It is shown only now; keep it safe:\n\
         \n    {key}\n\
         \n\
         Make your first link:\n\
         \n    curl {base}/api/v1/links -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"destination\":\"https://example.com/\"}}'\n\n",
        url = settings.public_url,
        data = settings.data_dir.display(),
        key = secret.reveal(),
    );
    // Not a log line: logs are kept, and this must not be.
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    Ok(())
}

/// Interrupt or terminate, whichever comes first.
pub(crate) async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

pub(crate) fn runtime(name: &str, threads: Option<usize>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name(name).enable_all();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.build()
}

/// Threads apart from the server's own. A runtime may not be dropped inside another one, so its
/// end is left to the background.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Result<Self, StartError> {
        runtime("waypost-api", Some(API_THREADS)).map(Some).map(Self).map_err(StartError::Thread)
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn random<const N: usize>(ambient: &Ambient) -> [u8; N] {
    let mut bytes = [0; N];
    ambient.fill(&mut bytes);
    bytes
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}
