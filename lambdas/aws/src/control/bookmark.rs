//! Where passes over edge stores go on: [`Bookmarks`].

use waypost_service::publish::Bookmarks;
use waypost_service::seams::StoreError;

use crate::calls::Write;
use crate::item::{Fields, Item, pair, text};
use crate::store::AwsStore;

fn item_key(store: &str) -> Item {
    pair(format!("bookmark#{store}"), "place")
}

impl Bookmarks for AwsStore {
    async fn load(&self, store: &str) -> Result<Option<String>, StoreError> {
        let found = self.get(&self.names.control, item_key(store)).await?;
        found.map(|item| item.text("bookmark").map(str::to_owned)).transpose()
    }

    async fn save(&self, store: &str, bookmark: Option<&str>) -> Result<(), StoreError> {
        let key = item_key(store);
        let control = &self.names.control;
        let write = match bookmark {
            Some(bookmark) => {
                let mut item = key;
                item.insert("bookmark".to_owned(), text(bookmark));
                Write::put(control, item)
            }
            None => Write::delete(control, key),
        };
        // Without a condition or a transaction, nothing is refused and nothing meets another.
        write.alone(self).await.map(drop)
    }
}
