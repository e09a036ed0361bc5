//! Calls of AWS that fail in a way that a test asks for: what an emulator that always answers never
//! shows.
//!
//! The SDK makes up to three requests for one call. A [`Fate`] is that of a request, planned by the
//! operation; the SDK may make up for it. A [`Trouble`] is that of a call, planned by its number; the
//! SDK does not.

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

/// What becomes of a request.
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

/// What goes wrong with a call, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not sent.
    Before,
    /// It is done, but the answer is lost.
    After,
    /// If it is a transaction, it meets another one: nothing is done. Other calls of tables are
    /// throttled, once.
    Conflict,
}

/// What is going to fail, and what was called. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// Operations and their fates: a request takes the first that is left of its operation.
    fates: VecDeque<(String, Fate)>,
    /// Numbers of calls, from 0, and what goes wrong with them.
    troubles: Vec<(usize, Trouble)>,
    /// Troubles that were met.
    met: usize,
    /// The operation of each request.
    sent: Vec<String>,
    /// What the SDK calls each call, and its operation.
    calls: Vec<(String, String)>,
}

/// What is done with a request.
enum Done {
    As(Fate),
    Not,
    Unheard,
}

impl Faults {
    /// Clients of an endpoint, whose calls have these faults. They try three times, and hardly
    /// wait in between.
    pub async fn clients(&self, url: &str) -> Clients {
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
        let inner = Builder::new().build_http();
        let client = SharedHttpClient::new(Faulty { faults: self.clone(), inner });
        let config = waypost_aws::testing::config(url).await.into_builder();
        Clients::of(&config.http_client(client).retry_config(retries).build())
    }

    /// The next requests of an operation have these fates.
    pub fn plan(&self, operation: &str, fates: impl IntoIterator<Item = Fate>) {
        let fates = fates.into_iter().map(|fate| (operation.to_owned(), fate));
        self.locked(|plan| plan.fates.extend(fates));
    }

    /// The operations of all requests since this was last asked.
    ///
    /// # Panics
    /// If something planned by operation has not happened.
    pub fn sent(&self) -> Vec<String> {
        self.locked(|plan| {
            assert_eq!(plan.fates, [], "not everything planned has happened");
            std::mem::take(&mut plan.sent)
        })
    }

    /// Forgets what was, counts calls from 0 again, and lets these go wrong.
    pub fn begin(&self, troubles: Vec<(usize, Trouble)>) {
        self.locked(|plan| *plan = Plan { troubles, ..Plan::default() });
    }

    /// The operations of all calls since the last beginning.
    pub fn calls(&self) -> Vec<String> {
        self.locked(|plan| plan.calls.iter().map(|(_, operation)| operation.clone()).collect())
    }

    /// How many troubles were met since the last beginning.
    pub fn met(&self) -> usize {
        self.locked(|plan| plan.met)
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plan {
    /// Notes a request; answers what becomes of it.
    fn meet(&mut self, request: &HttpRequest) -> Done {
        // `DynamoDB_20120810.PutItem`; S3 has methods instead.
        let target = request.headers().get("x-amz-target");
        let operation = match target {
            Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            None => format!("{}Object", request.method()),
        };
        let call = request.headers().get("amz-sdk-invocation-id").unwrap_or_default();
        let known = self.calls.iter().position(|(id, _)| id == call);
        let number = known.unwrap_or(self.calls.len());
        if known.is_none() {
            self.calls.push((call.to_owned(), operation.clone()));
        }
        self.sent.push(operation.clone());
        if self.takes(number, Trouble::Before) {
            return Done::Not;
        }
        if target.is_some() && self.takes(number, Trouble::Conflict) {
            return Done::As(match operation.as_str() {
                "TransactWriteItems" => Fate::Cancelled(vec!["None", "TransactionConflict"]),
                _ => Fate::Refused("ProvisionedThroughputExceededException"),
            });
        }
        if self.takes(number, Trouble::After) {
            return Done::Unheard;
        }
        let planned = self.fates.iter().position(|(planned, _)| *planned == operation);
        let fate = planned.and_then(|index| self.fates.remove(index));
        Done::As(fate.map_or(Fate::Answered, |(_, fate)| fate))
    }

    fn takes(&mut self, number: usize, trouble: Trouble) -> bool {
        let before = self.troubles.len();
        self.troubles.retain(|planned| *planned != (number, trouble));
        let is_met = self.troubles.len() < before;
        self.met += usize::from(is_met);
        is_met
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
        let broken = || ConnectorError::io("the connection is broken".into());
        // Whoever called is to blame, so the SDK does not try again.
        let ended = || ConnectorError::user("nobody hears of it".into());
        let fate = match self.faults.locked(|plan| plan.meet(&request)) {
            Done::As(fate) => fate,
            Done::Not => return HttpConnectorFuture::ready(Err(ended())),
            Done::Unheard => return unheard(self.inner.call(request), ended()),
        };
        match fate {
            Fate::Answered => self.inner.call(request),
            Fate::RequestLost => HttpConnectorFuture::ready(Err(broken())),
            Fate::AnswerLost => unheard(self.inner.call(request), broken()),
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

/// Waits until it is done, and tells nobody.
fn unheard(done: HttpConnectorFuture, instead: ConnectorError) -> HttpConnectorFuture {
    HttpConnectorFuture::new(async move {
        done.await.map(drop)?;
        Err(instead)
    })
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
