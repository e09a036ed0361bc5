use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use waypost_host::settings::{SETTINGS, Setting, Settings};

use super::config;
use super::failure::Failure;
use super::surroundings::Surroundings;

const EXAMPLES: &str = "\
Examples:
  waypost serve
  waypost serve --listen 0.0.0.0:8080 --public-url https://go.example.com
  waypost serve --config /etc/waypost.toml --log-format json

Every setting can be a flag, an environment variable or a line of the TOML file, in that order:
--quarantine-days 30, WAYPOST_QUARANTINE_DAYS=30, quarantine_days = 30. The file is waypost.toml in
the working directory, if there is one, unless --config or WAYPOST_CONFIG names another.";

const WORKER_EXAMPLES: &str = "\
Examples:
  waypost worker --store dynamodb
  waypost worker --config /etc/waypost.toml

The settings are those of `waypost serve`; where it listens does not matter.";

/// The settings given as flags.
#[derive(Clone, Debug, Default)]
pub(super) struct ServeArgs {
    config: Option<PathBuf>,
    flags: BTreeMap<String, String>,
}

impl ServeArgs {
    /// No flags but maybe that of the file.
    pub(super) const fn in_file(config: Option<PathBuf>) -> Self {
        Self { config, flags: BTreeMap::new() }
    }

    /// All settings, from flags, variables and the file.
    pub(super) fn settings(self, surroundings: &mut Surroundings<'_>) -> Result<Settings, Failure> {
        let (file, mut faults) = match config::read(self.config.as_deref(), surroundings) {
            Ok(file) => (file, Vec::new()),
            Err(fault) => (None, vec![fault]),
        };
        let variable = |setting: &Setting| {
            let value = surroundings.variable(&config::variable(setting.key))?;
            Some((setting.key.to_owned(), value.to_owned()))
        };
        let environment: BTreeMap<String, String> = SETTINGS.iter().filter_map(variable).collect();
        let file = file.as_ref().map(|file| (file.name.as_str(), &file.table));
        match Settings::read(&self.flags, &environment, file) {
            Ok(settings) if faults.is_empty() => return Ok(settings),
            Ok(_) => {}
            Err(others) => faults.extend(others),
        }
        let lines = faults.iter().map(|fault| format!("\n  {fault}"));
        Err(Failure::Usage(format!("the settings are not right:{}", lines.collect::<String>())))
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| {
            let value = matches.get_one::<String>(setting.key)?;
            Some((setting.key.to_owned(), value.clone()))
        };
        Ok(Self {
            config: matches.get_one("config").cloned(),
            flags: SETTINGS.iter().filter_map(given).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Settings file in TOML [default: waypost.toml, if there is one] [env: WAYPOST_CONFIG]");
        let command = command.arg(config).args(SETTINGS.iter().map(flag));
        // At the top, the examples are those of all commands.
        match command.get_name() {
            "serve" => command.after_help(EXAMPLES),
            "worker" => command.after_help(WORKER_EXAMPLES),
            _ => command,
        }
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &Setting) -> Arg {
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let variable = config::variable(setting.key);
    let flag = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .value_name(setting.value)
        .help(format!("{}{default} [env: {variable}]", setting.help));
    match setting.value {
        // The flag alone is a yes.
        "BOOL" => flag.num_args(0..=1).default_missing_value("true"),
        _ => flag,
    }
}
