//! Calls that go wrong, for tests: not sent at all, done without anybody hearing of it, or met by
//! another transaction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::clients::Clients;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not sent.
    Before,
    /// It is done, but the answer is lost.
    After,
    /// If it is a transaction, it meets another one: nothing is done. Other calls are throttled,
    /// at their first try.
    Conflict,
}

/// Counts calls, and lets some of them go wrong. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The operation of each call.
    calls: Vec<String>,
    troubles: Vec<(usize, Trouble)>,
    met: usize,
}

/// The number of a call, from 0.
#[derive(Clone, Copy, Debug)]
struct Number(usize);

impl Storable for Number {
    type Storer = StoreReplace<Self>;
}

/// A call whose answer is replaced.
#[derive(Clone, Copy, Debug)]
struct Replaced(&'static str);

impl Storable for Replaced {
    type Storer = StoreReplace<Self>;
}

const TARGET: &str = "x-amz-target";
const TRANSACTION: &str = "TransactWriteItems";
/// Does nothing.
const HARMLESS: &str = "DynamoDB_20120810.DescribeLimits";
const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "message":"canceled","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}"#;
const THROTTLE: &str = r#"{
    "__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message":"throttled"}"#;

impl Faults {
    /// The same clients, with all their calls counted.
    pub fn around(&self, clients: &Clients) -> Clients {
        let dynamo = clients.dynamo.config().to_builder().interceptor(self.clone()).build();
        let s3 = clients.s3.config().to_builder().interceptor(self.clone()).build();
        Clients {
            dynamo: aws_sdk_dynamodb::Client::from_conf(dynamo),
            s3: aws_sdk_s3::Client::from_conf(s3),
            ..clients.clone()
        }
    }

    /// Counts from 0 again, and lets these calls go wrong.
    pub fn begin(&self, troubles: Vec<(usize, Trouble)>) {
        *self.state() = State { troubles, ..State::default() };
    }

    /// The operations of all calls since the last beginning.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// How many troubles were met.
    pub fn met(&self) -> usize {
        self.state().met
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meets(&self, cfg: &ConfigBag, trouble: Trouble) -> bool {
        let number = cfg.load::<Number>().map_or(usize::MAX, |number| number.0);
        let state = &mut *self.state();
        let before = state.troubles.len();
        state.troubles.retain(|planned| *planned != (number, trouble));
        let is_met = state.troubles.len() < before;
        state.met += usize::from(is_met);
        is_met
    }
}

impl Intercept for Faults {
    fn name(&self) -> &'static str {
        "Faults"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let state = &mut *self.state();
        cfg.interceptor_state().store_put(Number(state.calls.len()));
        state.calls.push(String::new());
        Ok(())
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let operation = match request.headers().get(TARGET) {
            Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            None => format!("{}Object", request.method()),
        };
        let number = cfg.load::<Number>().map_or(usize::MAX, |number| number.0);
        if let Some(call) = self.state().calls.get_mut(number) {
            *call = operation;
        }
        match self.meets(cfg, Trouble::Before) {
            true => Err("it is not sent".into()),
            false => Ok(()),
        }
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        let Some(target) = headers.get(TARGET) else {
            return Ok(());
        };
        let answer = if target.ends_with(TRANSACTION) { CONFLICT } else { THROTTLE };
        if self.meets(cfg, Trouble::Conflict) {
            headers.insert(TARGET, HARMLESS);
            cfg.interceptor_state().store_put(Replaced(answer));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Replaced(answer)) = cfg.load::<Replaced>().copied() {
            let response = context.response_mut();
            *response.status_mut() = 400_u16.try_into()?;
            *response.body_mut() = SdkBody::from(answer);
            cfg.interceptor_state().unset::<Replaced>();
        }
        Ok(())
    }

    fn modify_before_completion(
        &self,
        _: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match self.meets(cfg, Trouble::After) {
            true => Err("the answer is lost".into()),
            false => Ok(()),
        }
    }
}
