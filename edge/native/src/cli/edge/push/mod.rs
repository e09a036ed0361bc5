//! Filling the store of an edge that nobody but itself can write to.

mod target;

use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use url::Url;
use waypost_service::ambient::Clock;
use waypost_wire::origin::sign::OriginKey;
use waypost_wire::sync::{BODY_MAX_BYTES, Change, ENTRIES_MAX, Entry, Outcome, Sync};
use waypost_wire::time::Timestamp;

use super::super::client::base_url;
use super::super::config::DataDirectory;
use super::super::failure::Failure;
use super::super::progress;
use super::super::surroundings::Surroundings;
use super::super::table::{grouped, shown};
use crate::export::{ExportError, Source};
use target::Target;
use waypost_host::ambient::Ambient;

const EXAMPLES: &str = "\
Examples:
  waypost edge push https://go.example
  waypost edge push https://go.example --per-second 400 --data-dir /var/lib/waypost

For a Spin app whose store has no other way in. The app has the keys of `waypost edge keys` and
waypost_sync = true. All links are sent, then the state that edges share; what the store has in a
newer version stays. If links change, run it at least once a day; never twice at once. It can be
stopped and run again. Use https: the state has the keys of visitor hashes.";

/// How often an entry is sent before it counts as failed.
const ATTEMPTS: u32 = 5;

/// Longest wait between two attempts.
const PAUSE_MAX_SECONDS: u64 = 60;

/// So many entries failed one after the other, each at every attempt: the others would too.
const FAILED_IN_A_ROW_MAX: u64 = 100;

/// Most keys that are named of those not taken.
const NAMED_MAX: usize = 10;

/// What an entry takes beside its key and record: their lengths and a byte; the rest of a
/// synchronisation takes less than that.
const ENTRY_OVERHEAD_BYTES: usize = 24;

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PushArgs {
    /// Address of the app, as visitors use it: scheme and host
    #[arg(value_name = "URL")]
    url: String,
    /// Most links a second; managed stores take 50 writes
    #[arg(long, value_name = "N", default_value_t = 40,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    #[command(flatten)]
    data: DataDirectory,
}

impl PushArgs {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let base = address(&self.url)?;
        let directory = self.data.path(surroundings)?;
        let sealing = self.data.sealing(surroundings)?;
        let source = Source::open(&directory).and_then(|source| source.sealed_with(sealing));
        let source = source.map_err(unread)?;
        let key = OriginKey::new(source.secrets().map_err(unread)?.origin);
        let bar = progress::bar(surroundings, source.count().map_err(unread)?);
        let mut push = Push {
            target: Target::new(base, key),
            pace: Pace::new(self.per_second),
            ambient: surroundings.ambient.clone(),
            pause: surroundings.pause,
            tally: Tally::default(),
        };
        let ended = push.all(&source, &bar);
        bar.finish_and_clear();
        let tally = push.tally;
        for line in &tally.named {
            surroundings.note(line);
        }
        surroundings.say(&tally.text())?;
        ended.and_then(|()| tally.judge())
    }
}

/// The component takes records at one path of its host.
fn address(text: &str) -> Result<Url, Failure> {
    let url = base_url(text)?;
    match url.path() {
        "/" => Ok(url),
        path => Err(Failure::Usage(format!(
            "the address has the path {path}; expected scheme and host"
        ))),
    }
}

fn unread(error: ExportError) -> Failure {
    Failure::Failed(error.to_string())
}

/// A push under way.
struct Push {
    target: Target,
    pace: Pace,
    ambient: Ambient,
    pause: fn(Duration),
    tally: Tally,
}

