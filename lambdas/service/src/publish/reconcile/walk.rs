//! A store that is read key by key, or only written to.

use super::compare::Found;
use super::cursor::{Cursor, Slice};
use super::{Run, Stopped};
use crate::ambient::{Clock, Pause};
use crate::publish::seams::LinkTable;
use crate::publish::store::{EdgeStore, StoreFault, Ways};

impl<S: EdgeStore, A: Clock + Pause, T: LinkTable> Run<'_, S, A, T> {
    /// A store that lists and can be read.
    pub(super) async fn both(&mut self, mut from: Option<String>) -> Result<(), Stopped> {
        loop {
            let here = || Cursor::List { from: from.clone(), after: None };
            if self.is_over() {
                return Err(Stopped::at(here()));
            }
            let page = self.list(from.as_deref()).await;
            let page = page.map_err(|fault| Stopped::by(&fault, here()))?;
            let keys = page.keys.into_iter().map(|(key, mark)| (key, Some(mark))).collect();
            self.compare(keys).await.map_err(|fault| Stopped::by(&fault, here()))?;
            from = page.next_cursor;
            if from.is_none() {
                return self.walk_reading(None).await;
            }
        }
    }

    /// Walks the table; what the store has is read key by key, or not at all.
    pub(super) async fn walk_reading(&mut self, mut table: Option<String>) -> Result<(), Stopped> {
        loop {
            let here = || Cursor::Walk { slice: Slice::default(), table: table.clone() };
            if self.is_over() {
                return Err(Stopped::at(here()));
            }
            let page = self.table.page(table.as_deref()).await;
            let page = page.map_err(|fault| Stopped::unread(&fault, here()))?;
            let done = match self.writer.store.ways() {
                Ways::Writes => self.send(page.keys).await,
                _ => self.read_and_compare(&page.keys).await,
            };
            done.map_err(|fault| Stopped::by(&fault, here()))?;
            table = page.next_cursor;
            if table.is_none() {
                return Ok(());
            }
        }
    }

    async fn read_and_compare(&mut self, keys: &[String]) -> Result<(), StoreFault> {
        for keys in keys.chunks(self.writer.limits.marks_max) {
            let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
            let found = self.marks(&texts).await?;
            if found.len() != keys.len() {
                let text = "it is not for as many keys as were asked for".to_owned();
                return Err(StoreFault::Unexpected(text));
            }
            // What its own list showed has been compared.
            let is_listed = self.writer.store.ways().lists();
            let pairs: Vec<(String, Found)> = keys.iter().cloned().zip(found).collect();
            let (known, open): (Vec<_>, Vec<_>) =
                pairs.into_iter().partition(|(_, found)| is_listed && found.is_some());
            let absent = open.iter().filter(|(_, found)| found.is_none()).count();
            self.report.checked += (known.len() + absent) as u64;
            self.compare(open).await?;
        }
        Ok(())
    }
}
