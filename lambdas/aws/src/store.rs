//! The store itself: clients, and the names of tables. Each seam is implemented on it in a module
//! of its own.

use crate::clients::Clients;
use crate::schema::Names;

/// Everything the control plane keeps on AWS. Clones share connections.
#[derive(Clone, Debug)]
pub struct AwsStore {
    /// How AWS is called.
    pub clients: Clients,
    /// What is called.
    pub names: Names,
}

impl AwsStore {
    /// A store over tables that exist.
    pub const fn new(clients: Clients, names: Names) -> Self {
        Self { clients, names }
    }
}
