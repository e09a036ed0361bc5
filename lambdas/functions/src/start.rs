//! What a function needs before its first event: settings from the environment, secrets, clients.
//! Done once for an instance, in its initialisation.

use std::collections::BTreeMap;
use std::fmt;

use waypost_aws::clients::Clients;
use waypost_aws::schema::Names;
use waypost_aws::secrets;
use waypost_aws::store::AwsStore;
use waypost_host::keys::Keys;
use waypost_host::settings::{Settings, Strings};
use waypost_service::keys::AdminKey;
use waypost_service::seal::SealKeys;
use waypost_service::seams::StoreError;

/// Why a function cannot start. The text is for the log, and says nothing of secrets.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Variables of the environment.
    #[error("the environment is not usable: {}", .0.join("; "))]
    Environment(Vec<String>),
    /// A secret does not hold what it should.
    #[error("the secret in {variable} is not usable: {problem}")]
    Secret {
        /// The variable that names it.
        variable: &'static str,
        /// Why.
        problem: String,
    },
    /// AWS did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What every function has.
#[derive(Debug)]
pub struct Started {
    /// What the operator set.
    pub settings: Settings,
    /// The keys of the installation.
    pub keys: Keys,
    /// Where everything is kept.
    pub store: AwsStore,
    /// Tokens of the stores of edges, by their names.
    pub tokens: BTreeMap<String, String>,
}

/// The texts of the secrets that the environment names.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    edge_keys: String,
    seal_keys: Option<String>,
    admin_key: Option<String>,
    edge_tokens: Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// The process's environment.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Strings for Environment {
    fn value(&self, key: &str) -> Option<String> {
        std::env::var(format!("WAYPOST_{}", key.to_uppercase())).ok()
    }
}

/// Begins to log.
pub fn logs() {
    crate::logs::start(&Environment);
}

/// The store alone, for functions that need no keys.
///
/// # Errors
/// See [`StartError`].
pub async fn start_store(environment: &impl Strings) -> Result<AwsStore, StartError> {
    let mut faults = Vec::new();
    let names = names(environment, &mut faults);
    match faults.is_empty() {
        true => Ok(AwsStore::new(Clients::from_environment().await, names)),
        false => Err(StartError::Environment(faults)),
    }
}

/// Reads the environment and the secrets that it names.
///
/// # Errors
/// See [`StartError`].
pub async fn start(environment: &impl Strings) -> Result<Started, StartError> {
    start_with(environment, Clients::from_environment()).await
}

/// The same, with clients of one's own, which are asked for when the environment is usable.
///
/// # Errors
/// See [`StartError`].
pub async fn start_with(
    environment: &impl Strings,
    clients: impl Future<Output = Clients>,
) -> Result<Started, StartError> {
    let read = Usable::read(environment)?;
    let clients = clients.await;
    let secrets = read_secrets(environment, &clients).await?;
    read.started(clients, &secrets)
}

/// The texts of the secrets as they are now.
///
/// # Errors
/// See [`StartError`].
pub async fn read_secrets(
    environment: &impl Strings,
    clients: &Clients,
) -> Result<Secrets, StartError> {
    let mut faults = Vec::new();
    let edge_keys = required(environment, "edge_keys_secret", &mut faults);
    if !faults.is_empty() {
        return Err(StartError::Environment(faults));
    }
    let optional = async |name: &str| match environment.value(name).filter(|id| !id.is_empty()) {
        Some(id) => secrets::read(clients, &id).await.map(Some),
        None => Ok(None),
    };
    // All at once: each takes some milliseconds of a cold start.
    let (edge_keys, seal_keys, admin_key, edge_tokens) = tokio::try_join!(
        secrets::read(clients, &edge_keys),
        optional("seal_keys_secret"),
        optional("admin_key_secret"),
        optional("edge_tokens_secret"),
    )?;
    Ok(Secrets { edge_keys, seal_keys, admin_key, edge_tokens })
}

/// An environment without faults.
pub(crate) struct Usable {
    settings: Settings,
    names: Names,
}

impl Usable {
    /// # Errors
    /// All faults at once.
    pub(crate) fn read(environment: &impl Strings) -> Result<Self, StartError> {
        let read = Settings::read(&BTreeMap::new(), environment, None);
        let mut faults: Vec<String> = match &read {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        };
        let names = names(environment, &mut faults);
        required(environment, "edge_keys_secret", &mut faults);
        match read {
            Ok(settings) if faults.is_empty() => Ok(Self { settings, names }),
            _ => Err(StartError::Environment(faults)),
        }
    }

    /// With what the secrets hold.
    ///
    /// # Errors
    /// If a secret does not hold what it should.
    pub(crate) fn started(
        self,
        clients: Clients,
        secrets: &Secrets,
    ) -> Result<Started, StartError> {
        let Self { mut settings, names } = self;
        let keys = Keys::read(&secrets.edge_keys);
        let keys = keys.map_err(|fault| unusable("WAYPOST_EDGE_KEYS_SECRET", &fault))?;
        let seal_keys = secrets.seal_keys.as_deref().map(SealKeys::read).transpose();
        let seal_keys = seal_keys.map_err(|fault| unusable("WAYPOST_SEAL_KEYS_SECRET", &fault))?;
        if let Some(key) = secrets.admin_key.as_deref().map(str::trim) {
            // A key that would not do must be told, not left out.
            AdminKey::new(key).map_err(|fault| unusable("WAYPOST_ADMIN_KEY_SECRET", &fault))?;
            settings.admin_key = Some(key.to_owned());
        }
        // What serde says of it could quote a token.
        let told = |_| {
            let problem = "expected a JSON object, from names to tokens";
            unusable("WAYPOST_EDGE_TOKENS_SECRET", &problem)
        };
        let tokens = secrets.edge_tokens.as_deref().map(serde_json::from_str).transpose();
        let tokens = tokens.map_err(told)?.unwrap_or_default();
        let store = AwsStore::new(clients, names).sealed_with(seal_keys);
        Ok(Started { settings, keys, store, tokens })
    }
}

fn unusable(variable: &'static str, fault: &impl ToString) -> StartError {
    StartError::Secret { variable, problem: fault.to_string() }
}

/// What tables and the bucket are called.
fn names(environment: &impl Strings, faults: &mut Vec<String>) -> Names {
    Names {
        links: required(environment, "links_table", faults),
        control: required(environment, "control_table", faults),
        counters: required(environment, "counters_table", faults),
        raw_bucket: required(environment, "raw_bucket", faults),
    }
}

/// A variable that must be there.
pub fn required(environment: &impl Strings, key: &str, faults: &mut Vec<String>) -> String {
    let value = environment.value(key).filter(|value| !value.trim().is_empty());
    value.unwrap_or_else(|| {
        faults.push(format!("WAYPOST_{} is missing", key.to_uppercase()));
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_that_is_missing_is_told_at_once() {
        let environment = BTreeMap::from([
            ("links_table".to_owned(), "links".to_owned()),
            ("raw_bucket".to_owned(), " ".to_owned()),
            ("fold_under".to_owned(), "many".to_owned()),
        ]);
        let error = start(&environment).await.expect_err("faults").to_string();
        let expected = "the environment is not usable: WAYPOST_FOLD_UNDER: \"many\"; expected a \
                        whole number from 0 to 1000; WAYPOST_CONTROL_TABLE is missing; \
                        WAYPOST_COUNTERS_TABLE is missing; WAYPOST_RAW_BUCKET is missing; \
                        WAYPOST_EDGE_KEYS_SECRET is missing";
        assert_eq!(error, expected);
    }
}
