//! What answering edges needs: [`Gate`].

use waypost_service::edge::Gate;
use waypost_service::limits::attempts::admits;
use waypost_service::seams::StoreError;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::item::{key, unavailable};
use crate::links::can_be_key;
use crate::links::row::record;
use crate::store::AwsStore;

impl Gate for AwsStore {
    type Record = Vec<u8>;

    /// As it is now: the origin's word is the last one.
    async fn record(&self, pk: &str, _now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        if !can_be_key(pk) {
            return Ok(None);
        }
        let call = self.clients.dynamo.get_item().table_name(&self.names.links);
        let call = call.set_key(Some(key(pk))).consistent_read(true);
        let call = call
            .projection_expression("#record, link_id")
            .expression_attribute_names("#record", "record");
        let answer = call.send().await.map_err(|error| unavailable(&error))?;
        answer.item.map(|item| record(&item, &self.sealing)).transpose()
    }

    async fn admits_attempt(
        &self,
        link: &LinkKey,
        client_ip: Option<u128>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        admits(self, link.as_str(), client_ip, now).await
    }
}
