//! `/api/v1/stats`, `/api/v1/stats/integrity` and `/api/v1/links/{slug}/stats`.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::links::slug_key;
use super::params::Params;
use super::{Call, answer};
use crate::links::Host;
use crate::problem::Problem;
use crate::stats::{self, Scope, StatsQuery};

pub(super) async fn link<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let service = call.service;
    let query = StatsQuery::parse(call.parts.uri.query(), Scope::Link, call.now)?;
    let domain = query.domain.as_deref().unwrap_or(&service.rules.default_domain);
    let link = service.read(&slug_key(call, domain)?).await?.link;
    let fold_under = service.settings.fold_under;
    let counters = service.host.counters();
    let statistics = stats::link(counters, &service.open, &query, &link, fold_under).await?;
    answer::json(StatusCode::OK, &statistics)
}

pub(super) async fn site<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let service = call.service;
    let query = StatsQuery::parse(call.parts.uri.query(), Scope::Site, call.now)?;
    let fold_under = service.settings.fold_under;
    let counters = service.host.counters();
    let statistics = stats::site(counters, &service.open, &query, fold_under).await?;
    answer::json(StatusCode::OK, &statistics)
}

pub(super) async fn integrity<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let account = stats::integrity(call.service.host.counters(), call.now).await?;
    answer::json(StatusCode::OK, &account)
}
