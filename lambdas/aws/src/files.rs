//! Files for people, in the bucket of raw clicks: [`Files`].

use aws_sdk_s3::primitives::ByteStream;
use waypost_service::seams::{Files, StoreError};

use crate::item::unavailable;
use crate::store::AwsStore;

impl Files for AwsStore {
    async fn put(&self, name: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let call = self.clients.s3.put_object().bucket(&self.names.raw_bucket).key(name);
        let call = call.content_type(content_type).body(ByteStream::from(bytes));
        call.send().await.map(drop).map_err(|error| unavailable(&error))
    }
}
