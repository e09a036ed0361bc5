use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::surroundings::Surroundings;

/// A bar for work of `steps` steps, if somebody watches; otherwise nothing is shown.
pub(super) fn bar(surroundings: &Surroundings<'_>, steps: u64) -> ProgressBar {
    if !surroundings.stderr_is_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    match ProgressStyle::with_template("{msg} [{wide_bar}] {human_pos}/{human_len} {eta}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// A sign of life for work whose length is not known.
pub(super) fn spinner(surroundings: &Surroundings<'_>, message: &'static str) -> ProgressBar {
    if !surroundings.stderr_is_terminal {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
