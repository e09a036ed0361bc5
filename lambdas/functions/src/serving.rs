//! The control plane of a function.

use waypost_aws::host::AwsHost;
use waypost_aws::store::AwsStore;
use waypost_host::ambient::Ambient;
use waypost_host::plan;
use waypost_service::links::Service;
use waypost_service::seams::StoreError;
use waypost_wire::origin::sign::OriginKey;

use crate::api::Api;
use crate::start::{StartError, Started};

/// How long an edit takes to reach every edge: what edges promise (docs/edges.md).
const EDITS_VISIBLE_WITHIN_SECONDS: u32 = 90;

/// The API over AWS.
pub type AwsApi = Api<AwsHost, AwsStore>;

/// The API on AWS. It takes a Snowflake machine's number when it makes its first id.
///
/// # Errors
/// See [`service`].
pub fn api(started: &Started, ambient: Ambient) -> Result<AwsApi, StartError> {
    Ok(Api {
        service: service(started, ambient)?,
        gate: started.store.clone(),
        origin_key: OriginKey::new(started.keys.origin),
    })
}

/// The control plane on AWS.
///
/// # Errors
/// If the settings name a machine that there is not.
pub fn service(started: &Started, ambient: Ambient) -> Result<Service<AwsHost>, StartError> {
    let Started { settings, keys, store, .. } = started;
    let no_machine = || StoreError::Damaged(format!("there is no machine {}", settings.machine_id));
    let (ids, codes) = plan::generators(settings, keys).ok_or_else(no_machine)?;
    let mut service_settings = plan::service_settings(settings);
    service_settings.edits_visible_within_seconds = EDITS_VISIBLE_WITHIN_SECONDS;
    let policy = plan::policy(settings, keys);
    let rules = plan::draft_rules(settings, keys);
    let host = AwsHost::new(ambient, store.clone());
    Ok(Service::new(host, policy, rules, service_settings, ids, codes))
}
