//! The store itself: clients, and the names of tables. Each seam is implemented on it in a module
//! of its own.

use waypost_service::seal::SealKeys;
use waypost_service::seal::fields::Sealing;

use crate::clients::Clients;
use crate::schema::Names;

/// Everything the control plane keeps on AWS. Clones share connections.
#[derive(Clone, Debug)]
pub struct AwsStore {
    /// How AWS is called.
    pub clients: Clients,
    /// What is called.
    pub names: Names,
    /// What links are sealed with at rest.
    pub sealing: Sealing,
}

impl AwsStore {
    /// A store over tables that exist, which seals nothing.
    pub fn new(clients: Clients, names: Names) -> Self {
        Self { clients, names, sealing: Sealing::default() }
    }

    /// The same, which seals with these keys, if there are any.
    #[must_use]
    pub fn sealed_with(self, keys: Option<SealKeys>) -> Self {
        Self { sealing: Sealing::with(keys), ..self }
    }
}
