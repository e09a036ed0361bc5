//! Bringing every link to the first key: after keys are switched on, and after a new one was put in
//! front, so that the old one can be taken out. Nothing of a link changes but the bytes that hold
//! it. What is as it should be is only read, so a run that was stopped is simply run again.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{FieldFault, Fields, Nonces, Sealing};
use crate::model::{Link, LinkId};
use crate::seams::StoreError;

/// Links looked at together.
const PAGE: usize = 200;
/// How often a link is looked at that others write meanwhile.
const LOOKS: u32 = 5;
/// Most faults that are told one by one.
const EXAMPLES_MAX: usize = 10;

/// A link as it lies in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The link.
    pub id: LinkId,
    /// The text of its record's key.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// What lies there.
    pub fields: Fields,
}

/// A part of a walk in order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The links; fewer than asked for, or none, if some went meanwhile.
    pub rows: Vec<Row>,
    /// Where the walk goes on: behind this link. `None` at its end.
    pub next: Option<LinkId>,
}

/// What is to be written of a link.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What must lie there for it.
    pub row: Row,
    /// What is to lie there.
    pub fields: Fields,
    /// The link, which stays as it is.
    pub link: Link,
}

/// A store of links seen as what lies in it.
pub trait SealedLinks {
    /// Links behind `after` in order of creation, deleted ones too.
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError>;

    /// A link as it is now.
    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError>;

    /// Replaces the fields of links, and nothing else: version, times and indices stay. Each by
    /// itself, and only if it lies as its row says, byte for byte. Tells of each whether it was
    /// done; if an answer was lost, `false` may be told of one that was.
    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError>;
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Links looked at.
    pub links: u64,
    /// Links written anew.
    pub written: u64,
    /// Links with something that is sealed with a key, by its number, when they were left.
    pub in_use: BTreeMap<u32, u64>,
    /// Links with something that is plain and should not be, when they were left.
    pub plain: u64,
    /// Links that could not be opened.
    pub faults: u64,
    /// Some of them, in words.
    pub fault_examples: Vec<String>,
}

impl Report {
    /// Whether everything is sealed with the first key.
    pub fn is_complete(&self, sealing: &Sealing) -> bool {
        let current = sealing.keys().map(super::SealKeys::current);
        self.faults == 0
            && self.plain == 0
            && self.in_use.keys().all(|number| Some(*number) == current)
    }

    fn left(&mut self, fields: &Fields) {
        let numbers: BTreeSet<u32> = fields.keys().into_iter().flatten().collect();
        for number in numbers {
            *self.in_use.entry(number).or_default() += 1;
        }
        self.plain += u64::from(fields.keys()[0].is_none());
    }

    fn fault(&mut self, fields: &Fields, fault: &FieldFault) {
        self.faults += 1;
        if self.fault_examples.len() < EXAMPLES_MAX {
            self.fault_examples.push(fault.to_string());
        }
        self.left(fields);
    }
}

/// A walk ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Stopped {
    /// Everything up to this link is done.
    pub after: Option<LinkId>,
    /// Why.
    pub error: StoreError,
}

/// Walks all links behind `after` and seals anew what is not sealed with the first key. Tells how
/// far it is after each page.
///
/// # Errors
/// If the store fails; run it again.
pub async fn reseal(
    store: &impl SealedLinks,
    sealing: &Sealing,
    nonces: Nonces<'_>,
    mut after: Option<LinkId>,
    progress: &mut dyn FnMut(&Report),
) -> Result<Report, Stopped> {
    let mut report = Report::default();
    loop {
        let page = async {
            let Rows { rows, next } = store.rows(after, PAGE).await?;
            bring(store, sealing, nonces, rows, &mut report).await?;
            Ok(next)
        };
        after = match page.await {
            Ok(None) => return Ok(report),
            Ok(next) => next,
            Err(error) => return Err(Stopped { after, error }),
        };
        progress(&report);
    }
}

/// Brings these links to the first key.
async fn bring(
    store: &impl SealedLinks,
    sealing: &Sealing,
    nonces: Nonces<'_>,
    mut rows: Vec<Row>,
    report: &mut Report,
) -> Result<(), StoreError> {
    report.links += rows.len() as u64;
    for look in 1..=LOOKS {
        let mut changes = Vec::new();
        for row in rows {
            match anew(sealing, nonces, &row) {
                Ok(None) => report.left(&row.fields),
                Ok(Some((fields, link))) => changes.push(Change { row, fields, link }),
                Err(fault) => report.fault(&row.fields, &fault),
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let written = store.replace_fields(&changes).await?;
        let mut met = Vec::new();
        for (change, is_written) in changes.into_iter().zip(written) {
            match is_written {
                true => {
                    report.written += 1;
                    report.left(&change.fields);
                }
                false => met.push(change.row),
            }
        }
        rows = Vec::new();
        for met in met {
            match store.row(met.id).await? {
                // It is gone, or a link of another time.
                None => {}
                Some(row) if look == LOOKS => report.left(&row.fields),
                Some(row) => rows.push(row),
            }
        }
    }
    Ok(())
}

/// What a link is to lie like; `None` if it does already.
fn anew(
    sealing: &Sealing,
    nonces: Nonces<'_>,
    row: &Row,
) -> Result<Option<(Fields, Link)>, FieldFault> {
    let link = sealing.document(row.id, &row.fields.document)?;
    if sealing.is_current(&link, &row.fields) {
        return Ok(None);
    }
    let record = sealing.record(row.id, row.fields.record.clone())?;
    let fields = sealing.fields(&link, &record, nonces)?;
    Ok(Some((fields, link)))
}
