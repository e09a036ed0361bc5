//! What an instance works with, made anew when a secret has changed: instances live for hours, and a
//! key that was taken away, or a token that was replaced, must not live as long.

use std::sync::Arc;

use tokio::sync::Mutex;
use waypost_aws::clients::Clients;
use waypost_host::settings::Strings;
use waypost_wire::time::Timestamp;

use crate::start::{Secrets, StartError, Started, Usable, read_secrets};

/// Secrets that were read longer ago are read again, in milliseconds: five minutes. In a month, that
/// is 9,000 reads of each secret by an instance that never rests, $0.05 (Secrets Manager's price).
pub const RENEWED_AFTER_MS: i64 = 300_000;

/// What is made of a [`Started`].
pub struct Renewed<E, M, T> {
    environment: E,
    clients: Clients,
    make: M,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    secrets: Secrets,
    read_at: Timestamp,
    made: Arc<T>,
}

impl<E, M, T> Renewed<E, M, T>
where
    E: Strings,
    M: Fn(Started) -> Result<T, StartError>,
{
    /// Starts, and makes it for the first time.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        environment: E,
        clients: impl Future<Output = Clients>,
        make: M,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let usable = Usable::read(&environment)?;
        let clients = clients.await;
        let secrets = read_secrets(&environment, &clients).await?;
        let made = Arc::new(make(usable.started(clients.clone(), &secrets)?)?);
        let current = Mutex::new(Current { secrets, read_at: now, made });
        Ok(Self { environment, clients, make, current })
    }

    /// What to work with at `now`. If a secret cannot be read, or does not hold what it should, that
    /// is logged and what was there stays: links go on while somebody mends it.
    pub async fn current(&self, now: Timestamp) -> Arc<T> {
        let mut current = self.current.lock().await;
        if now.ms_since(current.read_at) >= RENEWED_AFTER_MS {
            current.read_at = now;
            match self.changed(&current.secrets).await {
                Ok(None) => {}
                Ok(Some((secrets, made))) => {
                    tracing::info!("secrets have changed");
                    *current = Current { secrets, read_at: now, made: Arc::new(made) };
                }
                Err(error) => {
                    tracing::error!(%error, "secrets could not be read again; the old ones stay");
                }
            }
        }
        Arc::clone(&current.made)
    }

    async fn changed(&self, before: &Secrets) -> Result<Option<(Secrets, T)>, StartError> {
        let secrets = read_secrets(&self.environment, &self.clients).await?;
        if secrets == *before {
            return Ok(None);
        }
        let started = Usable::read(&self.environment)?.started(self.clients.clone(), &secrets)?;
        Ok(Some((secrets, (self.make)(started)?)))
    }
}
