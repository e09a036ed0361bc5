//! What of a link is sealed, and how it lies in a store: the document of every link, the record of
//! a link with a password, whose destination nobody should read in the store, and what creations
//! answered.
//!
//! What was written before there were keys stays readable, and is sealed when it is written next.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{NONCE_BYTES, OpenFault, SealFault, SealKeys, sealed_with};
use crate::model::{Link, LinkId};
use crate::seams::StoreError;

/// The whole link as JSON.
const DOCUMENT: &str = "link";
/// The link as an edge reads it.
const RECORD: &str = "record";
/// What is sealed to tell a key by.
const CHECK: &str = "check";
/// No link has this id: what belongs to none is sealed under it.
const NO_LINK: LinkId = LinkId(0);

/// Makes the random number of one sealing; `None` if the system has no randomness.
pub type Nonces<'a> = &'a dyn Fn() -> Option<[u8; NONCE_BYTES]>;

/// The keys, if there are any. Without them nothing is sealed. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sealing(Option<Arc<SealKeys>>);

/// What lies in a store of a link: plain or sealed, each by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The document.
    pub document: Vec<u8>,
    /// The record.
    pub record: Vec<u8>,
}

impl Fields {
    /// The numbers of the keys that it is sealed with: of the document, of the record.
    pub fn keys(&self) -> [Option<u32>; 2] {
        [sealed_with(&self.document), sealed_with(&self.record)]
    }
}

/// A field could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    link: LinkId,
    name: &'static str,
    problem: FieldProblem,
}

/// Why a field could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// What was opened is no document. The text of it is not shown: it was sealed.
    #[error("no document of a link, as column {0} shows")]
    NoDocument(usize),
    /// There are no keys at all.
    #[error("is sealed with key {0}, and there are no keys")]
    NoKeys(u32),
    /// The system has no randomness, which passes.
    #[error("cannot be sealed: the system has no randomness")]
    NoRandomness,
    /// See [`OpenFault`].
    #[error("{0}")]
    Open(#[from] OpenFault),
    /// See [`SealFault`].
    #[error("{0}")]
    Seal(#[from] SealFault),
}

impl FieldFault {
    /// Why.
    pub const fn problem(&self) -> FieldProblem {
        self.problem
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, name, problem } = self;
        let colon = if matches!(problem, FieldProblem::NoKeys(_)) { "" } else { ":" };
        match *link {
            NO_LINK => write!(f, "{name}{colon} {problem}"),
            link => write!(f, "{name} of link {link}{colon} {problem}"),
        }
    }
}

impl std::error::Error for FieldFault {}

impl From<FieldFault> for StoreError {
    fn from(fault: FieldFault) -> Self {
        match fault.problem {
            FieldProblem::NoRandomness => Self::Unavailable(fault.to_string()),
            _ => Self::Damaged(fault.to_string()),
        }
    }
}

impl Sealing {
    /// Seals with these keys.
    pub fn with(keys: Option<SealKeys>) -> Self {
        Self(keys.map(Arc::new))
    }

    /// Whether anything is sealed.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The keys, if there are any.
    pub fn keys(&self) -> Option<&SealKeys> {
        self.0.as_deref()
    }

