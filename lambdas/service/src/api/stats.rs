//! `/api/v1/stats`, `/api/v1/stats/integrity` and `/api/v1/links/{slug}/stats`.

use bytes::Bytes;
use http::Response;

use super::Call;
use crate::links::Host;
use crate::problem::Problem;

#[expect(clippy::unused_async, reason = "will read the counters")]
pub(super) async fn link<H: Host>(_call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Err(Problem::internal("statistics are not wired"))
}

#[expect(clippy::unused_async, reason = "will read the counters")]
pub(super) async fn site<H: Host>(_call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Err(Problem::internal("statistics are not wired"))
}

#[expect(clippy::unused_async, reason = "will read the counters")]
pub(super) async fn integrity<H: Host>(_call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Err(Problem::internal("statistics are not wired"))
}
