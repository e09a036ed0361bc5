//! A service in memory with a key for each role.

use bytes::Bytes;
use http::{Request, Response};
use waypost_service::ambient::{Draws, SeededEntropy};
use waypost_service::api::{Caller, handle};
use waypost_service::keys::{ApiKey, KeyStore, Role, Secret, generate};
use waypost_service::links::Service;
use waypost_service::testing::{MemoryHost, service};
use waypost_wire::time::Timestamp;

/// Names of the keys there are. `revoked` was an admin's.
pub(crate) const KEYS: [(&str, Role); 5] = [
    ("viewer", Role::Viewer),
    ("editor", Role::Editor),
    ("other-editor", Role::Editor),
    ("admin", Role::Admin),
    ("revoked", Role::Admin),
];

/// A service in memory with a key for each role.
pub(crate) struct World {
    pub(crate) service: Service<MemoryHost>,
    keys: Vec<(ApiKey, Secret)>,
}

/// Runs a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

impl World {
    /// A world whose clock shows `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        let service = service(MemoryHost::new(now)).expect("a machine number in range");
        let mut draws = Draws::new(&SeededEntropy::new(77));
        let keys: Vec<_> = KEYS
            .into_iter()
            .map(|(name, role)| generate(name.to_owned(), role, &mut draws, now))
            .collect();
        for (key, _) in &keys {
            run(service.host.keys.insert_key(key)).expect("a new key");
            if key.name == "revoked" {
                assert_eq!(run(service.host.keys.revoke_key(&key.id, now)), Ok(true));
            }
        }
        Self { service, keys }
    }

    /// The `Authorization` header of a key.
    pub(crate) fn bearer(&self, name: &str) -> String {
        let (_, secret) = self.key(name);
        format!("Bearer {}", secret.reveal())
    }

    /// The id of a key.
    pub(crate) fn key_id(&self, name: &str) -> &str {
        &self.key(name).0.id
    }

    fn key(&self, name: &str) -> &(ApiKey, Secret) {
        let found = self.keys.iter().find(|(key, _)| key.name == name);
        found.unwrap_or_else(|| panic!("{name} is no key"))
    }

    /// Asks the API from somewhere; the request is known as `r1`.
    pub(crate) fn ask(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.ask_from(Some(0xffff_cb00_7101), request)
    }

    /// Asks the API from an address; the request is known as `r1`.
    pub(crate) fn ask_from(
        &self,
        client_ip: Option<u128>,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        // As a host that spawns the future needs it.
        fn send<T: Send>(future: T) -> T {
            future
        }
        let caller = Caller { request_id: "r1".to_owned(), client_ip };
        run(send(handle(&self.service, request, caller)))
    }
}
