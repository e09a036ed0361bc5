//! The cases over HTTP on the native server: the whole program, started anew for each case on a
//! database that holds the case's links, with the case's clock.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use waypost_host::ambient::Ambient;
use waypost_host::settings::Settings;
use waypost_native::serve;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::seams::LinkStore;
use waypost_service::seams::StoredLink;
use waypost_wire::click::Batch;

use super::core::counted;
use crate::case::{Case, DOMAIN, Place, Request, TakeUse, Unlock};
use crate::host::{Answer, Click, Host};
use crate::seed::{self, COOKIE_KEY, OTHER_DOMAIN, Record, STICKY_KEY};
use crate::wire::exchange;

/// Tries at a password that use up what one client gets in a minute.
const TRIES: usize = 10;

/// Runs cases against a real server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Host for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn skips(&self, case: &Case) -> Option<&'static str> {
        let origin_fails = case.origin.take_use == Some(TakeUse::Failed)
            || case.origin.unlock == Some(Unlock::Failed);
        if !case.failing_reads.is_empty() || origin_fails {
            return Some("its one store does not fail on demand");
        }
        if case.policy.read_through || case.links.iter().any(|stored| stored.at != Place::Both) {
            return Some("it has no second place to read from");
        }
        if case.request.ip.is_none() || case.request.draw != 0 {
            return Some("it always knows its peer, and draws by itself");
        }
        if case.request.geo.datacentre {
            return Some("only an address database tells it of datacentres");
        }
        if case.request.geo.region.is_some() && case.request.geo.country.is_none() {
            return Some("its proxies tell regions as parts of countries");
        }
        // The parser of `http` refuses some of these and cuts others off, before anything of ours.
        let is_sendable = |byte: u8| byte.is_ascii_graphic() && !b"<`#".contains(&byte);
        if !case.request.target.bytes().all(is_sendable) || !case.request.target.starts_with('/') {
            return Some("its HTTP parser does not let this through");
        }
        None
    }

    async fn run(&self, case: &Case) -> Result<Answer, String> {
        let directory = scratch().map_err(text)?;
        seed(case, directory.path()).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let now = case.now;
        let server = tokio::spawn(serve::start(
            settings(case, directory.path())?,
            Ambient::with_clock(move || now),
            listener,
            async {
                // Either way it is over.
                let _ = stopped.await;
            },
        ));
        if case.origin.unlock == Some(Unlock::TooMany) {
            for _ in 0..TRIES {
                ask(address, &case.request).await?;
            }
        }
        let mut answer = ask(address, &case.request).await?;
        drop(stop);
        server.await.map_err(text)?.map_err(text)?;
        answer.click = Some(stored_click(directory.path()).await?);
        Ok(answer)
    }
}

/// A directory in memory where there is one: hundreds of cases wait for no disk.
fn scratch() -> std::io::Result<TempDir> {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
}

fn settings(case: &Case, directory: &Path) -> Result<Settings, String> {
    let change = &case.policy;
    let scheme = if change.http { "http" } else { "https" };
    let mut file = format!(
        "public_url = '{scheme}://{DOMAIN}'\n\
         admin_key = 'the-admin-key-of-a-case'\n\
         trusted_proxies = '127.0.0.0/8'\ngeo_headers = true\n\
         slug_slashes = {slashes}\nany_host = {any_host}\n\
         edit_delay_seconds = {delay}\n\
         [[domains]]\nname = '{DOMAIN}'\nignore_case = {ignore_case}\ncheck_characters = {check}\n",
        slashes = change.slashes,
        any_host = change.any_host,
        delay = change.edit_delay_seconds.unwrap_or(90),
        ignore_case = change.ignore_case,
        check = change.check_characters,
    );
    let more = match &change.home {
        Some(home) => format!("home = '{home}'\n"),
        None => String::new(),
    };
    write!(file, "{more}[[domains]]\nname = '{OTHER_DOMAIN}'\ncheck_characters = false\n")
        .map_err(text)?;
    let table = file.parse().map_err(text)?;
    let flags = BTreeMap::from([("data_dir".to_owned(), directory.display().to_string())]);
    Settings::read(&flags, &BTreeMap::new(), Some(("case.toml", &table)))
        .map_err(|all| format!("{all:?}"))
}

