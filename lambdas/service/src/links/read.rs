//! Reading links.

use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::{Host, Service};
use crate::counting::read::link_totals;
use crate::counting::rollup::Totals;
use crate::model::{Link, LinkId};
use crate::problem::{Kind, Problem};
use crate::seams::{LinkStore, ListQuery, StoreError, StoredLink};
use crate::time::format;

/// A page of links, each with its clicks.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The links in the order asked for.
    pub links: Vec<(Link, u64)>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

impl<H: Host> Service<H> {
    /// The link with this key.
    ///
    /// # Errors
    /// [`Kind::NotFound`], or [`Kind::Gone`] if it was deleted; or the store's fault.
    pub async fn read(&self, key: &LinkKey) -> Result<StoredLink, Problem> {
        let unknown = || Problem::new(Kind::NotFound, format!("there is no link {key}"));
        let stored = self.host.links().link(key).await?.ok_or_else(unknown)?;
        match stored.link.deleted_at {
            None => Ok(stored),
            Some(at) => {
                let detail = format!("{key} was deleted at {}", format(at));
                Err(Problem::new(Kind::Gone, detail))
            }
        }
    }

    /// How often each link was followed, in the order of `ids`: every hit, of people or not.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn clicks(&self, ids: &[LinkId]) -> Result<Vec<u64>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let totals = link_totals(self.host.counters(), &self.open, ids).await?;
        Ok(totals.iter().map(Totals::all).collect())
    }

    /// A page of links.
    ///
    /// # Errors
    /// [`Kind::InvalidCursor`], or the store's fault.
    pub async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Listing, Problem> {
        let page = self.host.links().list(query, now).await?;
        let ids: Vec<LinkId> = page.links.iter().map(|link| link.id).collect();
        let links = page.links.into_iter().zip(self.clicks(&ids).await?).collect();
        Ok(Listing { links, next_cursor: page.next_cursor })
    }
}
