use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use waypost_wire::time::Timestamp;

use super::lock;
use crate::keys::{ApiKey, KeyStore};
use crate::seams::StoreError;

/// API keys in memory.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Vec<ApiKey>>, AtomicUsize);

impl MemoryKeys {
    /// How often a key was looked up.
    pub fn lookups(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl KeyStore for MemoryKeys {
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut keys = lock(&self.0);
        if keys.iter().any(|other| other.id == key.id || other.hash == key.hash) {
            return Err(StoreError::Damaged(format!("key {} exists", key.id)));
        }
        keys.push(key.clone());
        Ok(())
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(lock(&self.0).iter().find(|key| key.hash == *hash).cloned())
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut keys = lock(&self.0).clone();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(keys)
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut keys = lock(&self.0);
        let found = keys.iter_mut().find(|key| key.id == id && key.revoked_at.is_none());
        let Some(key) = found else { return Ok(false) };
        key.revoked_at = Some(now);
        Ok(true)
    }

    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        if let Some(key) = lock(&self.0).iter_mut().find(|key| key.id == id) {
            key.last_used_at = key.last_used_at.max(Some(now));
        }
        Ok(())
    }
}
