//! The table as publishing reads it: [`LinkTable`].

use std::collections::HashMap;

use waypost_service::publish::{Current, LinkTable, TablePage};
use waypost_service::seal::fields::Sealing;
use waypost_service::seams::StoreError;

use super::row;
use crate::item::{Fields, Item};
use crate::store::AwsStore;
use crate::walk::{HIGHEST, LOWEST, Walk, Way, behind};

/// Keys of a page. Half a page more than a page costs no call more.
const PAGE: usize = 1_000;

const CURRENT_ATTRIBUTES: &[&str] =
    &["pk", "record", "link_id", "version", "stopped", "updated_at"];

impl LinkTable for AwsStore {
    async fn current(&self, keys: &[&str]) -> Vec<Result<Option<Current>, StoreError>> {
        let items = self.link_items(keys.iter().copied(), Some(CURRENT_ATTRIBUTES)).await;
        let one = |items: &HashMap<String, Item>, key: &str| {
            items.get(key).map(|item| current(item, &self.sealing)).transpose()
        };
        keys.iter()
            .map(|key| match &items {
                Ok(items) => one(items, key),
                Err(error) => Err(error.clone()),
            })
            .collect()
    }

    /// In the order of creation, which nothing changes.
    async fn page(&self, cursor: Option<&str>) -> Result<TablePage, StoreError> {
        let from = match cursor {
            None => LOWEST.to_owned(),
            Some(cursor) => {
                let id = row::from_hex(cursor).map_err(|_| StoreError::BadCursor)?;
                behind(&row::hex(id))
            }
        };
        let way = Way {
            table: &self.names.links,
            index: "by_created",
            sort_key: "created",
            is_descending: false,
        };
        let entries = Walk::new(self, way, from, HIGHEST.to_owned()).next(PAGE).await?;
        let last = entries.last().filter(|_| entries.len() == PAGE);
        let next_cursor = last.map(|entry| entry.place.clone());
        Ok(TablePage { keys: entries.into_iter().map(|entry| entry.pk).collect(), next_cursor })
    }
}

fn current(item: &Item, sealing: &Sealing) -> Result<Current, StoreError> {
    Ok(Current {
        record: row::record(item, sealing)?,
        generation: row::generation(item)?,
        stopped: item.truth("stopped")?,
        updated_at: item.time("updated_at")?,
    })
}
