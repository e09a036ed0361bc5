//! `POST /api/v1/stats/recount`: counts closed hours again, by the rules of today. At most a day at
//! a time, so that no request takes long.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use waypost_wire::time::Timestamp;

use super::params::Params;
use super::{Call, answer, body};
use crate::counting::close::{Recounted, recount_hour};
use crate::counting::window::Span;
use crate::links::Host;
use crate::problem::{FieldFault, Problem};
use crate::time::{self, rfc3339};

/// Most hours of a call.
const HOURS_MAX: i64 = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecountBody {
    #[serde(with = "rfc3339")]
    from: Timestamp,
    #[serde(with = "rfc3339")]
    until: Timestamp,
}

/// What became of the hours of a span.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RecountView {
    #[serde(with = "rfc3339")]
    from: Timestamp,
    #[serde(with = "rfc3339")]
    until: Timestamp,
    hours: i64,
    changed_windows: usize,
    gone_hours: u64,
    not_possible_hours: u64,
}

pub(super) async fn run<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let expected = "{\"from\": \"2026-11-20T00:00:00Z\", \"until\": \"2026-11-21T00:00:00Z\"}";
    let body: RecountBody = body::read(call.body, expected)?;
    let mut view = span(&body, call.now).map_err(|fault| Problem::invalid(vec![fault]))?;
    for hour in 0..view.hours {
        let hour = view.from.plus_ms(hour * Span::Hour.ms());
        match recount_hour(call.service.host.counters(), hour, call.now).await? {
            Recounted::Gone => view.gone_hours += 1,
            Recounted::NotPossible => view.not_possible_hours += 1,
            Recounted::Recounted { changed } => view.changed_windows += changed,
        }
    }
    answer::json(StatusCode::OK, &view)
}

/// The span asked for, widened to whole hours, with nothing counted yet.
fn span(body: &RecountBody, now: Timestamp) -> Result<RecountView, FieldFault> {
    if body.until <= body.from {
        let detail = format!("is not before until: {}", time::format(body.until));
        return Err(FieldFault::new("/from", detail, "a time before until"));
    }
    if body.until > now {
        let detail = format!("is in the future: it is {}", time::format(now));
        return Err(FieldFault::new("/until", detail, "a time that is over"));
    }
    let from = Span::Hour.start(body.from);
    let until = Span::Hour.start(body.until.plus_ms(Span::Hour.ms() - 1));
    let hours = (until.0 - from.0) / Span::Hour.ms();
    if hours > HOURS_MAX {
        let detail = format!("is {hours} full hours of UTC after from");
        let expected = format!("at most {HOURS_MAX} full hours after from, and more calls");
        return Err(FieldFault::new("/until", detail, expected));
    }
    let (changed_windows, gone_hours, not_possible_hours) = (0, 0, 0);
    Ok(RecountView { from, until, hours, changed_windows, gone_hours, not_possible_hours })
}
