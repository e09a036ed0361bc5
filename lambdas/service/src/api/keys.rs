//! `/api/v1/keys`.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use waypost_wire::time::Timestamp;

use super::answer::{self, List};
use super::params::Params;
use super::{Call, body};
use crate::ambient::Draws;
use crate::keys::{ApiKey, KeyStore, Role, generate};
use crate::links::Host;
use crate::problem::{FieldFault, Kind, Problem};
use crate::time::{rfc3339, rfc3339_option};

const NAME_MAX_CHARS: usize = 100;

/// Largest limit of a key: more than one process answers.
const REQUESTS_PER_MINUTE_MAX: u32 = 1_000_000;

/// A key as the API answers it: never the secret, nor its hash.
#[derive(Serialize)]
struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    role: Role,
    requests_per_minute: Option<u32>,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339_option")]
    last_used_at: Option<Timestamp>,
    #[serde(with = "rfc3339_option")]
    revoked_at: Option<Timestamp>,
}

impl<'a> KeyView<'a> {
    fn new(key: &'a ApiKey) -> Self {
        Self {
            id: &key.id,
            name: &key.name,
            role: key.role,
            requests_per_minute: key.requests_per_minute,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A new key: the only answer with the secret.
#[derive(Serialize)]
struct NewKeyView<'a> {
    #[serde(flatten)]
    key: KeyView<'a>,
    secret: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    name: String,
    role: Role,
    requests_per_minute: Option<u32>,
}

pub(super) async fn create<H: Host>(
    call: &Call<'_, H>,
    mut draws: Draws,
) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let expected = "{\"name\": \"ci\", \"role\": \"editor\"}; roles are viewer, editor and admin";
    let NewKeyBody { name, role, requests_per_minute } = body::read(call.body, expected)?;
    let is_line = (1..=NAME_MAX_CHARS).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    let mut faults = Vec::new();
    if !is_line {
        let expected = "1 to 100 characters, without control characters or spaces around them";
        faults.push(FieldFault::new("/name", "will not do", expected));
    }
    if requests_per_minute.is_some_and(|limit| limit > REQUESTS_PER_MINUTE_MAX) {
        let expected = format!("0 (no limit) to {REQUESTS_PER_MINUTE_MAX}, or null");
        faults.push(FieldFault::new("/requests_per_minute", "is too many", expected));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let (key, secret) = generate(name, role, &mut draws, call.now);
    let key = ApiKey { requests_per_minute, ..key };
    call.service.host.keys().insert_key(&key).await?;
    let view = NewKeyView { key: KeyView::new(&key), secret: secret.reveal() };
    answer::json(StatusCode::CREATED, &view)
}

pub(super) async fn list<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    let keys = call.service.host.keys().list_keys().await?;
    let list = List { data: keys.iter().map(KeyView::new).collect(), next_cursor: None };
    answer::json(StatusCode::OK, &list)
}

pub(super) async fn revoke<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    Params::parse(call.parts.uri.query(), &[]).finish()?;
    if call.name == call.principal.key_id {
        // So there is always one admin key left: the one that asks.
        let detail = "a key cannot revoke itself; use another admin key";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    match call.service.host.keys().revoke_key(&call.name, call.now).await? {
        true => Ok(answer::empty(StatusCode::NO_CONTENT)),
        false => Err(Problem::new(Kind::NotFound, "there is no such key, or it is revoked")),
    }
}
