//! Sealed attributes: the document of every link, what a creation answered, and the record of a link
//! with a password, whose destination nobody should read in the table. The seals are of
//! [`waypost_service::seal`].
//!
//! Attributes that were written before there were keys stay readable, and are sealed when they are
//! written next.

use std::sync::Arc;

use waypost_service::model::LinkId;
use waypost_service::seal::{SealKeys, sealed_with};
use waypost_service::seams::StoreError;

use crate::calls::random;
use crate::item::damaged;

/// The keys, if there are any. Without them nothing is sealed.
#[derive(Clone, Debug, Default)]
pub struct Sealing(Option<Arc<SealKeys>>);

impl Sealing {
    /// Seals with these keys.
    pub fn with(keys: Option<SealKeys>) -> Self {
        Self(keys.map(Arc::new))
    }

    /// The attribute as it is written.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(crate) fn seal(
        &self,
        link: LinkId,
        name: &str,
        plain: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let Some(keys) = &self.0 else {
            return Ok(plain);
        };
        let sealed = keys.seal(link, name, &plain, random()?);
        sealed.map_err(|fault| damaged(format!("{name} of link {link}: {fault}")))
    }

    /// The attribute as it was before.
    ///
    /// # Errors
    /// If it is sealed with a key that is not here, or was changed.
    pub(crate) fn open(
        &self,
        link: LinkId,
        name: &str,
        attribute: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let Some(number) = sealed_with(attribute) else {
            return Ok(attribute.to_vec());
        };
        let Some(keys) = &self.0 else {
            let problem = format!("{name} of link {link} is sealed with key {number}");
            return Err(damaged(format!("{problem}, and there are no keys")));
        };
        let opened = keys.open(link, name, attribute);
        opened.map_err(|fault| damaged(format!("{name} of link {link}: {fault}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const LINK: LinkId = LinkId(7);

    #[test]
    fn what_was_sealed_is_opened_and_what_was_not_is_read() {
        let keys = Sealing::with(SealKeys::read(KEY).ok());
        let sealed = keys.seal(LINK, "link", b"{}".to_vec()).expect("sealed");
        assert_ne!(sealed, b"{}");
        assert_ne!(
            keys.seal(LINK, "link", b"{}".to_vec()).expect("sealed"),
            sealed,
            "a nonce each"
        );
        assert_eq!(keys.open(LINK, "link", &sealed), Ok(b"{}".to_vec()));
        assert_eq!(keys.open(LINK, "link", b"{}"), Ok(b"{}".to_vec()));
        assert!(keys.open(LinkId(8), "link", &sealed).is_err());

        let none = Sealing::default();
        assert_eq!(none.seal(LINK, "link", b"{}".to_vec()), Ok(b"{}".to_vec()));
        let problem = "link of link 7 is sealed with key 1, and there are no keys";
        assert_eq!(none.open(LINK, "link", &sealed), Err(damaged(problem)));
    }
}
