//! Logs: one line an event, for people or as JSON; times in UTC; nothing about visitors.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use waypost_host::settings::{LogFormat, Settings};

/// Sends events of this process to standard error. A second call changes nothing.
pub fn start(settings: &Settings) {
    let filter = EnvFilter::new(format!(
        "waypost={level},waypost_native={level}",
        level = settings.log_level
    ));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => builder.with_target(false).with_ansi(has_colours()).try_init(),
    };
    // Tests start several servers in one process.
    drop(started);
}

/// Colours are for people at a terminal who did not ask for none (<https://no-color.org>).
fn has_colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
