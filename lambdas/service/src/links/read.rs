//! Reading links.

use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::{Counted, Host, Service};
use crate::model::{Link, LinkId};
use crate::problem::{Kind, Problem};
use crate::seams::{LinkStore, ListQuery, StoredLink};
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

    /// How often a link was followed.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn clicks(&self, id: LinkId) -> Result<u64, Problem> {
        let counted = self.host.counted().clicks(&[id]).await?;
        Ok(counted.first().copied().unwrap_or_default())
    }

    /// A page of links.
    ///
    /// # Errors
    /// [`Kind::InvalidCursor`], or the store's fault.
    pub async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Listing, Problem> {
        let page = self.host.links().list(query, now).await?;
        let ids: Vec<LinkId> = page.links.iter().map(|link| link.id).collect();
        let counted = match ids.is_empty() {
            true => Vec::new(),
            false => self.host.counted().clicks(&ids).await?,
        };
        let counted = counted.into_iter().chain(std::iter::repeat(0));
        let links = page.links.into_iter().zip(counted).collect();
        Ok(Listing { links, next_cursor: page.next_cursor })
    }
}
