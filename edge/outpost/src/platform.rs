//! What an edge asks of its host.

use waypost_wire::time::Timestamp;

use crate::Failed;

/// The host's I/O. Every wait has a bound, and the host keeps it.
pub trait Platform {
    /// The value under a key of the store nearby; `None` if the store says there is none. The
    /// store's own caches may answer with what is `age_max_seconds` old.
    ///
    /// # Errors
    /// [`Failed`] if the store did not answer in time.
    async fn read(&self, key: &str, age_max_seconds: u32) -> Result<Option<Vec<u8>>, Failed>;

    /// Posts a request; any status is an answer.
    ///
    /// # Errors
    /// [`Failed`] if there was no whole answer in [`HttpRequest::timeout_ms`].
    async fn post(&self, request: &HttpRequest) -> Result<HttpAnswer, Failed>;

    /// Whether one more miss may be asked of the origin on behalf of this visitor. Hosts that
    /// limit nothing say yes.
    async fn admits_miss(&self) -> bool;

    /// Waits until [`Self::landed`] is called for this flight, or for as long as a read may take.
    async fn wait(&self, flight: u32);

    /// Wakes whoever waits for this flight.
    fn landed(&self, flight: u32);

    /// Waits.
    async fn pause(&self, ms: u32);

    /// The time.
    fn now(&self) -> Timestamp;
}

/// A POST request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to.
    pub url: String,
    /// Lower-case names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long an answer is waited for.
    pub timeout_ms: u32,
}

/// The answer to an [`HttpRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The header [`waypost_wire::origin::sign::HEADER`], if there is one.
    pub signature: Option<String>,
    /// The whole body; hosts refuse more than they can hold.
    pub body: Vec<u8>,
}
