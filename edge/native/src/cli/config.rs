//! The settings file, and the data directory for commands that need no other setting.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use waypost_host::settings::{Fault, SETTINGS, Settings};
use waypost_service::seal::fields::Sealing;

use super::failure::Failure;
use super::surroundings::Surroundings;

/// The settings file that is read if it is there.
const DEFAULT_FILE: &str = "waypost.toml";

/// A settings file that was read.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// As the user named it.
    pub(super) name: String,
    pub(super) table: toml::Table,
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("WAYPOST_{}", key.to_uppercase())
}

/// Reads the settings file: the one that `flag` or else `WAYPOST_CONFIG` names, which must be
/// there, or else the one in the working directory, if there is one.
pub(super) fn read(
    flag: Option<&Path>,
    surroundings: &Surroundings<'_>,
) -> Result<Option<ConfigFile>, Fault> {
    let (path, origin, is_named) = match (flag, surroundings.variable("WAYPOST_CONFIG")) {
        (Some(path), _) => (path, "--config", true),
        (None, Some(path)) => (Path::new(path), "WAYPOST_CONFIG", true),
        (None, None) => (Path::new(DEFAULT_FILE), DEFAULT_FILE, false),
    };
    let name = path.display().to_string();
    let fault = |problem: String| Fault {
        origin: origin.to_owned(),
        problem,
        expected: "a TOML file with settings".to_owned(),
    };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(fault(format!("cannot read {name}: {error}"))),
        Ok(text) => text,
    };
    match text.parse() {
        Ok(table) => Ok(Some(ConfigFile { name, table })),
        Err(error) => Err(fault(format!("{name} is no TOML: {}", located(&error, &text)))),
    }
}

/// A message with its line: settings files may hold a key, so the line itself is not shown.
fn located(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
        None => error.message().to_owned(),
    }
}

/// The settings that say what links are sealed with.
const SEAL_SETTINGS: [&str; 2] = ["seal_keys", "seal_keys_file"];

/// Which data directory to work on.
#[derive(Args, Clone, Debug)]
pub(super) struct DataDirectory {
    /// Data directory of the server [default: waypost-data] [env: WAYPOST_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file that may name the data directory [default: waypost.toml, if there is one]
    /// [env: WAYPOST_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DataDirectory {
    /// The directory is named on the command line.
    pub(super) const fn is_given(&self) -> bool {
        self.data_dir.is_some()
    }

    /// What links are sealed with, by the same variables and file as `serve`. Other settings may be
    /// at fault.
    pub(super) fn sealing(&self, surroundings: &Surroundings<'_>) -> Result<Sealing, Failure> {
        let file = read(self.config.as_deref(), surroundings)
            .map_err(|fault| Failure::Usage(fault.to_string()))?;
        let file = file.map(|ConfigFile { name, mut table }| {
            table.retain(|key, _| SEAL_SETTINGS.contains(&key));
            (name, table)
        });
        let value =
            |key: &str| Some((key.to_owned(), surroundings.variable(&variable(key))?.to_owned()));
        let environment: BTreeMap<String, String> =
            SEAL_SETTINGS.into_iter().filter_map(value).collect();
        let file = file.as_ref().map(|(name, table)| (name.as_str(), table));
        match Settings::read(&BTreeMap::new(), &environment, file) {
            Ok(settings) => Ok(Sealing::with(settings.seal_keys)),
            Err(faults) => {
                let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
                Err(Failure::Usage(faults.join("; ")))
            }
        }
    }

    /// The directory that `serve` would use with the same flag, variables and file. Other settings
    /// may be at fault: a copy of the data must be possible all the same.
    pub(super) fn path(&self, surroundings: &Surroundings<'_>) -> Result<PathBuf, Failure> {
        const KEY: &str = "data_dir";
        if let Some(path) = &self.data_dir {
            return Ok(path.clone());
        }
        if let Some(path) = surroundings.variable(&variable(KEY)) {
            return Ok(path.trim().into());
        }
        let file = read(self.config.as_deref(), surroundings)
            .map_err(|fault| Failure::Usage(fault.to_string()))?;
        let in_file = file.as_ref().and_then(|file| file.table.get(KEY));
        match in_file {
            Some(toml::Value::String(path)) if !path.trim().is_empty() => Ok(path.trim().into()),
            Some(toml::Value::String(_)) | None => {
                let setting = SETTINGS.iter().find(|setting| setting.key == KEY);
                Ok(setting.map_or("", |setting| setting.default).into())
            }
            Some(other) => Err(Failure::Usage(format!(
                "{KEY} in the settings file is of the type {}; expected a directory in quotes",
                other.type_str()
            ))),
        }
    }
}
