//! The SDK's clients, built once for a process.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for an answer. DynamoDB answers in milliseconds; what takes longer is tried anew.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for a call with all its tries: callers of the API wait no longer than 29 s.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// The same for objects, which are larger.
const OBJECT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OBJECT_OPERATION_TIMEOUT: Duration = Duration::from_secs(25);
/// Tries of a call, the first one included.
const ATTEMPTS: u32 = 3;

/// The clients of everything that Waypost uses of AWS.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Tables.
    pub dynamo: aws_sdk_dynamodb::Client,
    /// Keys of the installation.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Raw clicks and exports.
    pub s3: aws_sdk_s3::Client,
    /// Clicks under way, and requests to clean up.
    pub sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// The clients of the account and region that the environment names, or of the endpoint in
    /// `AWS_ENDPOINT_URL`.
    pub async fn from_environment() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .load()
            .await;
        Self::of(&config)
    }

    /// A client of the tables of another region, otherwise the same.
    pub fn dynamo_in(&self, region: &str) -> aws_sdk_dynamodb::Client {
        let config = self.dynamo.config().to_builder().region(Region::new(region.to_owned()));
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// The clients of a configuration.
    pub fn of(config: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(OBJECT_ATTEMPT_TIMEOUT)
            .operation_timeout(OBJECT_OPERATION_TIMEOUT)
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(timeouts)
            // An endpoint of one's own has no names below its own.
            .force_path_style(config.endpoint_url().is_some())
            .build();
        Self {
            dynamo: aws_sdk_dynamodb::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(config),
        }
    }
}
