/// A setting, as help texts and documents show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the TOML file; the flag is `--` and the name with `-` for `_`, the variable
    /// `WAYPOST_` and the name in capitals.
    pub key: &'static str,
    /// What applies if it is not set; empty if it depends, see `help`.
    pub default: &'static str,
    /// What its value is, for `--help`.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    default: &'static str,
    value: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, default, value, help }
}

/// Every setting, in the order of the documents.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.1:8080", "ADDRESS:PORT", "Where to listen"),
    setting("data_dir", "waypost-data", "DIR", "Where everything is kept; created if missing"),
    setting(
        "store",
        "sqlite",
        "NAME",
        "Where links and numbers are kept: sqlite, in data_dir, or dynamodb, which many nodes share",
    ),
    setting("links_table", "", "NAME", "With dynamodb: the table of links"),
    setting("control_table", "", "NAME", "With dynamodb: the table of keys, leases and limits"),
    setting("counters_table", "", "NAME", "With dynamodb: the table of clicks and statistics"),
    setting("raw_bucket", "", "NAME", "With dynamodb: the bucket of raw clicks and exports"),
    setting("clicks_queue_url", "", "URL", "With dynamodb: the SQS queue that clicks go through"),
    setting("cleanup_queue_url", "", "URL", "With dynamodb: the SQS queue of links that are gone"),
    setting(
        "keys",
        "",
        "KEYS",
        "With dynamodb: the keys that all nodes share, or one secret of 32 characters or more",
    ),
    setting(
        "seal_keys",
        "",
        "KEYS",
        "NUMBER:HEX keys that links are sealed with at rest, the one to use first",
    ),
    setting(
        "seal_keys_file",
        "",
        "FILE",
        "File with such keys, one a line, that its owner alone can read; instead of seal_keys",
    ),
    setting(
        "public_url",
        "",
        "URL",
        "How visitors reach the default domain; http:// and the listening address if not set",
    ),
    setting(
        "domains",
        "",
        "NAME,...",
        "More domains to serve; the file can say more about each ([[domains]])",
    ),
    setting(
        "any_host",
        "",
        "BOOL",
        "Serve the default domain under every host name; true if there is only one domain",
    ),
    setting(
        "admin_key",
        "",
        "KEY",
        "An admin key of your own; one is made on first start if not set",
    ),
    setting("code_strategy", "random", "NAME", "How codes are made: random, sequence or snowflake"),
    setting("machine_id", "0", "0-1023", "This machine among those that make ids"),
    setting("slug_slashes", "false", "BOOL", "Custom slugs may contain /"),
    setting(
        "default_status",
        "302",
        "CODE",
        "Status of links that name none: 301, 302, 307 or 308",
    ),
    setting("destination_max_bytes", "2048", "BYTES", "Longest destination, at most 8192"),
    setting(
        "app_schemes",
        "",
        "SCHEME,...",
        "Schemes that deep links may have beside http and https",
    ),
    setting(
        "allow_private_destinations",
        "false",
        "BOOL",
        "Accept destinations in private networks",
    ),
    setting(
        "allow_shorteners",
        "false",
        "BOOL",
        "Accept links of other shorteners as destinations",
    ),
    setting(
        "expired_grace_days",
        "30",
        "DAYS",
        "How long an expired link stays, extendable, before it is cleaned up",
    ),
    setting(
        "quarantine_days",
        "90",
        "DAYS",
        "How long the slug of a deleted link answers 410 before it is free",
    ),
    setting(
        "unused_after_days",
        "182",
        "DAYS",
        "Clean up links not followed for this long; 0 never",
    ),
    setting("raw_retention_days", "30", "DAYS", "How long raw clicks are kept"),
    setting("cleanup_at", "02:00", "HH:MM", "When to clean up every day, UTC"),
    setting("cleanup_per_second", "1000", "LINKS", "Most links cleaned up a second"),
    setting("cache_max_bytes", "67108864", "BYTES", "Memory for link records"),
    setting("missing_ttl_seconds", "30", "SECONDS", "How long the absence of a link is believed"),
    setting(
        "edit_delay_seconds",
        "90",
        "SECONDS",
        "Longest that browsers may remember 301 and 308",
    ),
    setting("unlock_seconds", "3600", "SECONDS", "How long a link's password stays given"),
    setting("fold_under", "5", "CLICKS", "Breakdown values with fewer clicks are folded into one"),
    setting("geoip", "", "FILE", "MMDB file to look up country, region and city in"),
    setting("trusted_proxies", "", "CIDR,...", "Proxies whose X-Forwarded-For is believed"),
    setting(
        "geo_headers",
        "false",
        "BOOL",
        "Trusted proxies say where clients are (CF-IPCountry, CF-Region-Code, CF-IPCity, CF-IPContinent)",
    ),
    setting("cors_origins", "", "ORIGIN,...", "Origins that may call the API from a browser, or *"),
    setting(
        "api_requests_per_minute",
        "1000",
        "COUNT",
        "Requests to the API a minute with a key that has no limit of its own; 0: any number",
    ),
    setting(
        "api_wrong_keys_per_quarter_hour",
        "100",
        "COUNT",
        "Wrong keys that the API takes from a client in 15 minutes; 0: any number",
    ),
    setting("connections_max", "10000", "COUNT", "Most connections at once"),
    setting(
        "request_timeout_seconds",
        "10",
        "SECONDS",
        "Most time a client may take to send a request",
    ),
    setting(
        "shutdown_seconds",
        "20",
        "SECONDS",
        "Most time for what is under way when told to stop",
    ),
    setting("log_format", "text", "FORMAT", "text or json"),
    setting("log_level", "info", "LEVEL", "error, warn, info, debug or trace"),
];
