//! `waypost reseal`: every link sealed with the first key.

use clap::Args;
use waypost_host::settings::{Settings, StoreSettings};
use waypost_service::model::LinkId;
use waypost_service::seal::SealKeys;
use waypost_service::seal::fields::Sealing;
use waypost_service::seal::reseal::{Report, SealedLinks, Stopped, reseal};

use super::failure::Failure;
use super::progress;
use super::serve::ServeArgs;
use super::surroundings::Surroundings;
use super::table::grouped;
use crate::sqlite::seals::nonce;
use crate::sqlite::{Db, DbOptions, FILE_NAME, sweep};

const EXAMPLES: &str = "\
Examples:
  waypost reseal
  waypost reseal --data-dir /var/lib/waypost --seal-keys-file /etc/waypost/seal.keys
  waypost reseal --store dynamodb

Seals every link with the first key: once after keys were switched on, and after a new key came in
front. Nothing else of a link changes, and visitors notice nothing. It can be stopped and run again.
With the embedded database the server must not run, and its disk and that of temporary files need as
much free space as it takes. With dynamodb, nodes and functions may run, if all of them have the new key first. The
settings are those of `waypost serve`.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ResealArgs {
    /// Skip the links up to this one, as an earlier run said that stopped
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl ResealArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let after = self.after.as_deref().map(str::parse::<LinkId>).transpose();
        let after = after.map_err(|_| Failure::Usage("--after is no id of a link".to_owned()))?;
        let settings = self.serve.settings(surroundings)?;
        let sealing = Sealing::with(settings.seal_keys.clone());
        let Some(keys) = sealing.keys() else {
            let text = "there are no keys to seal with: set seal_keys_file or seal_keys";
            return Err(Failure::Usage(text.to_owned()));
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
        let outcome = match &settings.store {
            StoreSettings::Sqlite => {
                runtime.block_on(embedded(&settings, &sealing, after, surroundings))?
            }
            #[cfg(feature = "aws")]
            StoreSettings::DynamoDb(shared) => {
                let tables = crate::shared::tables(shared, settings.seal_keys.clone());
                runtime.block_on(async {
                    let report = walk(&tables.await, &sealing, after, surroundings).await?;
                    let in_use = report.in_use.keys().copied().collect();
                    Ok::<_, Failure>(Outcome { report, in_use, rest: Rest::Answers })
                })?
            }
            #[cfg(not(feature = "aws"))]
            StoreSettings::DynamoDb(_) => {
                let text = crate::serve::StartError::NoAws.to_string();
                return Err(Failure::Failed(text));
            }
        };
        outcome.show(keys, after.is_none(), surroundings)?;
        match outcome.report.is_complete(&sealing) {
            true => Ok(()),
            false => Err(Failure::Reported),
        }
    }
}

/// What a walk came to.
struct Outcome {
    report: Report,
    /// The numbers of the keys that something is still sealed with.
    in_use: Vec<u32>,
    rest: Rest,
}

/// What is there beside links.
enum Rest {
    /// Remembered answers were not looked at.
    #[cfg(feature = "aws")]
    Answers,
    /// Everything was looked at; whether the file was made anew.
    Swept(bool),
}

async fn embedded(
    settings: &Settings,
    sealing: &Sealing,
    after: Option<LinkId>,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome, Failure> {
    let path = settings.data_dir.join(FILE_NAME);
    let failed = |error: crate::sqlite::OpenError| Failure::Failed(error.to_string());
    if !path.exists() {
        let text = format!("there is no {}: name its directory with --data-dir", path.display());
        return Err(Failure::Failed(text));
    }
    let options = DbOptions { sealing: sealing.clone(), ..DbOptions::default() };
    let db = Db::open(&path, &options).map_err(failed)?;
    let walked = walk(&db, sealing, after, surroundings).await;
    db.close().await;
    drop(db);
    let report = walked?;
    let spinner = progress::spinner(surroundings, "writing over what was there before");
    let swept = sweep(&path, sealing).map_err(failed);
    spinner.finish_and_clear();
    let swept = swept?;
    Ok(Outcome { report, in_use: swept.in_use, rest: Rest::Swept(swept.is_rewritten) })
}

async fn walk(
    store: &impl SealedLinks,
    sealing: &Sealing,
    after: Option<LinkId>,
    surroundings: &Surroundings<'_>,
) -> Result<Report, Failure> {
    let spinner = progress::spinner(surroundings, "sealing");
    let mut shown = |report: &Report| {
        let (links, written) = (grouped(report.links), grouped(report.written));
        spinner.set_message(format!("{links} links looked at, {written} sealed anew"));
    };
    let walked = reseal(store, sealing, &nonce, after, &mut shown).await;
    spinner.finish_and_clear();
    walked.map_err(|Stopped { after, error }| match after {
        None => Failure::Failed(format!("{error}: run it again")),
        Some(id) => Failure::Failed(format!(
            "{error}: run it again; with --after {id} it skips what is done"
        )),
    })
}

impl Outcome {
    fn show(
        &self,
        keys: &SealKeys,
        is_whole: bool,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<(), Failure> {
        let Self { report, in_use, rest } = self;
        let (links, written) = (grouped(report.links), grouped(report.written));
        let current = keys.current();
        surroundings.say(&format!("{links} links, {written} sealed anew with key {current}"))?;
        if let Rest::Swept(true) = rest {
            surroundings.say("what lay in the database file before is written over")?;
        }
        for number in in_use {
            let links = grouped(report.in_use.get(number).copied().unwrap_or_default());
            surroundings.say(&format!("in use: key {number}, by {links} links"))?;
        }
        for fault in &report.fault_examples {
            surroundings.note(&format!("warning: {fault}"));
        }
        if report.faults > 0 {
            let faults = grouped(report.faults);
            surroundings.note(&format!("{faults} links could not be opened and stay as they are"));
        }
        if report.plain > 0 {
            let plain = grouped(report.plain);
            surroundings.note(&format!("{plain} links are not sealed: run this again"));
        }
        if !is_whole {
            let text = "links up to --after were not looked at: before a key is taken out, run this \
                        without it";
            surroundings.note(text);
        }
        for number in keys.numbers().filter(|number| !in_use.contains(number)) {
            surroundings.say(&format!("not in use any more: key {number}; {}", rest.advice()))?;
        }
        Ok(())
    }
}

impl Rest {
    /// When a key can be taken out that no link is sealed with.
    const fn advice(&self) -> &'static str {
        match self {
            #[cfg(feature = "aws")]
            Self::Answers => {
                "take it out after 24 hours, when answers remembered for creations have expired"
            }
            Self::Swept(_) => "take it out; keep it as long as backups that need it",
        }
    }
}
