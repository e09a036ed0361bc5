//! `/api/v1/links` and what is below it.

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use waypost_wire::key::{LinkKey, SLUG_MAX_BYTES};

use super::answer::{self, List};
use super::conditional::{etag, expected, has_version};
use super::params::Params;
use super::{Call, body};
use crate::ambient::Draws;
use crate::links::Host;
use crate::model::{Block, Link, LinkState};
use crate::problem::{Kind, Problem};
use crate::seams::{ListQuery, Sort};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 100;
/// Shorter searches would match nearly everything, and have no index.
const Q_MIN_CHARS: usize = 3;
const TEXT_MAX_CHARS: usize = 200;
/// Longest `Idempotency-Key`.
const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;

/// What stands for itself in a path segment or a query value (RFC 3986 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) async fn create<H: Host>(
    call: &Call<'_, H>,
    mut draws: Draws,
) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let key = idempotency_key(&call.parts.headers)?;
    let scoped = key.map(|key| format!("{}:{key}", call.principal.key_id));
    let made = call.service.create(call.body, scoped, &mut draws, call.now).await?;
    let escaped = |text| utf8_percent_encode(text, ESCAPED);
    let location =
        format!("/api/v1/links/{}?domain={}", escaped(&made.slug), escaped(&made.domain));
    let response = answer::json_bytes(StatusCode::CREATED, made.answer);
    let response = answer::with(response, LOCATION, location)?;
    answer::with(response, ETAG, etag(made.version))
}

pub(super) async fn read<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let stored = call.service.read(&link_key(call)?).await?;
    let version = stored.link.version;
    if has_version(&call.parts.headers, version) {
        return answer::with(answer::empty(StatusCode::NOT_MODIFIED), ETAG, etag(version));
    }
    one(call, &stored.link).await
}

pub(super) async fn update<H: Host>(
    call: &Call<'_, H>,
    mut draws: Draws,
) -> Result<Response<Bytes>, Problem> {
    let expected = expected(&call.parts.headers);
    let key = link_key(call)?;
    let link = call.service.update(&key, call.body, &expected, &mut draws, call.now).await?;
    one(call, &link).await
}

pub(super) async fn delete<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let expected = expected(&call.parts.headers);
    call.service.delete(&link_key(call)?, &expected, call.now).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// What a block says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    reason: Block,
}

pub(super) async fn block<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let BlockBody { reason } = body::read(call.body, "{\"reason\": \"abuse\"} or \"legal\"")?;
    set_block(call, Some(reason)).await
}

pub(super) async fn unblock<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    set_block(call, None).await
}

async fn set_block<H: Host>(
    call: &Call<'_, H>,
    reason: Option<Block>,
) -> Result<Response<Bytes>, Problem> {
    let expected = expected(&call.parts.headers);
    let link = call.service.block(&link_key(call)?, reason, &expected, call.now).await?;
    one(call, &link).await
}

pub(super) async fn list<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let query = list_query(call.parts.uri.query())?;
    let page = call.service.list(&query, call.now).await?;
    let view = |(link, clicks)| call.service.view(link, clicks, call.now);
    let links = page.links.iter().map(|(link, clicks)| (link, *clicks));
    let list = List { data: links.map(view).collect(), next_cursor: page.next_cursor };
    answer::json(StatusCode::OK, &list)
}

/// A link with its entity tag.
async fn one<H: Host>(call: &Call<'_, H>, link: &Link) -> Result<Response<Bytes>, Problem> {
    let clicks = call.service.clicks(&[link.id]).await?.into_iter().sum();
    let response = answer::json(StatusCode::OK, &call.service.view(link, clicks, call.now))?;
    answer::with(response, ETAG, etag(link.version))
}

/// The link that a path and `?domain=` name.
pub(super) fn link_key<H: Host>(call: &Call<'_, H>) -> Result<LinkKey, Problem> {
    let params = Params::parse(call.parts.uri.query(), &["domain"]);
    let domain = params.text("domain").unwrap_or(&call.service.rules.default_domain).to_owned();
    params.finish()?;
    slug_key(call, &domain)
}

