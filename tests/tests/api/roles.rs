//! Every method of every resource, with every role.

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response};
use waypost_service::ambient::{Draws, SeededEntropy};
use waypost_service::keys::Secret;

use crate::case::NOW;
use crate::world::World;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Each resource, with the least role for each method it has.
const RESOURCES: [(&str, &[(&str, &str)]); 12] = [
    ("/api/v1/links", &[("GET", "viewer"), ("HEAD", "viewer"), ("POST", "editor")]),
    (
        "/api/v1/links/one",
        &[("GET", "viewer"), ("HEAD", "viewer"), ("PATCH", "editor"), ("DELETE", "editor")],
    ),
    ("/api/v1/links/one/block", &[("POST", "admin"), ("DELETE", "admin")]),
    ("/api/v1/links/one/explain", &[("POST", "viewer")]),
    ("/api/v1/links/one/stats", &[("GET", "viewer"), ("HEAD", "viewer")]),
    ("/api/v1/stats", &[("GET", "viewer"), ("HEAD", "viewer")]),
    ("/api/v1/stats/integrity", &[("GET", "viewer"), ("HEAD", "viewer")]),
    ("/api/v1/stats/recount", &[("POST", "admin")]),
    ("/api/v1/keys", &[("GET", "admin"), ("HEAD", "admin"), ("POST", "admin")]),
    ("/api/v1/keys/none", &[("DELETE", "admin")]),
    ("/api/v1/cleanup", &[("POST", "admin")]),
    ("/api/v1/nothing", &[]),
];

/// Callers in the order of what they may do; the first three may nothing.
const CALLERS: [&str; 6] = ["nobody", "revoked", "forged", "viewer", "editor", "admin"];

fn forged() -> Secret {
    Secret::draw(&mut Draws::new(&SeededEntropy::new(78)))
}

fn ask(world: &World, caller: &str, method: &str, path: &str) -> Response<Bytes> {
    let mut request = Request::new(Bytes::from_static(b"{\"destination\": 1}"));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
    *request.uri_mut() = path.parse().expect("a path");
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let authorization = match caller {
        "nobody" => None,
        // Right in form and checksum, but nobody's.
        "forged" => Some(format!("Bearer {}", forged().reveal())),
        name => Some(world.bearer(name)),
    };
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&text).expect("a header"));
    }
    world.ask(request)
}

#[test]
fn every_role_may_do_what_it_should_and_no_more() {
    for (path, allowed) in RESOURCES {
        for method in METHODS {
            let least = allowed.iter().find(|(name, _)| *name == method).map(|(_, role)| *role);
            for (rank, caller) in CALLERS.into_iter().enumerate() {
                let world = World::new(NOW);
                let answer = ask(&world, caller, method, path);
                let status = answer.status().as_u16();
                let at = format!("{caller} {method} {path}");
                match least {
                    None if allowed.is_empty() => assert_eq!(status, 404, "{at}"),
                    None => {
                        assert_eq!(status, 405, "{at}");
                        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
                        assert_eq!(answer.headers()[ALLOW], names.join(", "), "{at}");
                    }
                    Some(_) if rank < 3 => {
                        assert_eq!(status, 401, "{at}");
                        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Bearer realm=\"waypost\"");
                    }
                    Some(least) => {
                        let needed = CALLERS.iter().position(|name| *name == least);
                        let refused = Some(rank) < needed;
                        assert_eq!(status == 403, refused, "{at}: {status}");
                        assert!(status != 401 && status != 405, "{at}: {status}");
                    }
                }
            }
        }
    }
}
