//! What an operator can set: by flag, by `WAYPOST_*` environment variable, by TOML file, in that
//! order. Everything is parsed at start, and all faults are reported at once.

mod domains;
mod parse;
mod store;
mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::civil::Time;
use waypost_wire::record::Network;

pub use domains::DomainSettings;
pub use table::{SETTINGS, Setting};

use waypost_service::seal::SealKeys;

use crate::keys::Keys;
use parse::Parser;

/// One-method source of settings, by [`Setting::key`]; the process environment, the command line
/// and a file are read into maps first.
pub trait Strings {
    /// The value of a key, if it is set here.
    fn value(&self, key: &str) -> Option<String>;
}

impl Strings for BTreeMap<String, String> {
    fn value(&self, key: &str) -> Option<String> {
        self.get(key).cloned()
    }
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}; expected {expected}")]
pub struct Fault {
    /// Which setting, where it was set: `WAYPOST_LISTEN`, `--listen`, `listen in waypost.toml`.
    pub origin: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub expected: String,
}

/// How codes of new links are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeStrategy {
    /// 7 random characters and a check character.
    Random,
    /// A counter, scrambled; shortest.
    Sequence,
    /// Time and machine; needs no store.
    Snowflake,
}

/// Where links and numbers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In tables that many processes share.
    DynamoDb(Box<SharedStore>),
    /// In a database in the data directory, of this process alone.
    Sqlite,
}

