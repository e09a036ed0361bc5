//! The program `waypost` (interim: settings from the environment only, until the command line is in).
use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    let env: BTreeMap<String, String> = std::env::vars()
        .filter_map(|(k, v)| Some((k.strip_prefix("WAYPOST_")?.to_lowercase(), v)))
        .collect();
    match waypost_native::settings::Settings::read(&BTreeMap::new(), &env, None) {
        Ok(settings) => waypost_native::serve::run(settings),
        Err(faults) => { eprintln!("{faults:?}"); ExitCode::from(2) }
    }
}
