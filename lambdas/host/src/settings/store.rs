use std::path::Path;

use waypost_service::seal::{SealKeys, SealKeysFault};

use super::parse::Parser;
use super::{SharedStore, StoreSettings};
use crate::key_file;
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
        let cleanup_queue_url = self.raw("cleanup_queue_url").map(|raw| raw.text);
        Some(Box::new(SharedStore {
            links_table: links?,
            control_table: control?,
            counters_table: counters?,
            raw_bucket: bucket?,
            clicks_queue_url: queue?,
            cleanup_queue_url,
            keys: keys?,
        }))
    }

    fn shared_keys(&mut self) -> Option<Keys> {
        self.needed("keys")?;
        let raw = self.raw("keys")?;
        // Says nothing of the value: faults are printed.
        let keys = Keys::read(&raw.text);
        keys.map_err(|fault| self.fault(&raw.origin, "these are no keys", &fault.to_string())).ok()
    }

    /// What links are sealed with. Faults say nothing of the keys.
    pub(super) fn seal_keys(&mut self) -> Option<SealKeys> {
        match (self.raw("seal_keys"), self.raw("seal_keys_file")) {
            (None, None) => None,
            (Some(raw), None) => {
                let keys = SealKeys::read(&raw.text);
                let fault = |fault: SealKeysFault| fault.to_string();
                keys.map_err(|keys| self.fault(&raw.origin, "these are no keys", &fault(keys))).ok()
            }
            (None, Some(file)) => {
                let keys = key_file::keys(Path::new(file.text.trim()));
                let expected = "a file with keys as NUMBER:HEX, one a line, the one to seal with \
                                first; `waypost seal-keys new FILE` makes one";
                keys.map_err(|fault| self.fault(&file.origin, fault, expected)).ok()
            }
            (Some(raw), Some(file)) => {
                let problem = format!("{} is set as well", raw.origin);
                self.fault(&file.origin, problem, "keys in one place");
                None
            }
        }
    }

    fn needed(&mut self, key: &str) -> Option<String> {
        let value = self.raw(key).map(|raw| raw.text.trim().to_owned());
        if value.is_none() {
            self.fault(key, "it is missing", "a value, as store is dynamodb");
        }
        value
    }
}
