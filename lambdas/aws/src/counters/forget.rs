//! Removing the numbers of a link, the salts of days, and looking at the account.

use std::collections::BTreeSet;

use waypost_service::counting::rollup::Subject;
use waypost_service::counting::store::Account;
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::booking::{bucket, heard_source};
use super::rows::Books;
use super::table::{Action, FIRST, LAST, Outcome, TRIES, key_of, pause};
use super::{Counters, keys};
use crate::item::{Fields, bytes, damaged, pair, sortable, text, time};

impl Counters<'_> {
    /// First nobody writes numbers of the link any more, then those that are there go. Ended
    /// anywhere, it is done again.
    pub(super) async fn delete_link_statistics(
        &self,
        link: LinkId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tombstone =
            pair(keys::FORGOTTEN, keys::behind(now, format_args!("{:016x}", link.0)));
        tombstone.insert("link".to_owned(), text(format!("{:016x}", link.0)));
        let forget = Action::Update {
            key: keys::total(link),
            update: "SET #forgotten_at = :now REMOVE #before, #last, #through",
            condition: None,
            values: vec![(":now", time(now))],
        };
        self.table.transact(&[forget, Action::put(tombstone)]).await?;
        self.delete_rows(Subject::Link(link)).await
    }

    /// Forgets that numbers were removed before `before`; at most `limit`.
    pub(super) async fn delete_tombstones(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<(), StoreError> {
        let to = sortable(before);
        let old = self.table.query(keys::FORGOTTEN, FIRST, &to, limit).await?;
        for item in old {
            let link = u64::from_str_radix(item.text("link")?, 16);
            let link = link.map_err(|_| damaged("a deleted link has no id"))?;
            let at = super::compact::end_of(&item)?;
            let forget = Action::Delete {
                key: keys::total(LinkId(link)),
                condition: Some("#forgotten_at = :at"),
                values: vec![(":at", time(at))],
            };
            // Refused: it was removed again since, which has an item of its own.
            self.table.transact(&[forget]).await?;
            self.table.delete_all(vec![key_of(&item)?]).await?;
        }
        Ok(())
    }

    pub(super) async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "reading the account while batches are booked").await?;
            attempt += 1;
            let books = self.books().await?;
            let Books { version, accepted, stored, duplicate, late, .. } = books;
            let from = sortable(bucket(since));
            let heard = self.table.query(keys::HEARD, &from, LAST, usize::MAX).await?;
            let ids = heard.iter().map(heard_source).collect::<Result<BTreeSet<u64>, _>>()?;
            let wanted = ids.into_iter().map(keys::ledger).collect();
            let mut recent = Vec::new();
            let ledgers = self.table.get_all(wanted).await?;
            // Otherwise something was booked since.
            if self.books().await?.version != version {
                continue;
            }
            for item in ledgers.values() {
                if since < item.time("heard_at")? {
                    recent.push(self.source(item).await?.ledger);
                }
            }
            return Ok(Account { accepted, stored, duplicate, late, recent });
        }
    }

    pub(super) async fn salt(
        &self,
        day: Timestamp,
        candidate: [u8; 16],
    ) -> Result<[u8; 16], StoreError> {
        let key = pair(keys::SALTS, sortable(day));
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "choosing a salt").await?;
            attempt += 1;
            if let Some(item) = self.table.get(key.clone()).await? {
                let salt = item.bytes("salt")?.try_into();
                return salt.map_err(|_| damaged("a salt is not 16 bytes long"));
            }
            let mut item = key.clone();
            item.insert("salt".to_owned(), bytes(candidate));
            let condition = Some("attribute_not_exists(pk)");
            let put = Action::Put { item, condition, values: vec![] };
            if self.table.transact(&[put]).await? == Outcome::Done {
                return Ok(candidate);
            }
        }
    }

    pub(super) async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        let to = sortable(until);
        let old = self.table.query(keys::SALTS, FIRST, &to, usize::MAX).await?;
        let keys = old.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        self.table.delete_all(keys).await?;
        Ok(old.len())
    }
}
