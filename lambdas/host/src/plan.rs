//! From settings and keys to the values that everything else is handed.

use std::num::NonZeroU32;

use waypost_core::policy::{Domain, Policy, Secrets as PolicySecrets};
use waypost_service::api::ApiLimits;
use waypost_service::cleanup::Retention;
use waypost_service::codes::{Sequence, Snowflake, Strategy};
use waypost_service::destination::DestinationRules;
use waypost_service::draft::{DomainRules, DraftRules};
use waypost_service::keys::AdminKey;
use waypost_service::links::Settings as ServiceSettings;
use waypost_service::slug::SlugRules;
use waypost_wire::check::CheckKey;

use crate::keys::Keys;
use crate::settings::{CodeStrategy, DomainSettings, Settings};

/// How far the clock may run back before ids are refused instead of waited for: what NTP corrects
/// in one step on a healthy machine.
const CLOCK_SKEW_MAX_MS: u32 = 5_000;

/// How redirects are decided.
pub fn policy(settings: &Settings, keys: &Keys) -> Policy {
    let domain = |domain: &DomainSettings| Domain {
        name: domain.name.clone(),
        base_url: domain.base_url.clone(),
        ignore_case: domain.ignore_case,
        check: check(domain, keys),
        home: domain.home.clone(),
    };
    Policy {
        domains: settings.domains.iter().map(domain).collect(),
        any_host: settings.any_host,
        slashes: settings.slug_slashes,
        read_through: false,
        edit_delay_seconds: settings.edit_delay_seconds,
        https: settings.public_url.starts_with("https://"),
        unlock_seconds: settings.unlock_seconds,
        secrets: PolicySecrets { cookie_key: keys.cookie, sticky_key: keys.sticky },
    }
}

/// What is accepted in links.
pub fn draft_rules(settings: &Settings, keys: &Keys) -> DraftRules {
    let domain = |domain: &DomainSettings| DomainRules {
        name: domain.name.clone(),
        ignore_case: domain.ignore_case,
        slug: SlugRules { slashes: settings.slug_slashes, check: check(domain, keys) },
    };
    DraftRules {
        destination: DestinationRules {
            own_domains: settings.domains.iter().map(|domain| domain.name.clone()).collect(),
            app_schemes: settings.app_schemes.clone(),
            length_max_bytes: settings.destination_max_bytes,
            allow_private_hosts: settings.allow_private_destinations,
            allow_shorteners: settings.allow_shorteners,
        },
        domains: settings.domains.iter().map(domain).collect(),
        default_domain: settings.domains.first().map_or_else(String::new, |d| d.name.clone()),
        redirect_status_default: settings.default_status,
    }
}

/// A code typed in other case must not be refused where case does not matter.
fn check(domain: &DomainSettings, keys: &Keys) -> Option<CheckKey> {
    let applies = domain.check_characters && !domain.ignore_case;
    applies.then(|| CheckKey::new(keys.check))
}

/// What else the operator decided. Edits reach this one process at once.
pub fn service_settings(settings: &Settings) -> ServiceSettings {
    ServiceSettings {
        admin_key: settings.admin_key.as_deref().and_then(|key| AdminKey::new(key).ok()),
        api_limits: ApiLimits {
            requests_per_minute: settings.api_requests_per_minute,
            wrong_keys_per_quarter_hour: settings.api_wrong_keys_per_quarter_hour,
        },
        retention: Retention {
            expired_grace_days: settings.expired_grace_days,
            unused_after_days: Some(settings.unused_after_days).filter(|days| *days > 0),
            quarantine_days: settings.quarantine_days,
            raw_days: settings.raw_retention_days,
        },
        cleanup_per_second_max: NonZeroU32::new(settings.cleanup_per_second)
            .unwrap_or(NonZeroU32::MIN),
        edits_visible_within_seconds: 0,
        fold_under: settings.fold_under,
    }
}

/// The generator of link ids, and how codes are made. The two never share a Snowflake machine's
/// numbers in the same place: ids name links, codes are looked up by text.
pub fn generators(settings: &Settings, keys: &Keys) -> Option<(Snowflake, Strategy)> {
    let (datacentre, worker) = (settings.machine_id >> 5, settings.machine_id & 31);
    let snowflake = || Snowflake::new(datacentre as u8, worker as u8, CLOCK_SKEW_MAX_MS).ok();
    let strategy = match settings.code_strategy {
        CodeStrategy::Random => Strategy::Random,
        CodeStrategy::Sequence => Strategy::Sequence(Sequence::new(keys.sequence)),
        CodeStrategy::Snowflake => Strategy::Snowflake(snowflake()?),
    };
    Some((snowflake()?, strategy))
}
