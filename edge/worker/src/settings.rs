//! Settings from the Worker's variables and secrets: the names in upper case.

use waypost_outpost::settings::{EdgeSettings, SETTINGS, SettingFault};

/// What was set, as the shim packs it: `NAME=value`, parted by NUL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variables<'a>(pub(crate) &'a str);

impl<'a> Variables<'a> {
    /// The settings.
    ///
    /// # Errors
    /// All faults at once.
    pub(crate) fn settings(self) -> Result<EdgeSettings, Vec<SettingFault>> {
        EdgeSettings::read(|name| {
            let mut all = self.all();
            let (_, value) = all.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(value.to_owned())
        })
    }

    /// What looks like a setting and is none.
    pub(crate) fn unknown(self) -> impl Iterator<Item = &'a str> {
        let is_known =
            |name: &str| SETTINGS.iter().any(|setting| setting.name.eq_ignore_ascii_case(name));
        self.all().map(|(name, _)| name).filter(move |name| !is_known(name))
    }

    fn all(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split('\0').filter_map(|pair| pair.split_once('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "check:00000000000000000000000000000000 \
        cookie:0000000000000000000000000000000000000000000000000000000000000000 \
        origin:0000000000000000000000000000000000000000000000000000000000000000\n\
        sticky:00000000000000000000000000000000";

    #[test]
    fn settings_are_read_by_their_names_in_upper_case() {
        let text = format!(
            "WAYPOST_PUBLIC_URL=https://go.example\0WAYPOST_CACHE_BYTES=7\0WAYPOST_EDGE_KEYS={KEYS}"
        );
        let settings = Variables(&text).settings().expect("settings");
        assert_eq!(settings.policy.domains[0].name, "go.example");
        assert_eq!(settings.cache.bytes_max, 7);
        assert_eq!(Variables(&text).unknown().count(), 0);
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let variables = Variables("WAYPOST_PUBLIC_URL=\0WAYPOST_PUBLC_URL=x=y\0WAYPOST_=");
        assert_eq!(variables.unknown().collect::<Vec<_>>(), ["WAYPOST_PUBLC_URL", "WAYPOST_"]);
        let faults = variables.settings().expect_err("faults");
        let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        assert!(names.contains(&"waypost_public_url"), "{names:?}");
    }

    #[test]
    fn nothing_set_is_a_fault_too() {
        assert!(Variables("").settings().is_err());
        assert_eq!(Variables("").unknown().count(), 0);
    }
}