    /// A link's fields as they are written.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn fields(
        &self,
        link: &Link,
        record: &[u8],
        nonces: Nonces<'_>,
    ) -> Result<Fields, FieldFault> {
        let document = serde_json::to_vec(link).map_err(|error| FieldFault {
            link: link.id,
            name: DOCUMENT,
            problem: FieldProblem::NoDocument(error.column()),
        })?;
        let document = self.seal(link.id, (DOCUMENT, DOCUMENT), document, nonces)?;
        let record = match is_private(link) {
            true => self.seal(link.id, (RECORD, RECORD), record.to_vec(), nonces)?,
            false => record.to_vec(),
        };
        Ok(Fields { document, record })
    }

    /// Whether fields are as [`Self::fields`] would write them now.
    pub fn is_current(&self, link: &Link, fields: &Fields) -> bool {
        let current = self.keys().map(SealKeys::current);
        let of_record = current.filter(|_| is_private(link));
        fields.keys() == [current, of_record]
    }

    /// The link that a document is of.
    ///
    /// # Errors
    /// If it is sealed with a key that is not here, was changed, or is no document.
    pub fn document(&self, link: LinkId, field: &[u8]) -> Result<Link, FieldFault> {
        let no_document = |error: serde_json::Error| FieldFault {
            link,
            name: DOCUMENT,
            problem: FieldProblem::NoDocument(error.column()),
        };
        match sealed_with(field) {
            None => serde_json::from_slice(field).map_err(no_document),
            Some(number) => {
                let document = self.opened(link, (DOCUMENT, DOCUMENT), number, field)?;
                serde_json::from_slice(&document).map_err(no_document)
            }
        }
    }

    /// A record as it was before. One that is not sealed is not copied.
    ///
    /// # Errors
    /// If it is sealed with a key that is not here, or was changed.
    pub fn record(&self, link: LinkId, field: Vec<u8>) -> Result<Vec<u8>, FieldFault> {
        self.open(link, (RECORD, RECORD), field)
    }

    /// What a creation answered, to be remembered under the caller's key. It shows the link, so it
    /// is sealed as the link is.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn seal_answer(
        &self,
        key: &str,
        answer: &[u8],
        nonces: Nonces<'_>,
    ) -> Result<Vec<u8>, FieldFault> {
        self.seal(NO_LINK, ("remembered answer", &hash(key)), answer.to_vec(), nonces)
    }

    /// The answer that was remembered under a key.
    ///
    /// # Errors
    /// If it is sealed with a key that is not here, or was changed.
    pub fn open_answer(&self, key: &str, field: Vec<u8>) -> Result<Vec<u8>, FieldFault> {
        self.open(NO_LINK, ("remembered answer", &hash(key)), field)
    }

    /// What shows later whether the first key is still the same.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn check_value(&self, nonces: Nonces<'_>) -> Result<Vec<u8>, FieldFault> {
        self.seal(NO_LINK, (CHECK, CHECK), Vec::new(), nonces)
    }

    /// Whether a check value was made with a key that is here.
    ///
    /// # Errors
    /// If it was not.
    pub fn check(&self, value: &[u8]) -> Result<(), FieldFault> {
        self.open(NO_LINK, (CHECK, CHECK), value.to_vec()).map(drop)
    }

    /// `names`: what faults call the field, and what it is bound to.
    fn seal(
        &self,
        link: LinkId,
        names: (&'static str, &str),
        plain: Vec<u8>,
        nonces: Nonces<'_>,
    ) -> Result<Vec<u8>, FieldFault> {
        let Some(keys) = self.keys() else {
            return Ok(plain);
        };
        let fault = |problem| FieldFault { link, name: names.0, problem };
        let nonce = nonces().ok_or_else(|| fault(FieldProblem::NoRandomness))?;
        keys.seal(link, names.1, &plain, nonce).map_err(|problem| fault(problem.into()))
    }

    fn open(
        &self,
        link: LinkId,
        names: (&'static str, &str),
        field: Vec<u8>,
    ) -> Result<Vec<u8>, FieldFault> {
        match sealed_with(&field) {
            None => Ok(field),
            Some(number) => self.opened(link, names, number, &field),
        }
    }

    fn opened(
        &self,
        link: LinkId,
        names: (&'static str, &str),
        number: u32,
        field: &[u8],
    ) -> Result<Vec<u8>, FieldFault> {
        let fault = |problem| FieldFault { link, name: names.0, problem };
        let keys = self.keys().ok_or_else(|| fault(FieldProblem::NoKeys(number)))?;
        keys.open(link, names.1, field).map_err(|problem| fault(problem.into()))
    }
}

/// Whoever has to know a password should not find in the store where it leads.
pub const fn is_private(link: &Link) -> bool {
    link.password_hash.is_some()
}

/// Callers choose their keys; the hash bounds their length.
fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const OLD: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
    const NEW: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";

    fn link() -> Link {
        let at = "2026-11-21T14:40:13.500Z";
        let link = serde_json::json!({
            "id": "2N9c", "domain": "s.example", "slug": "hello", "status": 302,
            "destination": "https://www.example.com/", "title": null, "tags": [],
            "notes": "between us", "starts_at": null, "expires_at": null,
            "expired_destination": null, "max_clicks": null, "forward_query": false,
            "forward_path": false, "utm": null, "ios_destination": null,
            "android_destination": null, "rules": [], "preview": null, "disabled": false,
            "keep": false, "external_id": null, "blocked": null, "password_hash": null,
            "password_version": 0, "used_up": false, "version": 3, "created_at": at,
            "updated_at": at, "deleted_at": null, "quarantine_until": null,
        });
        serde_json::from_value(link).expect("a link")
    }

    fn sealing(keys: &str) -> Sealing {
        Sealing::with(Some(SealKeys::read(keys).expect("keys")))
    }

    fn private() -> Link {
        Link { password_hash: Some("$argon2id$".into()), ..link() }
    }

    fn nonces() -> impl Fn() -> Option<[u8; NONCE_BYTES]> {
        let next = Cell::new(0);
        move || {
            next.set(next.get() + 1);
            Some([next.get(); NONCE_BYTES])
        }
    }

    #[test]
    fn what_was_sealed_is_opened_and_what_was_not_is_read() {
        let (keys, none, nonces) = (sealing(OLD), Sealing::default(), nonces());
        for (link, of_record) in [(link(), None), (private(), Some(1))] {
            let sealed = keys.fields(&link, b"\x01record", &nonces).expect("sealed");
            assert_eq!(sealed.keys(), [Some(1), of_record]);
            let again = keys.fields(&link, b"\x01record", &nonces).expect("sealed");
            assert_ne!(sealed.document, again.document, "a nonce each");
            let plain = none.fields(&link, b"\x01record", &nonces).expect("plain");
            assert_eq!(plain.keys(), [None, None]);
            for (opening, fields) in [(&keys, &sealed), (&keys, &plain), (&none, &plain)] {
                assert_eq!(opening.document(link.id, &fields.document), Ok(link.clone()));
                let record = opening.record(link.id, fields.record.clone());
                assert_eq!(record, Ok(b"\x01record".to_vec()));
            }
            let refused = none.document(link.id, &sealed.document).expect_err("no keys");
            let text =
                format!("link of link {} is sealed with key 1, and there are no keys", link.id);
            assert_eq!(StoreError::from(refused), StoreError::Damaged(text));
            assert!(keys.document(LinkId(8), &sealed.document).is_err(), "another link's");
        }
    }

    #[test]
    fn fields_are_current_if_they_would_be_written_so() {
        let (old, nonces) = (sealing(OLD), nonces());
        let both = sealing(&format!("{NEW} {OLD}"));
        for link in [link(), private()] {
            let plain = Sealing::default().fields(&link, b"r", &nonces).expect("plain");
            let first = old.fields(&link, b"r", &nonces).expect("sealed");
            let second = both.fields(&link, b"r", &nonces).expect("sealed");
            let current = |sealing: &Sealing| {
                [&plain, &first, &second].map(|fields| sealing.is_current(&link, fields))
            };
            assert_eq!(current(&Sealing::default()), [true, false, false]);
            assert_eq!(current(&old), [false, true, false]);
            assert_eq!(current(&both), [false, false, true]);
        }
        // Its password was taken away, or given, by hand.
        let mut fields = old.fields(&private(), b"r", &nonces).expect("sealed");
        assert!(!old.is_current(&link(), &fields));
        fields.record = b"r".to_vec();
        assert!(!old.is_current(&private(), &fields));
    }

    #[test]
    fn answers_are_bound_to_the_key_they_are_remembered_under() {
        let (keys, nonces) = (sealing(OLD), nonces());
        let sealed = keys.seal_answer("order-1", b"{}", &nonces).expect("sealed");
        assert_eq!(keys.open_answer("order-1", sealed.clone()), Ok(b"{}".to_vec()));
        let refused = keys.open_answer("order-2", sealed).expect_err("another's");
        assert_eq!(refused.to_string(), "remembered answer: it was changed, or belongs elsewhere");
        assert_eq!(refused.problem(), FieldProblem::Open(OpenFault::Forged));
    }

    #[test]
    fn a_check_value_tells_a_key_from_others() {
        let keys = sealing(OLD);
        let value = keys.check_value(&nonces()).expect("a value");
        assert_eq!(sealed_with(&value), Some(1));
        assert_eq!(keys.check(&value), Ok(()));
        let problem = |text: &str| sealing(text).check(&value).expect_err("refused").problem();
        assert_eq!(problem(NEW), FieldProblem::Open(OpenFault::UnknownKey(1)));
        assert_eq!(problem(&NEW.replace("2:", "1:")), FieldProblem::Open(OpenFault::Forged));
    }

    #[test]
    fn without_randomness_nothing_is_sealed_badly() {
        let refused = sealing(OLD).fields(&link(), b"r", &|| None).expect_err("refused");
        assert!(matches!(StoreError::from(refused), StoreError::Unavailable(_)));
        assert!(Sealing::default().fields(&link(), b"r", &|| None).is_ok());
    }
}
