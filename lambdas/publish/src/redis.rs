//! Redis and what speaks like it, as stores of self-hosted Spin apps: a key is the text of a link's
//! key, without a prefix, and its value the bytes of the record.
//!
//! No metadata is kept beside the records: what a record is follows from its bytes, and a second
//! place could say something else than the first, after a key was evicted or written by hand. A
//! comparison reads the records themselves, 400 bytes each, from a server nearby.

use std::collections::BTreeSet;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, RedisError, ServerErrorKind, cmd,
};
use tokio::sync::Mutex;
use waypost_service::publish::{
    Budget, EdgeStore, Kept, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_wire::state::STATE_KEY;

use crate::http::shown;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How many keys the server looks at for one page of a list.
const PAGE: usize = 1_000;

/// A database of a Redis server.
pub struct RedisStore {
    name: String,
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// The database at `url` (`redis://` or `rediss://`, with a user and the number of the database
    /// if needed). Nothing is called yet.
    ///
    /// # Errors
    /// [`StoreFault::Refused`] for an address that is none.
    pub fn new(name: &str, url: &str, password: Option<&str>) -> Result<Self, StoreFault> {
        // A process has one kind of cryptography; whoever is first chooses the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut info: ConnectionInfo = url.into_connection_info().map_err(|error| fault(&error))?;
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        let client = Client::open(info).map_err(|error| fault(&error))?;
        Ok(Self { name: name.to_owned(), client, connection: Mutex::new(None) })
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreFault> {
        let mut kept = self.connection.lock().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = command.query_async(&mut connection).await;
        // A connection that failed may be in the middle of an answer: the next call makes another.
        match answer {
            Ok(answer) => {
                *kept = Some(connection);
                Ok(answer)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreFault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        connection.map_err(|error| fault(&error))
    }
}

impl EdgeStore for RedisStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self, _: Budget) -> Limits {
        Limits {
            puts_max: 1_000,
            bytes_max: 4 << 20,
            removals_max: 1_000,
            marks_max: 1_000,
            calls: None,
            writes: None,
            same_key_ms: 0,
        }
    }

    fn ways(&self) -> Ways {
        Ways::ListsAndReads
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        // All of them or none.
        let mut command = cmd("MSET");
        for put in records {
            command.arg(put.key).arg(put.record);
        }
        let () = self.ask(&command).await?;
        Ok(vec![Kept::Stored; records.len()])
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let mut command = cmd("DEL");
        for removal in removals {
            command.arg(removal.key);
        }
        let _: u64 = self.ask(&command).await?;
        Ok(vec![Kept::Stored; removals.len()])
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        let () = self.ask(cmd("SET").arg(STATE_KEY).arg(state)).await?;
        Ok(Kept::Stored)
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        let from = cursor.unwrap_or("0");
        let command = cmd("SCAN").arg(from).arg("COUNT").arg(PAGE).to_owned();
        let (next, found): (String, Vec<Vec<u8>>) = self.ask(&command).await?;
        // What is no text is no key of a link; and a server may tell a key twice.
        let keys: BTreeSet<String> =
            found.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        let marks = self.marks(&texts).await?;
        // Without those that are gone meanwhile, or are no strings.
        let there = keys.iter().zip(marks).filter_map(|(key, found)| Some((key.clone(), found?)));
        Ok(Listed { keys: there.collect(), next_cursor: (next != "0").then_some(next) })
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("MGET");
        command.arg(keys);
        let records: Vec<Option<Vec<u8>>> = self.ask(&command).await?;
        Ok(records.into_iter().map(|record| record.map(|bytes| Mark::of(&bytes).ok())).collect())
    }
}

fn fault(error: &RedisError) -> StoreFault {
    let text = shown(&error.to_string());
    match error.kind() {
        ErrorKind::Io => StoreFault::Unavailable(text),
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
            StoreFault::Refused(text)
        }
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly => StoreFault::Unavailable(text),
            // MOVED and CROSSSLOT are the words of a cluster, which edges do not read either.
            _ => StoreFault::Refused(text),
        },
        // OOM, BUSY, MISCONF: the server is in trouble. NOAUTH, WRONGPASS: this side is.
        ErrorKind::Extension => match error.code() {
            Some("NOAUTH" | "WRONGPASS" | "WRONGTYPE") => StoreFault::Refused(text),
            _ => StoreFault::Unavailable(text),
        },
        _ => StoreFault::Unexpected(text),
    }
}
