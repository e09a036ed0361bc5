//! Calls of AWS that fail in a way that a test asks for: what an emulator that always answers never
//! shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use waypost_aws::clients::Clients;

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, and answered.
    Answered,
    /// It is done, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before it is done.
    RequestLost,
    /// It is not done; the answer is an error of this code.
    Refused(&'static str),
    /// It is not done; the answer is this.
    Says(serde_json::Value),
    /// A transaction that is not done, with a reason for each of its writes.
    Cancelled(Vec<&'static str>),
}

/// What is going to fail, and what was called.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// Operations and their fates: a call takes the first that is left of its operation.
    fates: VecDeque<(String, Fate)>,
    calls: Vec<String>,
}

impl Faults {
    /// Clients of an endpoint, whose calls have these faults. They try three times, and hardly
    /// wait in between.
    pub async fn clients(&self, url: &str) -> Clients {
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
        let client = SharedHttpClient::new(Faulty {
            faults: self.clone(),
            inner: Builder::new().build_http(),
        });
        let config = waypost_aws::testing::config(url).await.into_builder();
        Clients::of(&config.http_client(client).retry_config(retries).build())
    }

    /// The next calls of an operation have these fates.
    pub fn plan(&self, operation: &str, fates: impl IntoIterator<Item = Fate>) {
        let fates = fates.into_iter().map(|fate| (operation.to_owned(), fate));
        self.locked(|plan| plan.fates.extend(fates));
    }

    /// The operations that were called since this was last asked.
    ///
    /// # Panics
    /// If something planned has not happened.
    pub fn calls(&self) -> Vec<String> {
        self.locked(|plan| {
            assert_eq!(plan.fates, [], "not everything planned has happened");
            std::mem::take(&mut plan.calls)
        })
    }

    /// Nothing fails from here on.
    pub fn forget(&self) {
        self.locked(|plan| *plan = Plan::default());
    }

    fn fate(&self, operation: &str) -> Fate {
        self.locked(|plan| {
            plan.calls.push(operation.to_owned());
            let planned = plan.fates.iter().position(|(planned, _)| planned == operation);
            let fate = planned.and_then(|index| plan.fates.remove(index));
            fate.map_or(Fate::Answered, |(_, fate)| fate)
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct Faulty {
    faults: Faults,
    inner: SharedHttpClient,
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpClient for Faulty {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { faults: self.faults.clone(), inner })
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // `DynamoDB_20120810.PutItem`; S3 has methods instead.
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let operation = target.unwrap_or_else(|| format!("S3.{}", request.method()));
        let operation = operation.rsplit('.').next().unwrap_or_default();
        let broken = || ConnectorError::io("the connection is broken".into());
        match self.faults.fate(operation) {
            Fate::Answered => self.inner.call(request),
            Fate::RequestLost => HttpConnectorFuture::ready(Err(broken())),
            Fate::AnswerLost => {
                let done = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    done.await.map(drop)?;
                    Err(broken())
                })
            }
            Fate::Says(body) => answer(200, &body),
            Fate::Refused(code) => refusal(&serde_json::json!({
                "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
                "message": "planned by a test",
            })),
            Fate::Cancelled(reasons) => {
                let reason = |code: &&str| serde_json::json!({ "Code": code });
                refusal(&serde_json::json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                    "message": "planned by a test",
                    "CancellationReasons": reasons.iter().map(reason).collect::<Vec<_>>(),
                }))
            }
        }
    }
}

fn refusal(body: &serde_json::Value) -> HttpConnectorFuture {
    answer(400, body)
}

fn answer(status: u16, body: &serde_json::Value) -> HttpConnectorFuture {
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = Response::new(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    HttpConnectorFuture::ready(Ok(response))
}
