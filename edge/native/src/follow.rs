//! Following a link: the one path that must be fast and must never wait for counting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use waypost_core::facts::FORM_MAX_BYTES;
use waypost_core::flow::Source;
use waypost_core::reply::Reply;
use waypost_service::ambient::{Clock, Entropy};
use waypost_service::links::Service;
use waypost_service::seams::Use as Granted;
use waypost_shell::seams::{Failed, LinkReader, Origin, Unlock, Use};
use waypost_shell::{Outcome, serve};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::attempts::Attempts;
use crate::clicks::Clicks;
use crate::facts::{Client, Trust, facts};
use crate::host::NativeHost;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::salts::Salts;
use crate::server::Body;
use waypost_host::ambient::Ambient;

/// What following needs.
pub struct Follow {
    /// The control plane: what only the origin can answer.
    pub service: Arc<Service<NativeHost>>,
    /// Records, from memory or the database.
    pub records: Arc<Records<Ambient>>,
    /// Where clicks go.
    pub clicks: Arc<Clicks>,
    /// Keys of visitor hashes.
    pub salts: Arc<Salts>,
    /// Tries at passwords.
    pub attempts: Arc<Attempts>,
    /// Who is believed about clients.
    pub trust: Trust,
    /// Most time for a form to arrive.
    pub body_timeout: Duration,
    /// Numbers.
    pub metrics: Arc<Metrics>,
}

impl Follow {
    /// Answers a request for a link.
    pub async fn handle(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let form = match is_form(&parts) {
            true => self.form(body).await,
            false => Bytes::new(),
        };
        let ambient = &self.service.host.ambient;
        let now = ambient.now();
        let mut draw = [0; 8];
        ambient.fill(&mut draw);
        let client = Client::of(&parts.headers, peer.ip(), &self.trust);
        let facts = facts(&parts, &client, &form, u64::from_le_bytes(draw));
        let salt = self.salts.of_day(now);
        let visit = Visit { follow: self, now };
        serve(&facts, &self.service.policy, now, salt.as_ref(), &visit, |outcome| {
            self.finish(outcome)
        })
        .await
    }

    fn finish(&self, outcome: Outcome<'_>) -> Response<Body> {
        let Outcome { reply, click, decision } = outcome;
        self.metrics.decision(decision.name(), decision.reason());
        if let Some(click) = click {
            self.clicks.accept(&click);
            if click.link_id != 0 {
                self.metrics.click();
            }
        }
        response(reply)
    }

    /// As much of a form as any password needs; what does not arrive in time counts as missing.
    async fn form(&self, mut body: Incoming) -> Bytes {
        let collect = async {
            let mut form = BytesMut::new();
            while let Some(Ok(frame)) = body.frame().await {
                let data = frame.into_data().unwrap_or_default();
                let room = FORM_MAX_BYTES - form.len();
                form.extend_from_slice(&data[..data.len().min(room)]);
                if form.len() == FORM_MAX_BYTES {
                    break;
                }
            }
            form.freeze()
        };
        tokio::time::timeout(self.body_timeout, collect).await.unwrap_or_default()
    }
}

fn is_form(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    parts.method == http::Method::POST
        && essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Copies a neutral reply into hyper's type.
fn response(reply: Reply<'_>) -> Response<Body> {
    let body = Bytes::from(reply.body.into_owned());
    let mut response = Response::new(Either::Left(Full::new(body)));
    // Every status of a reply is one that exists.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.reserve(reply.headers.len());
    for (name, value) in reply.headers {
        // A value with CR, LF or NUL is refused here, whatever happened before; without it the
        // reply is still one.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// One request's view of the store.
struct Visit<'a> {
    follow: &'a Follow,
    now: Timestamp,
}

impl LinkReader for Visit<'_> {
    type Bytes = Arc<[u8]>;

    async fn read(&self, _: Source, key: &LinkKey) -> Result<Option<Arc<[u8]>>, Failed> {
        self.follow.records.record(key.as_str(), self.now).await.map_err(|error| {
            tracing::error!(%error, "a record could not be read");
            Failed
        })
    }
}

impl Origin for Visit<'_> {
    async fn take_use(&self, link_id: u64) -> Result<Use, Failed> {
        let id = waypost_service::model::LinkId(link_id);
        match self.follow.service.take_use(id, self.now).await {
            Ok(Granted::Taken { .. }) => Ok(Use::Taken),
            Ok(Granted::Exhausted) => Ok(Use::Exhausted),
            Err(error) => {
                tracing::error!(%error, "a use could not be taken");
                Err(Failed)
            }
        }
    }

    async fn unlock(
        &self,
        key: &LinkKey,
        password: &str,
        client_ip: Option<u128>,
    ) -> Result<Unlock, Failed> {
        let (store, attempts) = (&self.follow.service.host.db, &self.follow.attempts);
        let admitted = store.admits_attempt(attempts, key, client_ip, self.now).await;
        let admitted = admitted.map_err(|error| {
            tracing::error!(%error, "a try could not be counted");
            Failed
        })?;
        if !admitted {
            return Ok(Unlock::TooMany);
        }
        let challenge = self.follow.service.challenge(key, self.now).await.map_err(|error| {
            tracing::error!(%error, "a password could not be read");
            Failed
        })?;
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || challenge.answer(&password)).await;
        match checked {
            Ok(Ok(Some(_))) => Ok(Unlock::Right),
            Ok(Ok(None)) => Ok(Unlock::Wrong),
            Ok(Err(error)) => {
                tracing::error!(%error, "a password could not be checked");
                Err(Failed)
            }
            Err(_) => Err(Failed),
        }
    }
}
