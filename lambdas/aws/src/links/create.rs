//! Making a link: one transaction, and a look around when it does not succeed.

use futures_util::future::try_join;
use waypost_service::model::{Link, LinkId};
use waypost_service::seams::{Created, Idempotency, StoreError, StoredLink};
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::{external_key, hex, idempotency, last_use, pointer_key, row};
use crate::calls::{Transacted, Tries, Write, random};
use crate::item::{Fields, Item, bytes, damaged, number, text};
use crate::store::AwsStore;

/// Writes a new link. Whatever stops the transaction, a condition or a lost answer, the items
/// themselves say how things stand: the pointer from the id names the creation that wrote it.
pub(super) async fn create(
    store: &AwsStore,
    link: &StoredLink,
    idempotency: Option<&Idempotency>,
    replace_deleted: bool,
    now: Timestamp,
) -> Result<Created, StoreError> {
    let creation = Creation { store, link, idempotency, replace_deleted, now, nonce: random()? };
    let mut tries = Tries::new();
    // A slug is asked for again that somebody deleted: mostly there is a holder.
    let mut replaced = match replace_deleted {
        true => match creation.look().await? {
            Look::Ended(ended) => return Ok(ended),
            Look::Free { replaced } => replaced,
        },
        false => None,
    };
    loop {
        let ended = store.transact(creation.writes(replaced)?).await;
        if ended == Ok(Transacted::Done) {
            return Ok(Created::Created);
        }
        replaced = match creation.look().await? {
            Look::Ended(ended) => return Ok(ended),
            Look::Free { replaced } => replaced,
        };
        // Nothing is in the way: what was has gone meanwhile, or the writes met others.
        ended?;
        tries.again("a creation").await?;
    }
}

struct Creation<'a> {
    store: &'a AwsStore,
    link: &'a StoredLink,
    idempotency: Option<&'a Idempotency>,
    replace_deleted: bool,
    now: Timestamp,
    /// Identifies this creation.
    nonce: [u8; 16],
}

/// How things stand for a creation.
enum Look {
    /// It has its answer.
    Ended(Created),
    /// Nothing is in its way but, at most, a deleted link that is to be replaced.
    Free { replaced: Option<Generation> },
}

impl Creation<'_> {
    fn writes(
        &self,
        replaced: Option<Generation>,
    ) -> Result<Vec<aws_sdk_dynamodb::types::TransactWriteItem>, StoreError> {
        let Self { store, link: stored, .. } = self;
        let (names, link) = (&store.names, &stored.link);
        let put = Write::put(&names.links, row::item(stored, self.nonce, &store.sealing)?);
        let mut pointer = pointer_key(link.id);
        pointer.insert("key".to_owned(), text(stored.key.as_str()));
        pointer.insert("used".to_owned(), number(0));
        pointer.insert("creation".to_owned(), bytes(self.nonce));
        let mut writes = vec![
            match replaced {
                None => put.only_if_new(),
                Some(holder) => put
                    .only_if("link_id = :holder AND version = :version")
                    .with(":holder", text(hex(LinkId(holder.link_id))))
                    .with(":version", number(holder.version)),
            },
            Write::put(&names.control, pointer).only_if_new(),
            Write::put(&names.counters, last_use::new(link, &stored.key)),
        ];
        if let Some(external_id) = held_external_id(link) {
            let mut guard = external_key(external_id);
            guard.insert("link_id".to_owned(), text(hex(link.id)));
            writes.push(Write::put(&names.control, guard).only_if_new());
        }
        if let Some(answer) = self.idempotency {
            writes.push(idempotency::remember(store, answer, self.now)?);
        }
        if let Some(holder) = replaced {
            writes.push(Write::delete(&names.control, pointer_key(LinkId(holder.link_id))));
            writes.push(Write::delete(&names.counters, last_use::item_key(LinkId(holder.link_id))));
        }
        writes.into_iter().map(Write::in_transaction).collect()
    }

    /// Reads what may be in the way. What another creation wrote is seen whole: its idempotency key
    /// is read after the rest, so that it is there if the rest is.
    async fn look(&self) -> Result<Look, StoreError> {
        let Self { store, link: stored, .. } = self;
        let control = &store.names.control;
        let guard = async {
            match held_external_id(&stored.link) {
                Some(external_id) => store.get(control, external_key(external_id)).await,
                None => Ok(None),
            }
        };
        let pointer = store.get(control, pointer_key(stored.link.id));
        let holder = store.link_item(stored.key.as_str());
        let (holder, (pointer, guard)) = try_join(holder, try_join(pointer, guard)).await?;
        if pointer.as_ref().is_some_and(|item| item.bytes("creation") == Ok(&self.nonce)) {
            // It was done, and its answer was lost.
            return Ok(Look::Ended(Created::Created));
        }
        if let Some(wanted) = self.idempotency
            && let Some(found) = idempotency::remembered(store, &wanted.key, self.now).await?
        {
            return Ok(Look::Ended(Created::Replayed(found)));
        }
        let is_another = |guard: &Item| !row::says(guard, "link_id", &hex(stored.link.id));
        if guard.as_ref().is_some_and(is_another) {
            return Ok(Look::Ended(Created::ExternalIdTaken));
        }
        let holder = holder.map(|item| row::link(&item, &store.sealing)).transpose()?;
        if let Some(holder) = &holder {
            let is_deleted = holder.deleted_at.is_some();
            if !(is_deleted && self.replace_deleted) {
                let quarantine_until =
                    is_deleted.then(|| holder.quarantine_until.unwrap_or(self.now));
                return Ok(Look::Ended(Created::SlugTaken { quarantine_until }));
            }
        }
        if pointer.is_some() {
            return Err(damaged(format!("link {} exists", stored.link.id)));
        }
        let generation =
            |holder: Link| Generation { link_id: holder.id.0, version: holder.version };
        Ok(Look::Free { replaced: holder.map(generation) })
    }
}

/// The external id that a link keeps others from having.
pub(super) fn held_external_id(link: &Link) -> Option<&str> {
    link.external_id.as_deref().filter(|_| link.deleted_at.is_none())
}
