use waypost_service::seal::SealKeys;

use super::parse::Parser;
use super::{SharedStore, StoreSettings};
use crate::keys::Keys;

impl Parser<'_> {
    /// Where links and numbers are kept. All that a shared store lacks is told at once.
    pub(super) fn store(&mut self) -> StoreSettings {
        match self.one_of("store", &[("sqlite", false), ("dynamodb", true)], false) {
            false => StoreSettings::Sqlite,
            true => self.shared().map_or(StoreSettings::Sqlite, StoreSettings::DynamoDb),
        }
    }

    fn shared(&mut self) -> Option<Box<SharedStore>> {
        let keys = self.shared_keys();
        let [links, control, counters, bucket, queue] =
            ["links_table", "control_table", "counters_table", "raw_bucket", "clicks_queue_url"]
                .map(|key| self.needed(key));
        let seal_keys = self.seal_keys();
        let cleanup_queue_url = self.raw("cleanup_queue_url").map(|raw| raw.text);
        Some(Box::new(SharedStore {
            links_table: links?,
            control_table: control?,
            counters_table: counters?,
            raw_bucket: bucket?,
            clicks_queue_url: queue?,
            cleanup_queue_url,
            keys: keys?,
            seal_keys,
        }))
    }

    fn shared_keys(&mut self) -> Option<Keys> {
        self.needed("keys")?;
        let raw = self.raw("keys")?;
        // Says nothing of the value: faults are printed.
        let keys = Keys::read(&raw.text);
        keys.map_err(|fault| self.fault(&raw.origin, "these are no keys", &fault.to_string())).ok()
    }

    fn seal_keys(&mut self) -> Option<SealKeys> {
        let raw = self.raw("seal_keys")?;
        let keys = SealKeys::read(&raw.text);
        keys.map_err(|fault| self.fault(&raw.origin, "these are no keys", &fault.to_string())).ok()
    }

    fn needed(&mut self, key: &str) -> Option<String> {
        let value = self.raw(key).map(|raw| raw.text.trim().to_owned());
        if value.is_none() {
            self.fault(key, "it is missing", "a value, as store is dynamodb");
        }
        value
    }
}