/// Stores the keys that cases are written for, and their links.
async fn seed(case: &Case, directory: &Path) -> Result<(), String> {
    let db = Db::open(&directory.join(FILE_NAME), &DbOptions::default()).map_err(text)?;
    db.write(|connection| {
        let mut insert = connection.prepare("INSERT INTO secrets (name, value) VALUES (?1, ?2)")?;
        insert.execute(("check", [0; 16]))?;
        insert.execute(("cookie", COOKIE_KEY))?;
        insert.execute(("sticky", STICKY_KEY))
    })
    .await
    .map_err(text)?;
    for record in seed::records(case)? {
        store(&db, record, case).await?;
    }
    db.close().await;
    Ok(())
}

async fn store(db: &Db, record: Record, case: &Case) -> Result<(), String> {
    let Record { key, bytes, link, .. } = record;
    let Some(link) = link else {
        let insert = move |connection: &rusqlite::Connection| {
            connection.execute(
                "INSERT INTO links (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
                 VALUES (1, ?1, ?2, ?3, 'active', 1, 0, 0, 0, '{}')",
                (key.as_str(), &bytes, key.domain()),
            )
        };
        return db.write(insert).await.map(drop).map_err(text);
    };
    let (id, max_clicks) = (link.id, link.max_clicks);
    let stored = StoredLink { link, key, record: bytes, recompile_at: None };
    db.create(&stored, None, false, case.now).await.map_err(text)?;
    if let (Some(TakeUse::Exhausted), Some(max_clicks)) = (case.origin.take_use, max_clicks) {
        for _ in 0..max_clicks {
            db.take_use(id, max_clicks).await.map_err(text)?;
        }
    }
    Ok(())
}

/// Sends the case's bytes as they are and reads the whole answer.
async fn ask(address: SocketAddr, request: &Request) -> Result<Answer, String> {
    let raw = exchange(address, &bytes(request)?).await?;
    Ok(Answer {
        status: raw.status,
        body: raw.text(),
        headers: raw.headers.into_iter().filter(|(name, _)| name != "connection").collect(),
        ..Answer::default()
    })
}

fn bytes(request: &Request) -> Result<Vec<u8>, String> {
    let Request { method, host, target, geo, .. } = request;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    let mut header = |name: &str, value: &str| write!(head, "{name}: {value}\r\n").map_err(text);
    if let Some(agent) = request.user_agent()? {
        header("user-agent", &agent)?;
    }
    for (name, value) in &request.headers {
        header(name, value)?;
    }
    header("x-forwarded-for", request.ip.as_deref().unwrap_or_default())?;
    // A proxy that tells the continent or city tells the country, if only as unknown.
    let country = geo.country.as_deref().unwrap_or("");
    header("cf-ipcountry", country)?;
    let region = geo.region.as_deref().and_then(|region| region.split_once('-'));
    for (name, value) in [
        ("cf-region-code", region.map(|(_, code)| code)),
        ("cf-ipcity", geo.city.as_deref()),
        ("cf-ipcontinent", geo.continent.as_deref()),
    ] {
        if let Some(value) = value {
            header(name, value)?;
        }
    }
    let form = request.form.as_deref().unwrap_or_default();
    if request.form.is_some() {
        header("content-type", "application/x-www-form-urlencoded")?;
        header("content-length", &form.len().to_string())?;
    }
    head.push_str("\r\n");
    head.push_str(form);
    Ok(head.into_bytes())
}

/// The last click that the server stored.
async fn stored_click(directory: &Path) -> Result<Option<Click>, String> {
    let db = Db::open(&directory.join(FILE_NAME), &DbOptions::default()).map_err(text)?;
    let batches: Vec<Vec<u8>> = db
        .read(|connection| {
            let mut query = connection.prepare("SELECT bytes FROM batches ORDER BY row")?;
            query.query_map((), |row| row.get(0))?.collect()
        })
        .await
        .map_err(text)?;
    let Some(last) = batches.last() else {
        return Ok(None);
    };
    let batch = Batch::parse(last).map_err(|error| format!("{error:?}"))?;
    Ok(batch.clicks().last().map(|(_, click)| counted(&click)))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
