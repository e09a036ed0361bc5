//! Settings: those of every edge, and those that only Spin has. The manifest declares them all;
//! a test compares.

use waypost_outpost::settings::{EdgeSettings, Setting};

/// What only Spin has.
pub(crate) const SETTINGS: [Setting; 3] = [
    Setting {
        name: "waypost_client_ip_header",
        is_secret: false,
        default: "",
        help: "The header in which the proxy in front says whom it heard from, for example \
               `true-client-ip`; its last address is believed. Empty: nobody is in front, and the \
               client is who Spin sees",
    },
    Setting {
        name: "waypost_geo_headers",
        is_secret: false,
        default: "false",
        help: "The proxy in front tells where clients are, in Cloudflare's visitor location headers",
    },
    Setting {
        name: "waypost_sync",
        is_secret: false,
        default: "false",
        help: "`PUT /_/sync` takes records, for stores that have no other way in",
    },
];

/// How long a click waits for others unless set: less than elsewhere, because what waits is lost
/// with its instance if the whole process ends.
pub(crate) const CLICK_FLUSH_MS: &str = "500";

/// Who is believed about clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Lower-case name of the header in which a proxy says whom it heard from.
    pub(crate) client_ip_header: Option<String>,
    /// A proxy also says where a client is, and lets no client say it.
    pub(crate) geo_headers: bool,
}

/// All settings, read and checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) edge: EdgeSettings,
    pub(crate) trust: Trust,
    /// Whether records are taken at `/_/sync`.
    pub(crate) sync: bool,
}

impl Settings {
    /// Names of all settings.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let edge = waypost_outpost::settings::SETTINGS.iter();
        edge.chain(&SETTINGS).map(|setting| setting.name)
    }

    /// Reads settings by name; an empty one counts as not set.
    ///
    /// # Errors
    /// All faults at once, one each; no secret is quoted.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let text = |name: &str| {
            let text = get(name).map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        let edge = EdgeSettings::read(|name| match name {
            "waypost_click_flush_ms" => text(name).or(Some(CLICK_FLUSH_MS.to_owned())),
            _ => text(name),
        });
        let mut faults = Vec::new();
        let mut flag = |name: &str| match text(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                faults.push(format!("{name}: {other:?} is neither true nor false"));
                false
            }
        };
        let (geo_headers, sync) = (flag("waypost_geo_headers"), flag("waypost_sync"));
        let client_ip_header =
            text("waypost_client_ip_header").map(|name| name.to_ascii_lowercase());
        if let Some(name) = client_ip_header.as_ref().filter(|name| !is_header_name(name)) {
            faults.push(format!("waypost_client_ip_header: {name:?} is no name of a header"));
        }
        // Spin lets a component call only the hosts that its manifest names, and the manifest takes
        // the queue's from here: a queue's address has a path, which Spin refuses.
        if text("waypost_sqs_queue_url").is_some() && text("waypost_sqs_endpoint").is_none() {
            faults.push(
                "waypost_sqs_endpoint: is not set: scheme and host of waypost_sqs_queue_url, nothing behind it"
                    .to_owned(),
            );
        }
        match edge {
            Ok(edge) if faults.is_empty() => {
                Ok(Self { edge, trust: Trust { client_ip_header, geo_headers }, sync })
            }
            Ok(_) => Err(faults),
            Err(more) => Err(more.iter().map(ToString::to_string).chain(faults).collect()),
        }
    }
}

/// A token (RFC 9110 5.6.2), as far as headers in use have them.
fn is_header_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEYS: &str = "check:000102030405060708090a0b0c0d0e0f \
        cookie:0000000000000000000000000000000000000000000000000000000000000001 \
        origin:0000000000000000000000000000000000000000000000000000000000000002 \
        sticky:00000000000000000000000000000003";

    fn read(more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let mut all = BTreeMap::from([
            ("waypost_public_url", "https://go.example"),
            ("waypost_edge_keys", KEYS),
        ]);
        all.extend(more.iter().copied());
        Settings::read(|name| all.get(name).map(|text| (*text).to_owned()))
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings =
            read(&[("waypost_sync", ""), ("waypost_click_flush_ms", "")]).expect("settings");
        assert_eq!(settings.trust, Trust::default());
        assert!(!settings.sync);
        assert_eq!(settings.edge.click_flush_ms, 500);
        let settings = read(&[("waypost_click_flush_ms", "0")]).expect("settings");
        assert_eq!(settings.edge.click_flush_ms, 0);
    }

    #[test]
    fn trust_is_told() {
        let settings = read(&[
            ("waypost_client_ip_header", " True-Client-IP "),
            ("waypost_geo_headers", "true"),
            ("waypost_sync", "true"),
        ])
        .expect("settings");
        let client_ip_header = Some("true-client-ip".to_owned());
        assert_eq!(settings.trust, Trust { client_ip_header, geo_headers: true });
        assert!(settings.sync);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = read(&[
            ("waypost_public_url", ""),
            ("waypost_geo_headers", "yes"),
            ("waypost_sync", "on"),
            ("waypost_client_ip_header", "x y"),
            ("waypost_sqs_queue_url", "https://sqs.eu-central-1.amazonaws.com/1/clicks"),
            ("waypost_aws_access_key_id", "AKID"),
            ("waypost_aws_secret_access_key", "hush"),
        ])
        .expect_err("faults");
        let names: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(
            names,
            [
                "waypost_public_url",
                "waypost_geo_headers",
                "waypost_sync",
                "waypost_client_ip_header",
                "waypost_sqs_endpoint",
            ]
        );
        assert!(!faults.concat().contains("hush"));
    }

    #[test]
    fn names_are_all_and_each_once() {
        let mut names: Vec<&str> = Settings::names().collect();
        assert!(names.contains(&"waypost_sync") && names.contains(&"waypost_edge_keys"));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
