//! The control plane of a function that makes ids: it holds a Snowflake machine for as long as it
//! works, and takes another one after it was frozen for longer than it held the first.

use std::sync::{Arc, Mutex, PoisonError};

use waypost_aws::control::machine::Machine;
use waypost_aws::host::AwsHost;
use waypost_aws::store::AwsStore;
use waypost_host::ambient::Ambient;
use waypost_host::plan;
use waypost_service::ambient::Clock;
use waypost_service::links::Service;
use waypost_service::seams::StoreError;
use waypost_wire::origin::sign::OriginKey;

use crate::api::Api;
use crate::start::{StartError, Started};

/// How long an edit takes to reach every edge: what edges promise (docs/edges.md).
const EDITS_VISIBLE_WITHIN_SECONDS: u32 = 90;

/// The API over AWS.
pub type AwsApi = Api<AwsHost, AwsStore>;

/// Has the API at hand.
pub struct Serving {
    started: Started,
    ambient: Ambient,
    held: Mutex<Option<(Machine, Arc<AwsApi>)>>,
}

impl Serving {
    /// Begins without a machine: the first request takes one.
    pub const fn new(started: Started, ambient: Ambient) -> Self {
        Self { started, ambient, held: Mutex::new(None) }
    }

    /// The API, with a machine that no other process has.
    ///
    /// # Errors
    /// If there is no machine to be had.
    pub async fn api(&self) -> Result<Arc<AwsApi>, StartError> {
        let now = self.ambient.now();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((machine, api)) = held else {
            return self.another().await;
        };
        if !machine.wants_renewal(now) {
            return Ok(api);
        }
        match self.started.store.renew_machine(&machine, now).await {
            Ok(Some(renewed)) => {
                self.hold(renewed, &api);
                Ok(api)
            }
            Ok(None) => self.another().await,
            // There is time left to try again.
            Err(_) if machine.is_usable(now) => Ok(api),
            Err(error) => Err(error.into()),
        }
    }

    async fn another(&self) -> Result<Arc<AwsApi>, StartError> {
        let machine = self.started.store.lease_machine(self.ambient.now()).await?;
        let api = Arc::new(Api {
            service: service(&self.started, &machine, self.ambient.clone())?,
            gate: self.started.store.clone(),
            origin_key: OriginKey::new(self.started.keys.origin),
        });
        self.hold(machine, &api);
        Ok(api)
    }

    fn hold(&self, machine: Machine, api: &Arc<AwsApi>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((machine, Arc::clone(api)));
    }
}

/// The control plane on AWS, with the numbers of a machine.
///
/// # Errors
/// If the machine has no such number.
pub fn service(
    started: &Started,
    machine: &Machine,
    ambient: Ambient,
) -> Result<Service<AwsHost>, StartError> {
    let Started { settings, keys, store, .. } = started;
    let settings =
        &waypost_host::settings::Settings { machine_id: machine.number, ..settings.clone() };
    let no_machine = || StoreError::Damaged(format!("there is no machine {}", machine.number));
    let (ids, codes) = plan::generators(settings, keys).ok_or_else(no_machine)?;
    let mut service_settings = plan::service_settings(settings);
    service_settings.edits_visible_within_seconds = EDITS_VISIBLE_WITHIN_SECONDS;
    let policy = plan::policy(settings, keys);
    let rules = plan::draft_rules(settings, keys);
    let host = AwsHost::new(ambient, store.clone());
    Ok(Service::new(host, policy, rules, service_settings, ids, codes))
}