/// The link that a path names on `domain`.
pub(super) fn slug_key<H: Host>(call: &Call<'_, H>, domain: &str) -> Result<LinkKey, Problem> {
    if call.name.len() > SLUG_MAX_BYTES {
        let detail = format!("no link has a slug of more than {SLUG_MAX_BYTES} bytes");
        return Err(Problem::new(Kind::NotFound, detail));
    }
    Ok(call.service.key(domain, &call.name))
}

fn list_query(query: Option<&str>) -> Result<ListQuery, Problem> {
    let known = ["limit", "cursor", "q", "tag", "domain", "state", "sort"];
    let mut params = Params::parse(query, &known);
    let limit = params.value("limit", "1 to 100", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    let state =
        params.value("state", "active, blocked, deleted, disabled, expired or scheduled", state);
    let sort = params.value("sort", "created_at, -created_at or -updated_at", sort);
    let q = params.value("q", "3 to 200 characters", |text| {
        let chars = text.chars().count();
        (Q_MIN_CHARS..=TEXT_MAX_CHARS).contains(&chars).then(|| text.to_owned())
    });
    let mut filled = |name| {
        params.value(name, "1 to 200 characters", |text| {
            (1..=TEXT_MAX_CHARS).contains(&text.chars().count()).then(|| text.to_owned())
        })
    };
    let (cursor, tag, domain) = (filled("cursor"), filled("tag"), filled("domain"));
    params.finish()?;
    Ok(ListQuery {
        limit: limit.unwrap_or(LIMIT_DEFAULT),
        cursor,
        q,
        tag,
        domain: domain.map(|domain| domain.to_ascii_lowercase()),
        state,
        sort: sort.unwrap_or_default(),
    })
}

fn state(text: &str) -> Option<LinkState> {
    LinkState::deserialize(StrDeserializer::<ValueError>::new(text)).ok()
}

fn sort(text: &str) -> Option<Sort> {
    match text {
        "created_at" => Some(Sort::CreatedAscending),
        "-created_at" => Some(Sort::CreatedDescending),
        "-updated_at" => Some(Sort::UpdatedDescending),
        _ => None,
    }
}

/// The caller's name for a creation that must happen once.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        visible && (1..=IDEMPOTENCY_KEY_MAX_CHARS).contains(&text.len())
    });
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(Problem::new(
            Kind::InvalidParameter,
            "the Idempotency-Key header must be there once, with 1 to 255 visible ASCII characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::FieldFault;

    #[test]
    fn lists_have_defaults() {
        let expected = ListQuery { limit: 50, ..ListQuery::default() };
        assert_eq!(list_query(None), Ok(expected));
    }

    #[test]
    fn every_filter_is_read() {
        let query = "limit=7&cursor=abc&q=b%C3%BC%20c&tag=x%2Cy&domain=S.Example&state=expired&sort=-updated_at";
        let expected = ListQuery {
            limit: 7,
            cursor: Some("abc".into()),
            q: Some("bü c".into()),
            tag: Some("x,y".into()),
            domain: Some("s.example".into()),
            state: Some(LinkState::Expired),
            sort: Sort::UpdatedDescending,
        };
        assert_eq!(list_query(Some(query)), Ok(expected));
    }

    #[test]
    fn filters_at_fault_are_all_named() {
        let query = "limit=0&state=Active&sort=clicks&q=ab&tag=&domain=&cursor=";
        let problem = list_query(Some(query)).unwrap_err();
        let pointers: Vec<_> = problem.errors.iter().map(|fault| fault.pointer.as_str()).collect();
        let all = ["/limit", "/state", "/sort", "/q", "/cursor", "/tag", "/domain"];
        assert_eq!(pointers, all);
        for limit in ["101", "-1", "1.5", "", "99999999999999999999"] {
            let problem = list_query(Some(&format!("limit={limit}"))).unwrap_err();
            let fault = FieldFault::new("/limit", format!("{limit:?} will not do"), "1 to 100");
            assert_eq!(problem.errors, [fault]);
        }
    }
}
