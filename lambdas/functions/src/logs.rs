//! Log lines of the functions: on standard output, as JSON where Lambda is told so.

use lambda_runtime::tracing::subscriber::filter::EnvFilter;
use lambda_runtime::tracing::subscriber::fmt;
use waypost_host::settings::Strings;

/// What a level may be called.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Begins to log. Lambda's own variable for the level, `AWS_LAMBDA_LOG_LEVEL`, is not obeyed: the
/// template sets it as low as it goes, because metrics would be left out otherwise.
pub fn start(environment: &impl Strings) {
    let level = environment.value("log_level").unwrap_or_default();
    let lines = fmt().with_env_filter(EnvFilter::new(filter(&level)));
    if std::env::var("AWS_LAMBDA_LOG_FORMAT")
        .is_ok_and(|format| format.eq_ignore_ascii_case("json"))
    {
        lines.json().init();
    } else {
        lines.with_ansi(false).init();
    }
}

/// Ours from a level on. Of all others no more than warnings at any level, because below that the
/// runtime writes down whole events, and the SDK whole requests, with keys and addresses in them.
/// The runtime's spans, of the level `info`, name the request in each line.
fn filter(level: &str) -> String {
    let level = LEVELS.iter().find(|known| **known == level).copied().unwrap_or("info");
    let others = if level == "error" { "error" } else { "warn" };
    format!("{others},lambda_runtime=info,waypost={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_never_say_more_than_warnings() {
        let spans = "lambda_runtime=info";
        for (level, expected) in [
            ("error", format!("error,{spans},waypost=error")),
            ("info", format!("warn,{spans},waypost=info")),
            ("trace", format!("warn,{spans},waypost=trace")),
            ("", format!("warn,{spans},waypost=info")),
            ("trace,aws_smithy_runtime=trace", format!("warn,{spans},waypost=info")),
        ] {
            assert_eq!(filter(level), expected, "{level}");
        }
    }
}
