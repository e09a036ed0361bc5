use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use waypost_wire::click::{Batch as Packed, BatchWriter};

const EXTENSION: &str = "clicks";

/// A full batch and the journal that holds the same clicks until the store has them.
#[derive(Debug)]
pub struct Batch {
    /// Bytes of `waypost_wire::click`.
    pub bytes: Vec<u8>,
    /// How many clicks.
    pub count: usize,
    journal: Option<PathBuf>,
}

impl Batch {
    pub(super) fn of(writer: BatchWriter, journal: Option<PathBuf>) -> Self {
        Self { count: writer.count(), bytes: writer.finish(), journal }
    }

    /// The store has the batch: its journal goes.
    ///
    /// # Errors
    /// If the file could not be removed; it will be delivered again, and counted once.
    pub fn delivered(self) -> io::Result<()> {
        self.journal.map_or(Ok(()), fs::remove_file)
    }
}

/// A journal file: one batch in the making, a click an entry. An entry is its length (4 bytes,
/// little-endian) and a batch of one click, which names its own source and number.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    path: PathBuf,
}

impl Segment {
    pub(super) fn create(directory: &Path, source: u64, first_sequence: u64) -> io::Result<Self> {
        let path = directory.join(format!("{source:016x}-{first_sequence:020}.{EXTENSION}"));
        let file = File::options().create_new(true).append(true).open(&path)?;
        Ok(Self { file, path })
    }

    pub(super) fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        self.file.write_all(entries)
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }
}

pub(super) fn put_entry(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// The next entry's content and what follows it; `None` at the end, or at an entry that was not
/// written whole.
pub(super) fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entries.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The batches that former processes left in `directory`, each with its journal.
///
/// A journal without a single whole entry is removed.
///
/// # Errors
/// If the directory or a file in it could not be read.
pub fn leftovers(directory: &Path) -> io::Result<Vec<Batch>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    paths.sort();
    let mut batches = Vec::new();
    for path in paths {
        let entries = fs::read(&path)?;
        let mut found = batches_of(&entries);
        match found.pop() {
            None => fs::remove_file(&path)?,
            Some(last) => {
                batches.extend(found.into_iter().map(|writer| Batch::of(writer, None)));
                batches.push(Batch::of(last, Some(path)));
            }
        }
    }
    Ok(batches)
}

/// Packs entries again. More than one batch comes of them only if numbers are missing between.
fn batches_of(mut entries: &[u8]) -> Vec<BatchWriter> {
    let mut batches: Vec<BatchWriter> = Vec::new();
    let mut expected = None;
    while let Some((entry, rest)) = split_entry(entries) {
        entries = rest;
        let Ok(one) = Packed::parse(entry) else {
            break;
        };
        let source = one.id().source;
        for (sequence, click) in one.clicks() {
            if expected != Some(sequence) {
                batches.push(BatchWriter::new(source, sequence));
            }
            expected = Some(sequence + 1);
            if let Some(batch) = batches.last_mut() {
                batch.push(&click);
            }
        }
    }
    batches
}
