//! Links as they lie in the table, for sealing them anew: [`SealedLinks`].

use futures_util::future::try_join_all;
use waypost_service::model::LinkId;
use waypost_service::seal::reseal::{Change, Row, Rows, SealedLinks};
use waypost_service::seams::StoreError;

use super::{hex, row};
use crate::calls::{Tries, Write, Written};
use crate::item::{bytes, key, number, text};
use crate::store::AwsStore;
use crate::walk::{HIGHEST, LOWEST, Walk, Way, behind};

/// Links written side by side: some hundreds a second, which leaves a table room for others.
const AT_ONCE: usize = 8;

/// What must lie there: nobody wrote the link since, and nobody sealed it anew.
const AS_IT_WAS: &str =
    "link_id = :id AND version = :version AND #link = :document AND #record = :record";

impl SealedLinks for AwsStore {
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError> {
        let way = Way {
            table: &self.names.links,
            index: "by_created",
            sort_key: "created",
            is_descending: false,
        };
        let from = after.map_or_else(|| LOWEST.to_owned(), |id| behind(&hex(id)));
        let entries = Walk::new(self, way, from, HIGHEST.to_owned()).next(limit).await?;
        let items = self.link_items(entries.iter().map(|entry| entry.pk.as_str()), None).await?;
        let mut rows = Vec::new();
        for entry in &entries {
            // A key may belong to another link by now, which has an entry of its own.
            if let Some(item) = items.get(&entry.pk)
                && row::says(item, "link_id", &entry.place)
            {
                rows.push(row::raw(item)?);
            }
        }
        let last = entries.last().filter(|_| entries.len() == limit);
        let next = last.map(|entry| row::from_hex(&entry.place)).transpose()?;
        Ok(Rows { rows, next })
    }

    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError> {
        self.item_of(id).await?.map(|item| row::raw(&item)).transpose()
    }

    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let mut written = Vec::with_capacity(changes.len());
        for some in changes.chunks(AT_ONCE) {
            written.extend(try_join_all(some.iter().map(|change| replace(self, change))).await?);
        }
        Ok(written)
    }
}

/// One conditional update. `write` stays too: it tells a writing of the link from others, and this
/// is none.
async fn replace(store: &AwsStore, change: &Change) -> Result<bool, StoreError> {
    let Change { row, fields, .. } = change;
    let mut tries = Tries::new();
    loop {
        let expression = "SET #link = :new_document, #record = :new_record";
        let update = Write::update(&store.names.links, key(&row.key), expression)
            .naming("#link", row::DOCUMENT)
            .naming("#record", row::RECORD)
            .only_if(AS_IT_WAS)
            .with(":id", text(hex(row.id)))
            .with(":version", number(row.version))
            .with(":document", bytes(row.fields.document.as_slice()))
            .with(":record", bytes(row.fields.record.as_slice()))
            .with(":new_document", bytes(fields.document.as_slice()))
            .with(":new_record", bytes(fields.record.as_slice()));
        match update.alone(store).await? {
            Written::Done(_) => return Ok(true),
            Written::Refused(_) => return Ok(false),
            Written::Met => tries.again("sealing a link anew").await?,
        }
    }
}
