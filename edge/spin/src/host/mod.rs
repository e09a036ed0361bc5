//! What only exists inside Spin: the entry, the instance, its store and its way out.

mod http;
mod instance;
mod platform;

use std::rc::Rc;

use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use spin_sdk::wit_bindgen::{backpressure_dec, backpressure_inc};
use waypost_core::facts::FORM_MAX_BYTES;
use waypost_wire::sync::{BODY_MAX_BYTES, PATH};

use crate::answer::Answer;
use crate::facts::{Client, Head};
use crate::sync;
use instance::Instance;
use platform::{draw, now};

/// Most time for a body to arrive.
const BODY_WAIT_MS: u32 = 5_000;

struct Component;

spin_sdk::wasip3::http::service::export!(Component with_types_in spin_sdk::wasip3);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let _alone = Alone::new();
        Ok(http::response(answer(request).await))
    }
}

/// Spin puts up to 16 requests at once into one instance, and a panic ends all of them. While one
/// of these is there the engine gives this instance no other request; it starts another instance
/// instead. What runs after the answer (clicks, the state) does not hold it.
struct Alone;

impl Alone {
    fn new() -> Self {
        backpressure_inc();
        Self
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        backpressure_dec();
    }
}

async fn answer(request: Request) -> Answer {
    let head = http::head(&request);
    let Some(instance) = Instance::get().await else {
        return Answer::not_set_up(head.method == "HEAD");
    };
    instance.meet().await;
    let answer = match instance.settings.sync {
        true if head.method == "PUT" && head.path() == PATH => {
            // One byte more tells that it is too long.
            let body = http::body(request, BODY_MAX_BYTES + 1, BODY_WAIT_MS).await;
            let signature = head.header(waypost_wire::origin::sign::HEADER);
            let Instance { outpost, platform, settings, .. } = &*instance;
            let key = &settings.edge.origin_key;
            sync::answer(key, signature, &body, now(), platform, |key| outpost.forget(key)).await
        }
        _ => follow(&instance, &head, request).await,
    };
    instance.after_answer();
    answer
}

async fn follow(instance: &Rc<Instance>, head: &Head, request: Request) -> Answer {
    let form = match head.is_form() {
        true => http::body(request, FORM_MAX_BYTES, BODY_WAIT_MS).await,
        false => Vec::new(),
    };
    let client = Client::of(head, &instance.settings.trust);
    let facts = head.facts(&client, &form, draw());
    let Instance { outpost, platform, .. } = &**instance;
    outpost.follow(&facts, now(), platform, |reply, _| Answer::of(reply)).await
}
