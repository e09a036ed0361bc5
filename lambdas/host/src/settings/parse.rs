use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::civil::Time;
use waypost_service::keys::ADMIN_KEY_MIN_CHARS;
use waypost_wire::record::Network;

use super::{CodeStrategy, Fault, LogFormat, SETTINGS, Strings};

/// Looks settings up and keeps every fault it meets. A faulty setting yields a stand-in that no
/// one gets to see.
pub(super) struct Parser<'a> {
    flags: &'a dyn Strings,
    environment: &'a dyn Strings,
    pub(super) file: Option<(&'a str, &'a toml::Table)>,
    faults: Vec<Fault>,
}

/// A value and where it was set.
pub(super) struct Raw {
    pub(super) text: String,
    pub(super) origin: String,
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        flags: &'a dyn Strings,
        environment: &'a dyn Strings,
        file: Option<(&'a str, &'a toml::Table)>,
    ) -> Self {
        let mut parser = Self { flags, environment, file, faults: Vec::new() };
        parser.refuse_unknown_file_keys();
        parser
    }

    pub(super) fn finish<T>(self, settings: T) -> Result<T, Vec<Fault>> {
        match self.faults.is_empty() {
            true => Ok(settings),
            false => Err(self.faults),
        }
    }

    pub(super) fn fault(&mut self, origin: &str, problem: impl Display, expected: &str) {
        self.faults.push(Fault {
            origin: origin.to_owned(),
            problem: problem.to_string(),
            expected: expected.to_owned(),
        });
    }

    /// The value that counts: flag, then variable, then file. An empty one counts as not set.
    pub(super) fn raw(&mut self, key: &str) -> Option<Raw> {
        let flag = self
            .flags
            .value(key)
            .map(|text| Raw { text, origin: format!("--{}", key.replace('_', "-")) });
        let variable = || {
            self.environment
                .value(key)
                .map(|text| Raw { text, origin: format!("WAYPOST_{}", key.to_uppercase()) })
        };
        let set = flag.or_else(variable).or_else(|| self.in_file(key));
        set.filter(|raw| !raw.text.trim().is_empty())
    }

    fn in_file(&self, key: &str) -> Option<Raw> {
        let (name, table) = self.file?;
        let text = match table.get(key)? {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
                // Tables of [[domains]] are read elsewhere.
                texts?.join(",")
            }
            toml::Value::Boolean(value) => value.to_string(),
            toml::Value::Datetime(value) => value.to_string(),
            toml::Value::Float(value) => value.to_string(),
            toml::Value::Integer(value) => value.to_string(),
            toml::Value::Table(_) => return None,
        };
        Some(Raw { text, origin: format!("{key} in {name}") })
    }

    fn refuse_unknown_file_keys(&mut self) {
        let Some((name, table)) = self.file else {
            return;
        };
        let known: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        for key in table.keys().filter(|key| !known.contains(key.as_str())) {
            let expected = known.iter().copied().collect::<Vec<_>>().join(", ");
            self.fault(&format!("{key} in {name}"), "there is no such setting", &expected);
        }
    }

    fn raw_or_default(&mut self, key: &str) -> Raw {
        self.raw(key).unwrap_or_else(|| Raw {
            text: default(key).to_owned(),
            origin: format!("default of {key}"),
        })
    }

    pub(super) fn parse<T: FromStr>(&mut self, key: &str, expected: &str) -> T
    where
        T::Err: Display,
    {
        let raw = self.raw_or_default(key);
        match (raw.text.trim().parse(), default(key).parse()) {
            (Ok(value), _) => value,
            (Err(error), Ok(stand_in)) => {
                self.fault(&raw.origin, format!("{:?}: {error}", raw.text), expected);
                stand_in
            }
            (Err(_), Err(_)) => unreachable!("the default of {key} is not valid"),
        }
    }

    pub(super) fn number(&mut self, key: &str, least: u64, most: u64) -> u64 {
        let expected = format!("a whole number from {least} to {most}");
        let raw = self.raw_or_default(key);
        match raw.text.trim().parse::<u64>() {
            Ok(value) if (least..=most).contains(&value) => value,
            _ => {
                self.fault(&raw.origin, format!("{:?}", raw.text), &expected);
                least
            }
        }
    }

    pub(super) fn flag_or(&mut self, key: &str, default: bool) -> bool {
        let Some(raw) = self.raw(key) else {
            return default;
        };
        match raw.text.trim() {
            "true" | "yes" | "on" | "1" => true,
            "false" | "no" | "off" | "0" => false,
            other => {
                self.fault(&raw.origin, format!("{other:?}"), "true or false");
                default
            }
        }
    }

    pub(super) fn one_of<T: Copy>(&mut self, key: &str, values: &[(&str, T)], stand_in: T) -> T {
        let raw = self.raw_or_default(key);
        let text = raw.text.trim();
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        self.fault(&raw.origin, format!("{text:?}"), &names.join(", "));
        stand_in
    }

    pub(super) fn code_strategy(&mut self) -> CodeStrategy {
        let values = [
            ("random", CodeStrategy::Random),
            ("sequence", CodeStrategy::Sequence),
            ("snowflake", CodeStrategy::Snowflake),
        ];
        self.one_of("code_strategy", &values, CodeStrategy::Random)
    }

    pub(super) fn default_status(&mut self) -> u16 {
        let values = [("301", 301), ("302", 302), ("307", 307), ("308", 308)];
        self.one_of("default_status", &values, 302)
    }

    pub(super) fn log_format(&mut self) -> LogFormat {
        let values = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        self.one_of("log_format", &values, LogFormat::Text)
    }

    pub(super) fn log_level(&mut self) -> String {
        let values = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
        self.one_of("log_level", &values, "info").to_owned()
    }

    pub(super) fn time_of_day(&mut self, key: &str) -> Time {
        let raw = self.raw_or_default(key);
        let parsed = raw.text.trim().split_once(':').and_then(|(hour, minute)| {
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        });
        parsed.unwrap_or_else(|| {
            self.fault(&raw.origin, format!("{:?}", raw.text), "a time of day, HH:MM");
            Time::midnight()
        })
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<Raw> {
        let Some(raw) = self.raw(key) else {
            return Vec::new();
        };
        let items = raw.text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| Raw { text: item.to_owned(), origin: raw.origin.clone() }).collect()
    }

    pub(super) fn admin_key(&mut self) -> Option<String> {
        let raw = self.raw("admin_key")?;
        let key = raw.text.trim().to_owned();
        // Says nothing of the value: faults are printed.
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.len() < ADMIN_KEY_MIN_CHARS || !is_visible {
            let expected =
                "at least 20 visible ASCII characters; `waypost keys generate` makes a good one";
            self.fault(&raw.origin, "the key is too short or has spaces", expected);
        }
        Some(key)
    }

    pub(super) fn app_schemes(&mut self) -> Vec<String> {
        let mut schemes = Vec::new();
        for raw in self.list("app_schemes") {
            let scheme = raw.text.to_ascii_lowercase();
            let mut bytes = scheme.bytes();
            let is_scheme = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            let is_dangerous =
                ["javascript", "data", "vbscript", "file", "blob", "about"].contains(&&*scheme);
            if !is_scheme || is_dangerous {
                let expected = "schemes of apps, for example myapp; never javascript, data, vbscript, file, blob or about";
                self.fault(&raw.origin, format!("{scheme:?}"), expected);
            }
            schemes.push(scheme);
        }
        schemes
    }

    pub(super) fn networks(&mut self, key: &str) -> Vec<Network> {
        let mut networks = Vec::new();
        for raw in self.list(key) {
            match network(&raw.text) {
                Some(network) => networks.push(network),
                None => {
                    let expected = "addresses or networks, for example 10.0.0.0/8 or ::1";
                    self.fault(&raw.origin, format!("{:?}", raw.text), expected);
                }
            }
        }
        networks
    }

    pub(super) fn origins(&mut self, key: &str) -> Vec<String> {
        let mut origins = Vec::new();
        for raw in self.list(key) {
            let is_origin = url::Url::parse(&raw.text)
                .is_ok_and(|url| url.origin().ascii_serialization() == raw.text);
            if raw.text != "*" && !is_origin {
                let expected = "origins, for example https://app.example.com, or *";
                self.fault(&raw.origin, format!("{:?}", raw.text), expected);
            }
            origins.push(raw.text);
        }
        origins
    }

    pub(super) fn existing_file(&mut self, key: &str) -> Option<PathBuf> {
        let raw = self.raw(key)?;
        let path = PathBuf::from(raw.text.trim());
        if !path.is_file() {
            self.fault(
                &raw.origin,
                format!("there is no file {}", path.display()),
                "a readable file",
            );
        }
        Some(path)
    }
}

fn default(key: &str) -> &'static str {
    SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.default)
}

/// Reads `address` or `address/prefix`.
fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (bits, added, most) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 0, 128),
    };
    let prefix = prefix.unwrap_or(most);
    (prefix <= most).then_some(Network { address: bits, prefix_bits: prefix + added })
}
