//! The cases on the component: a fresh instance for each, with its store, clock and random number.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::uri::Authority;
use waypost_tests::case::{Case, Place, TakeUse, Unlock};
use waypost_tests::host::{Answer, Click, Host};
use waypost_tests::hosts::core::counted;
use waypost_tests::hosts::edge;
use waypost_tests::seed;
use waypost_wire::click::Batch;
use waypost_wire::origin::{Unlocked, Used};
use waypost_wire::state::STATE_KEY;

use crate::arrival::arrive;
use crate::once::once;
use crate::origin::{Known, ORIGIN_KEY, ORIGIN_URL, queue};
use crate::spin::StoreError;
use crate::world::{Mood, World};

/// Runs cases on the component.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spin;

impl Host for Spin {
    fn name(&self) -> &'static str {
        "spin"
    }

    fn skips(&self, case: &Case) -> Option<&'static str> {
        let request = &case.request;
        if request.geo.datacentre {
            return Some("nothing tells it of datacentres");
        }
        if request.geo.region.is_some() && request.geo.country.is_none() {
            return Some("its proxies tell regions as parts of countries");
        }
        if request.host.parse::<Authority>().is_err() {
            return Some("Spin itself refuses a host that is none");
        }
        // The parser of `http` refuses some of these and cuts others off, before anything of ours.
        let is_sendable = |byte: u8| byte.is_ascii_graphic() && !b"<`#".contains(&byte);
        if !request.target.bytes().all(is_sendable) || !request.target.starts_with('/') {
            return Some("Spin's HTTP parser does not let this through");
        }
        None
    }

    async fn run(&self, case: &Case) -> Result<Answer, String> {
        let mut world = World::new(variables(case));
        world.draw = Some(case.request.draw);
        world.set_now(case.now);
        world.put(STATE_KEY, edge::quiet_state(case.now));
        fill(&world, case)?;
        let world = Arc::new(world);
        let (head, body) = once(&world, request(case)?).await?.into_parts();
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let is_read = |event: &String| event.starts_with("edge ") || event.starts_with("origin ");
        let (reads, asks) = world.events().into_iter().partition(is_read);
        let batches = world.origin.known().batches.clone();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(header).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            decision: None,
            reads: Some(reads),
            asks: Some(asks),
            click: Some(last_click(&batches)?),
        })
    }
}

/// Settings of the case's policy. Clicks go to the origin if the case has one, else to the queue.
fn variables(case: &Case) -> BTreeMap<String, String> {
    let mut all = edge::settings(&seed::policy(case), &ORIGIN_KEY);
    all.insert("waypost_geo_headers", "true".to_owned());
    // No case depends on how fast the machine is.
    all.insert("waypost_origin_timeout_ms", "4500".to_owned());
    match edge::has_origin(case) {
        true => all.extend([("waypost_origin_url", ORIGIN_URL.to_owned())]),
        false => all.extend(queue()),
    }
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Stores records where the case has them, and says how reads and questions fare.
fn fill(world: &World, case: &Case) -> Result<(), String> {
    let mut known = world.origin.known();
    for record in seed::records(case)? {
        let key = record.key.as_str();
        if record.place != Place::Origin {
            world.put(key, record.bytes.clone());
        }
        if record.place != Place::Edge {
            known.records.insert(key.to_owned(), record.bytes);
        }
    }
    for read in &case.failing_reads {
        match read.split_once(' ') {
            Some(("edge", key)) => {
                let error = StoreError::Other("it fails".to_owned());
                world.set_mood(key, Some(Mood::Fails(error)));
            }
            Some(("origin", key)) => drop(known.failing.insert(key.to_owned())),
            _ => return Err(format!("no read: {read}")),
        }
    }
    let Known { take_use, unlock, .. } = &mut *known;
    *take_use = case.origin.take_use.and_then(|answer| match answer {
        TakeUse::Exhausted => Some(Used::Exhausted),
        TakeUse::Failed => None,
        TakeUse::Taken => Some(Used::Taken),
    });
    *unlock = case.origin.unlock.and_then(|answer| match answer {
        Unlock::Failed => None,
        Unlock::Right => Some(Unlocked::Right),
        Unlock::TooMany => Some(Unlocked::TooMany),
        Unlock::Wrong => Some(Unlocked::Wrong),
    });
    Ok(())
}

/// The case's request, as Spin hands it over.
fn request(case: &Case) -> Result<http::Request<Bytes>, String> {
    let request = &case.request;
    let geo = &request.geo;
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.target)
        .header("host", &request.host);
    if let Some(agent) = request.user_agent()? {
        builder = builder.header("user-agent", agent);
    }
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    // A proxy that tells the continent or city tells the country, if only as unknown.
    builder = builder.header("cf-ipcountry", geo.country.as_deref().unwrap_or_default());
    let region = geo.region.as_deref().and_then(|region| region.split_once('-'));
    for (name, value) in [
        ("cf-region-code", region.map(|(_, code)| code)),
        ("cf-ipcity", geo.city.as_deref()),
        ("cf-ipcontinent", geo.continent.as_deref()),
    ] {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    if request.form.is_some() {
        builder = builder.header("content-type", "application/x-www-form-urlencoded");
    }
    let form = request.form.clone().unwrap_or_default();
    let built = builder.body(Bytes::from(form)).map_err(|error| error.to_string())?;
    let client = match &request.ip {
        Some(text) => {
            let address: IpAddr = text.parse().map_err(|error| format!("{text}: {error}"))?;
            Some(SocketAddr::new(address, 50_000))
        }
        None => None,
    };
    arrive(built, client)
}

fn last_click(batches: &[Vec<u8>]) -> Result<Option<Click>, String> {
    let Some(last) = batches.last() else {
        return Ok(None);
    };
    let batch = Batch::parse(last).map_err(|error| format!("{error:?}"))?;
    Ok(batch.clicks().last().map(|(_, click)| counted(&click)))
}
