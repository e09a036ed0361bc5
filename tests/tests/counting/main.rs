//! Exactly once, under everything that may go wrong between a click and its number.

mod account;
mod draws;
mod faulty;
mod hosts;
mod oracle;
mod world;

use std::ops::Range;

use world::{Met, World};

/// Worlds in each half of the seeds; `WAYPOST_WORLDS` asks for more.
const WORLDS: u64 = 500;

/// A thousand small worlds, each with its own troubles. A failing seed is named; run it alone
/// with `WAYPOST_SEED=<seed>`.
#[test]
fn no_click_is_lost_or_counted_twice() {
    match number("WAYPOST_SEED") {
        Some(seed) => drop(live(seed..seed + 1)),
        None => live(0..number("WAYPOST_WORLDS").unwrap_or(WORLDS)).assert_everything_happened(),
    }
}

/// The other half, so that two processors have something to do.
#[test]
fn no_click_is_lost_or_counted_twice_elsewhere() {
    let start = 1 << 32;
    let worlds = number("WAYPOST_WORLDS").unwrap_or(WORLDS);
    live(start..start + worlds).assert_everything_happened();
}

fn live(seeds: Range<u64>) -> Met {
    let mut met = Met::default();
    for seed in seeds {
        match std::panic::catch_unwind(|| World::new(seed).live()) {
            Ok(troubles) => met.add(&troubles),
            Err(panic) => {
                eprintln!("the world of seed {seed} went wrong");
                std::panic::resume_unwind(panic);
            }
        }
    }
    met
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