impl Push {
    /// Sends all links, then the state: links that changed meanwhile are in it.
    fn all(&mut self, source: &Source, bar: &ProgressBar) -> Result<(), Failure> {
        // A call is one burst for the store, so it has no more than a second may have.
        let entries_max = self.pace.per_second.min(u32::try_from(ENTRIES_MAX).unwrap_or(u32::MAX));
        let mut after = String::new();
        loop {
            let page = source.records_after(&after, entries_max).map_err(unread)?;
            let mut rest = page.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(fitting(rest));
                self.links(now)?;
                bar.inc(now.len() as u64);
                rest = later;
            }
            match page.into_iter().next_back() {
                Some((last, _)) => after = last,
                None => break,
            }
        }
        let state = source.state(self.ambient.now()).map_err(unread)?;
        self.tally.state = self.send(&[], Some(&state))?.pop();
        Ok(())
    }

    fn links(&mut self, links: &[(String, Vec<u8>)]) -> Result<(), Failure> {
        let entries: Vec<Entry<'_>> =
            links.iter().map(|(key, record)| Entry { key, change: Change::Put(record) }).collect();
        let outcomes = self.send(&entries, None)?;
        for (entry, outcome) in entries.iter().zip(outcomes) {
            self.tally.add(entry.key, outcome);
        }
        match self.tally.failed_in_a_row {
            FAILED_IN_A_ROW_MAX.. => Err(Failure::Failed(
                "the store of the app fails for every link, so the rest was not sent; the log of \
                 the app says why"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Sends entries, or the state, in one call; what fails is tried again.
    fn send(
        &mut self,
        entries: &[Entry<'_>],
        state: Option<&[u8]>,
    ) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = vec![Outcome::Failed; entries.len() + usize::from(state.is_some())];
        for attempt in 1..=ATTEMPTS {
            let open: Vec<usize> =
                (0..outcomes.len()).filter(|at| outcomes[*at] == Outcome::Failed).collect();
            let sync = Sync {
                entries: open.iter().filter_map(|at| entries.get(*at).copied()).collect(),
                state: state.filter(|_| outcomes.last() == Some(&Outcome::Failed)),
            };
            (self.pause)(self.pace.wait(open.len(), self.ambient.now()));
            let mut asked_seconds = None;
            match self.target.put(&sync, self.ambient.now()) {
                Ok(new) => open.iter().zip(new).for_each(|(at, new)| outcomes[*at] = new),
                Err(error) if error.may_pass() && attempt < ATTEMPTS => {
                    asked_seconds = error.retry_after_seconds();
                }
                Err(error) => return Err(Failure::Failed(error.to_string())),
            }
            if !outcomes.contains(&Outcome::Failed) {
                break;
            }
            if attempt < ATTEMPTS {
                let seconds = asked_seconds.unwrap_or(1 << attempt).min(PAUSE_MAX_SECONDS);
                (self.pause)(Duration::from_secs(seconds));
            }
        }
        Ok(outcomes)
    }
}

/// How many of these go into one call; at least one.
fn fitting(links: &[(String, Vec<u8>)]) -> usize {
    let mut bytes = ENTRY_OVERHEAD_BYTES;
    let fits = |(key, record): &&(String, Vec<u8>)| {
        bytes += ENTRY_OVERHEAD_BYTES + key.len() + record.len();
        bytes <= BODY_MAX_BYTES
    };
    links.iter().take_while(fits).count().max(1)
}

/// Keeps entries a second within a bound.
struct Pace {
    per_second: u32,
    /// When entries went last, and how long they take at this pace.
    last: (Timestamp, i64),
}

impl Pace {
    const fn new(per_second: u32) -> Self {
        Self { per_second, last: (Timestamp(0), 0) }
    }

    /// How long so many more entries have to wait. Never longer than the ones before them take,
    /// however the clock is set.
    fn wait(&mut self, entries: usize, now: Timestamp) -> Duration {
        let (at, owed_ms) = self.last;
        let wait_ms = (owed_ms - now.ms_since(at).max(0)).max(0);
        let owed_ms = (entries as u64 * 1_000).div_ceil(self.per_second.into());
        self.last = (now.plus_ms(wait_ms), i64::try_from(owed_ms).unwrap_or(i64::MAX));
        Duration::from_millis(wait_ms.unsigned_abs())
    }
}

/// What became of all that was sent.
#[derive(Default)]
struct Tally {
    stored: u64,
    outdated: u64,
    refused: u64,
    failed: u64,
    failed_in_a_row: u64,
    /// `None`: it was not sent.
    state: Option<Outcome>,
    /// The first keys that were not taken, a line each.
    named: Vec<String>,
}

impl Tally {
    fn add(&mut self, key: &str, outcome: Outcome) {
        let (count, word) = match outcome {
            Outcome::Failed => (&mut self.failed, Some("failed")),
            Outcome::Outdated => (&mut self.outdated, None),
            Outcome::Refused => (&mut self.refused, Some("refused")),
            Outcome::Stored => (&mut self.stored, None),
        };
        *count += 1;
        if let Some(word) = word.filter(|_| self.named.len() < NAMED_MAX) {
            self.named.push(format!("{word}: {}", shown(key)));
        }
        self.failed_in_a_row = match outcome {
            Outcome::Failed => self.failed_in_a_row + 1,
            _ => 0,
        };
    }

    fn text(&self) -> String {
        let [stored, outdated, refused, failed] =
            [self.stored, self.outdated, self.refused, self.failed].map(grouped);
        let state = match self.state {
            None => "was not sent",
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Outdated) => "is older than the one there",
            Some(Outcome::Refused) => "was refused",
            Some(Outcome::Stored) => "is stored",
        };
        format!(
            "{stored} stored, {outdated} outdated, {refused} refused, {failed} failed; the state {state}"
        )
    }

    /// Whether the store now has all it should.
    fn judge(&self) -> Result<(), Failure> {
        let mut problems = Vec::new();
        if self.failed > 0 || self.state == Some(Outcome::Failed) {
            problems.push(format!(
                "the store of the app failed at {ATTEMPTS} attempts, and the log of the app says why; \
                 run this again, what is there already is not written again"
            ));
        }
        if self.refused > 0 || self.state == Some(Outcome::Refused) {
            problems.push(
                "the app cannot read what it refused: bring it up to date, then run this again"
                    .to_owned(),
            );
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Failure::Failed(problems.join("\n  "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_at_their_pace() {
        let mut pace = Pace::new(40);
        let mut waits = Vec::new();
        for (entries, now) in [
            (40, 5_000),
            // The call took 100 ms.
            (40, 5_100),
            // It took longer than the pace asks for.
            (1, 8_000),
            (40, 8_010),
            // A clock set back, and one set forward.
            (40, 1_000),
            (40, 100_000),
        ] {
            waits.push(pace.wait(entries, Timestamp(now)).as_millis());
        }
        assert_eq!(waits, [0, 900, 0, 15, 1_000, 0]);
        assert_eq!(Pace::new(100_000).wait(100, Timestamp(0)), Duration::ZERO);
    }

    #[test]
    fn a_call_is_never_too_long() {
        let link = |bytes: usize| ("s.example/abc".to_owned(), vec![0; bytes]);
        for bytes in [0, 1_000, 5_000, 16 * 1024] {
            let links = vec![link(bytes); ENTRIES_MAX];
            let count = fitting(&links);
            let entries = |count: usize| {
                let links = links.iter().take(count);
                links.map(|(key, record)| Entry { key, change: Change::Put(record) }).collect()
            };
            let length = |count| Sync { entries: entries(count), state: None }.encode().len();
            assert!(length(count) <= BODY_MAX_BYTES, "{bytes}");
            assert!(count == ENTRIES_MAX || length(count + 2) > BODY_MAX_BYTES, "{bytes}");
        }
        assert_eq!(fitting(&[link(BODY_MAX_BYTES)]), 1);
    }
}
