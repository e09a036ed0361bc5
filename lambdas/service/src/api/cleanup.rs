//! `POST /api/v1/cleanup`: one slice of a cleanup at a time, so that no request takes long. The
//! caller goes on with `next_cursor` until there is none.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;

use super::params::Params;
use super::{Call, answer, body};
use crate::cleanup::{BATCH, Cursor, NoCursor, Options, run as clean};
use crate::links::Host;
use crate::problem::{FieldFault, Problem};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CleanupBody {
    dry_run: bool,
    cursor: Option<String>,
}

pub(super) async fn run<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let CleanupBody { dry_run, cursor } = match call.body {
        [] => CleanupBody::default(),
        body => body::read(body, "{\"dry_run\": true}, and cursor to go on")?,
    };
    let start = match cursor {
        None => Cursor::default(),
        Some(text) => text.parse().map_err(|error: NoCursor| {
            let expected = "next_cursor of the answer before, or none to start again";
            let fault = FieldFault::new("/cursor", error.to_string(), expected);
            Problem::invalid(vec![fault])
        })?,
    };
    let options = Options {
        dry_run,
        per_second_max: call.service.settings.cleanup_per_second_max,
        links_max: Some(BATCH),
        start,
    };
    let report = clean(call.service, &options, call.now, |_| {}).await?;
    answer::json(StatusCode::OK, &report)
}
