//! Tables and buckets of one's own, for tests.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use aws_smithy_http_client::Builder;
use waypost_service::seams::StoreError;

use crate::clients::Clients;
use crate::item::{damaged, unavailable};
use crate::schema::{Index, Names, TABLES, Table};

/// The configuration of an endpoint that takes any credentials.
pub async fn config(endpoint_url: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "testing");
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .http_client(Builder::new().build_http())
        .load()
        .await
}

/// Creates all tables and the bucket, as [`TABLES`] has them.
///
/// # Errors
/// If the store refuses.
pub async fn create_all(clients: &Clients, names: &Names) -> Result<(), StoreError> {
    for table in TABLES {
        let name = match table.name {
            "links" => &names.links,
            "control" => &names.control,
            _ => &names.counters,
        };
        create_table(clients, name, table).await?;
    }
    let created = clients.s3.create_bucket().bucket(&names.raw_bucket).send().await;
    created.map(drop).map_err(|error| unavailable(&error))
}

/// Creates a table for an edge, as Spin has it.
///
/// # Errors
/// If the store refuses.
pub async fn create_edge_table(clients: &Clients, name: &str) -> Result<(), StoreError> {
    let request = clients.dynamo.create_table().table_name(name);
    let request = request.billing_mode(BillingMode::PayPerRequest);
    let key = KeySchemaElement::builder().attribute_name("PK").key_type(KeyType::Hash).build();
    let request = request.key_schema(key.map_err(built)?).attribute_definitions(attribute("PK")?);
    request.send().await.map(drop).map_err(|error| unavailable(&error))
}

async fn create_table(clients: &Clients, name: &str, table: Table) -> Result<(), StoreError> {
    let sort_key = table.has_sort_key.then_some("sk");
    let of_indices = table.indices.iter().flat_map(|index| [index.pk, index.sk]);
    let mut attributes: Vec<&str> = ["pk"].into_iter().chain(sort_key).chain(of_indices).collect();
    attributes.sort_unstable();
    attributes.dedup();
    let definitions = attributes.into_iter().map(attribute).collect::<Result<Vec<_>, _>>()?;
    let indices = table.indices.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let stream = table.has_stream.then(|| {
        let view = StreamViewType::NewAndOldImages;
        StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()
    });
    let request = clients
        .dynamo
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(definitions))
        .set_key_schema(Some(keys("pk", sort_key)?))
        .set_global_secondary_indexes(Some(indices).filter(|indices| !indices.is_empty()))
        .set_stream_specification(stream.transpose().map_err(built)?);
    request.send().await.map(drop).map_err(|error| unavailable(&error))
}

fn attribute(name: &str) -> Result<AttributeDefinition, StoreError> {
    let text = ScalarAttributeType::S;
    let built_attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(text);
    built_attribute.build().map_err(built)
}

fn keys(pk: &str, sk: Option<&str>) -> Result<Vec<KeySchemaElement>, StoreError> {
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(built)
    };
    let sort = sk.map(|name| key(name, KeyType::Range));
    [Some(key(pk, KeyType::Hash)), sort].into_iter().flatten().collect()
}

fn index(index: &Index) -> Result<GlobalSecondaryIndex, StoreError> {
    let holds: Vec<String> = index.holds.iter().map(ToString::to_string).collect();
    let kind = if holds.is_empty() { ProjectionType::KeysOnly } else { ProjectionType::Include };
    let holds = Some(holds).filter(|holds| !holds.is_empty());
    let projection =
        Projection::builder().projection_type(kind).set_non_key_attributes(holds).build();
    GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(keys(index.pk, Some(index.sk))?))
        .projection(projection)
        .build()
        .map_err(built)
}

fn built(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    damaged(error.to_string())
}

/// The attributes of a queue whose messages are hidden for so long once they are received.
pub fn visibility_seconds(
    seconds: u32,
) -> std::collections::HashMap<aws_sdk_sqs::types::QueueAttributeName, String> {
    let name = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
    std::collections::HashMap::from([(name, seconds.to_string())])
}
