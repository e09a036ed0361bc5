//! A store that only lists, slice by slice.

use sha2::{Digest, Sha256};

use super::cursor::{Cursor, Slice};
use super::{Run, Stopped};
use crate::ambient::{Clock, Pause};
use crate::publish::seams::LinkTable;
use crate::publish::store::{EdgeStore, Listed, StoreFault};

/// So many missing keys are repaired together.
const GATHERED_MAX: usize = 1_000;

/// Keys of a slice, 8 bytes of SHA-256 each, sorted.
struct Seen(Vec<u64>);

impl Seen {
    fn has(&self, key: &str) -> bool {
        self.0.binary_search(&short(key)).is_ok()
    }
}

/// Two of ten million keys are the same here once in 400,000 passes; then a missing one of the two
/// is found in the pass after, if the slices are cut elsewhere, or by the edge that misses it.
fn short(key: &str) -> u64 {
    let sum: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut first = [0; 8];
    first.copy_from_slice(&sum[..8]);
    u64::from_be_bytes(first)
}

impl<S: EdgeStore, A: Clock + Pause, T: LinkTable> Run<'_, S, A, T> {
    /// A store that only lists.
    pub(super) async fn slices(&mut self, start: Cursor) -> Result<(), Stopped> {
        let (mut from, mut after, mut resumed) = match start {
            Cursor::List { from, after } => (from, after, None),
            Cursor::Walk { slice, table } => {
                (slice.from.clone(), slice.after.clone(), Some((slice, table)))
            }
        };
        loop {
            let (slice, seen, table) = match resumed.take() {
                // What was listed is not known any more, but has been compared.
                Some((slice, table)) => {
                    let seen = self.listed_again(&slice, table.as_ref()).await?;
                    (slice, seen, table)
                }
                None => {
                    let (slice, seen) = self.slice(from, after).await?;
                    (slice, seen, None)
                }
            };
            self.walk_slice(&slice, &seen, table).await?;
            (from, after) = match slice.until {
                Some(until) => (slice.next, Some(until)),
                None => return Ok(()),
            };
            if self.is_over() {
                return Err(Stopped::at(Cursor::List { from, after }));
            }
        }
    }

    /// Lists a slice and compares it with the table.
    async fn slice(
        &mut self,
        from: Option<String>,
        after: Option<String>,
    ) -> Result<(Slice, Seen), Stopped> {
        let mut slice = Slice { from: from.clone(), after: after.clone(), until: None, next: from };
        let (mut seen, mut last) = (Vec::new(), after);
        loop {
            // At least one page: a pass comes forward however little time it has.
            let is_enough = self.is_half_over() || self.options.slice_keys_max <= seen.len();
            if !seen.is_empty() && is_enough {
                (slice.until, seen) = (last, sorted(seen));
                return Ok((slice, Seen(seen)));
            }
            let (from, after) = (slice.from.clone(), slice.after.clone());
            let here = || Cursor::List { from, after };
            if self.is_over() {
                return Err(Stopped::at(here()));
            }
            let page = match self.list_in_order(slice.next.as_deref(), last.as_deref()).await {
                Ok(page) => page,
                Err(fault) => return Err(Stopped::by(&fault, here())),
            };
            seen.extend(page.keys.iter().map(|(key, _)| short(key)));
            last = page.keys.last().map(|(key, _)| key.clone()).or(last);
            slice.next = page.next_cursor;
            let keys = page.keys.into_iter().map(|(key, mark)| (key, Some(mark))).collect();
            self.compare(keys).await.map_err(|fault| Stopped::by(&fault, here()))?;
            if slice.next.is_none() {
                return Ok((slice, Seen(sorted(seen))));
            }
        }
    }

    /// Lists a slice once more.
    async fn listed_again(
        &mut self,
        slice: &Slice,
        table: Option<&String>,
    ) -> Result<Seen, Stopped> {
        let here = || Cursor::Walk { slice: slice.clone(), table: table.cloned() };
        let (mut seen, mut cursor, mut last) =
            (Vec::new(), slice.from.clone(), slice.after.clone());
        loop {
            let page = self.list_in_order(cursor.as_deref(), last.as_deref()).await;
            let page = page.map_err(|fault| Stopped::by(&fault, here()))?;
            seen.extend(page.keys.iter().map(|(key, _)| short(key)));
            last = page.keys.last().map(|(key, _)| key.clone()).or(last);
            cursor = page.next_cursor;
            let is_done = match (&slice.until, &last) {
                (Some(until), Some(last)) => until <= last,
                _ => false,
            };
            if is_done || cursor.is_none() {
                return Ok(Seen(sorted(seen)));
            }
        }
    }

    /// Makes sure that a page is in order: what is not where it belongs would be taken for missing.
    async fn list_in_order(
        &mut self,
        cursor: Option<&str>,
        after: Option<&str>,
    ) -> Result<Listed, StoreFault> {
        let page = self.list(cursor).await?;
        match is_ordered(&page, after) {
            true => Ok(page),
            false => Err(StoreFault::Unexpected("keys are not listed in their order".to_owned())),
        }
    }

    /// Looks for the keys of the table among those listed.
    async fn walk_slice(
        &mut self,
        slice: &Slice,
        seen: &Seen,
        mut table: Option<String>,
    ) -> Result<(), Stopped> {
        loop {
            let start = table.clone();
            let here = || Cursor::Walk { slice: slice.clone(), table: start.clone() };
            let mut missing = Vec::new();
            // Calls of the store are dear, so what is missing is gathered for one.
            while missing.len() < GATHERED_MAX {
                let page = self.table.page(table.as_deref()).await;
                let page = page.map_err(|fault| Stopped::unread(&fault, here()))?;
                let keys = page.keys.into_iter().filter(|key| slice.has(key));
                for key in keys {
                    self.report.checked += 1;
                    if !seen.has(&key) {
                        missing.push((key, None));
                    }
                }
                table = page.next_cursor;
                if table.is_none() || self.is_over() {
                    break;
                }
            }
            self.compare(missing).await.map_err(|fault| Stopped::by(&fault, here()))?;
            if table.is_none() {
                return Ok(());
            }
            if self.is_over() {
                return Err(Stopped::at(Cursor::Walk { slice: slice.clone(), table }));
            }
        }
    }
}

fn sorted(mut keys: Vec<u64>) -> Vec<u64> {
    keys.sort_unstable();
    keys
}

/// Whether the keys of a page are in order, behind `after`.
fn is_ordered(page: &Listed, after: Option<&str>) -> bool {
    let keys = page.keys.iter().map(|(key, _)| key.as_str());
    let all: Vec<&str> = after.into_iter().chain(keys).collect();
    all.windows(2).all(|pair| pair[0] < pair[1])
}