/// Tables, a bucket and queues that many processes share.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedStore {
    /// The table of links.
    pub links_table: String,
    /// The table of keys, leases and limits.
    pub control_table: String,
    /// The table of clicks and statistics.
    pub counters_table: String,
    /// The bucket of raw clicks and exports.
    pub raw_bucket: String,
    /// The queue that clicks go through.
    pub clicks_queue_url: String,
    /// The queue of links that are gone; `None`: nobody orders their statistics to be deleted.
    pub cleanup_queue_url: Option<String>,
    /// The keys of the installation.
    pub keys: Keys,
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStore")
            .field("links_table", &self.links_table)
            .finish_non_exhaustive()
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The settings of a server, all valid.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where links and numbers are kept.
    pub store: StoreSettings,
    /// What links are sealed with at rest; `None`: with nothing.
    pub seal_keys: Option<SealKeys>,
    /// An admin key of the operator's own; never logged.
    pub admin_key: Option<String>,
    /// How visitors reach the default domain, without a final slash.
    pub public_url: String,
    /// The domains served, the default one first.
    pub domains: Vec<DomainSettings>,
    /// Serve the default domain under every other host name too.
    pub any_host: bool,
    /// How codes are made.
    pub code_strategy: CodeStrategy,
    /// This machine among those that make ids, 0 to 1023.
    pub machine_id: u16,
    /// Custom slugs may contain `/`.
    pub slug_slashes: bool,
    /// Status of links that name none.
    pub default_status: u16,
    /// Longest destination.
    pub destination_max_bytes: usize,
    /// Schemes beside http and https that deep links may have.
    pub app_schemes: Vec<String>,
    /// Destinations in private networks are fine.
    pub allow_private_destinations: bool,
    /// Destinations may be links of other shorteners.
    pub allow_shorteners: bool,
    /// How long a deleted or expired slug answers 410.
    pub quarantine_days: u32,
    /// How long an expired link stays before it is cleaned up; until then its owner can extend it,
    /// and its `expired_destination` works.
    pub expired_grace_days: u32,
    /// Links not followed for this long are cleaned up; 0 never.
    pub unused_after_days: u32,
    /// How long raw clicks are kept.
    pub raw_retention_days: u32,
    /// When to clean up, UTC.
    pub cleanup_at: Time,
    /// Most links cleaned up a second.
    pub cleanup_per_second: u32,
    /// Memory for records.
    pub cache_max_bytes: usize,
    /// How long absence is believed.
    pub missing_ttl_seconds: u32,
    /// The promised delay of edits.
    pub edit_delay_seconds: u32,
    /// How long a given password is remembered.
    pub unlock_seconds: u32,
    /// Breakdown values with fewer clicks are folded.
    pub fold_under: u64,
    /// MMDB file to look addresses up in.
    pub geoip: Option<PathBuf>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// They also say where clients are, in Cloudflare's visitor location headers.
    pub geo_headers: bool,
    /// Origins that may call the API from a browser; `*` for all.
    pub cors_origins: Vec<String>,
    /// Requests to the API with one key in a minute, for keys without a limit of their own; 0: any
    /// number.
    pub api_requests_per_minute: u32,
    /// Wrong keys of one client in 15 minutes; 0: any number.
    pub api_wrong_keys_per_quarter_hour: u32,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most time a client may take for its request's headers, and for its body.
    pub request_timeout_seconds: u32,
    /// Most time for clicks and answers under way when the server is told to stop.
    pub shutdown_seconds: u32,
    /// Shape of the logs.
    pub log_format: LogFormat,
    /// `tracing` filter.
    pub log_level: String,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn read(
        flags: &dyn Strings,
        environment: &dyn Strings,
        file: Option<(&str, &toml::Table)>,
    ) -> Result<Self, Vec<Fault>> {
        let mut from = Parser::new(flags, environment, file);
        let listen: SocketAddr =
            from.parse("listen", "an address and port, for example 0.0.0.0:8080");
        let public_url = match from.raw("public_url") {
            Some(_) => from.public_url(),
            None => format!("http://{listen}"),
        };
        let domains = from.domains(&public_url);
        let settings = Self {
            listen,
            data_dir: from.parse("data_dir", "a directory"),
            store: from.store(),
            seal_keys: from.seal_keys(),
            admin_key: from.admin_key(),
            any_host: from.flag_or("any_host", domains.len() == 1),
            public_url,
            domains,
            code_strategy: from.code_strategy(),
            machine_id: from.number("machine_id", 0, 1_023) as u16,
            slug_slashes: from.flag_or("slug_slashes", false),
            default_status: from.default_status(),
            destination_max_bytes: from.number("destination_max_bytes", 64, 8_192) as usize,
            app_schemes: from.app_schemes(),
            allow_private_destinations: from.flag_or("allow_private_destinations", false),
            allow_shorteners: from.flag_or("allow_shorteners", false),
            quarantine_days: from.number("quarantine_days", 0, 36_500) as u32,
            expired_grace_days: from.number("expired_grace_days", 0, 36_500) as u32,
            unused_after_days: from.number("unused_after_days", 0, 36_500) as u32,
            raw_retention_days: from.number("raw_retention_days", 1, 3_650) as u32,
            cleanup_at: from.time_of_day("cleanup_at"),
            cleanup_per_second: from.number("cleanup_per_second", 1, 1_000_000) as u32,
            cache_max_bytes: from.number("cache_max_bytes", 0, 1 << 40) as usize,
            missing_ttl_seconds: from.number("missing_ttl_seconds", 0, 3_600) as u32,
            edit_delay_seconds: from.number("edit_delay_seconds", 0, 86_400) as u32,
            unlock_seconds: from.number("unlock_seconds", 60, 3_600) as u32,
            fold_under: from.number("fold_under", 0, 1_000),
            geoip: from.existing_file("geoip"),
            trusted_proxies: from.networks("trusted_proxies"),
            geo_headers: from.flag_or("geo_headers", false),
            cors_origins: from.origins("cors_origins"),
            api_requests_per_minute: from.number("api_requests_per_minute", 0, 1_000_000) as u32,
            api_wrong_keys_per_quarter_hour: from.number(
                "api_wrong_keys_per_quarter_hour",
                0,
                1_000_000,
            ) as u32,
            connections_max: from.number("connections_max", 1, 1_000_000) as usize,
            request_timeout_seconds: from.number("request_timeout_seconds", 1, 600) as u32,
            shutdown_seconds: from.number("shutdown_seconds", 1, 600) as u32,
            log_format: from.log_format(),
            log_level: from.log_level(),
        };
        from.finish(settings)
    }
}

#[cfg(test)]
mod tests;
