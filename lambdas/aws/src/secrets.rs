//! Secrets, as Secrets Manager keeps them.

use waypost_service::seams::StoreError;

use crate::clients::Clients;
use crate::item::{damaged, unavailable};

/// The text of a secret, by its name or ARN.
///
/// # Errors
/// If it cannot be read, or is not text.
pub async fn read(clients: &Clients, id: &str) -> Result<String, StoreError> {
    let answer = clients.secrets.get_secret_value().secret_id(id).send().await;
    let answer = answer.map_err(|error| unavailable(&error))?;
    answer.secret_string.ok_or_else(|| damaged(format!("the secret {id} holds bytes, not text")))
}
