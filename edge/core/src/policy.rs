//! What an operator decides for all links. Built once at start, then only read.

use alloc::string::String;
use alloc::vec::Vec;

use waypost_wire::check::CheckKey;

/// Service-wide settings of the decision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The domains served; never empty. The first is the default.
    pub domains: Vec<Domain>,
    /// Requests for a host that is no domain of ours see the default domain, instead of 421. Right
    /// for a single server that is reached under many names.
    pub any_host: bool,
    /// Slugs may contain `/`.
    pub slashes: bool,
    /// Where a miss is asked again before it is believed.
    pub read_through: bool,
    /// The delay after which every visitor sees an edit; bounds how long clients may remember
    /// permanent redirects.
    pub edit_delay_seconds: u32,
    /// The service is reached by https: cookies are `Secure`, HSTS is sent.
    pub https: bool,
    /// How long a password stays given.
    pub unlock_seconds: u32,
    /// Secrets shared by all hosts of one service.
    pub secrets: Secrets,
}

/// A domain served.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Lower-case host name, without port.
    pub name: String,
    /// Slugs that differ in case only are the same.
    pub ignore_case: bool,
    /// Refuse slugs of generated shape whose check character is wrong, before any read.
    pub check: Option<CheckKey>,
    /// Scheme, host and port that visitors use, without a final `/`.
    pub base_url: String,
    /// Where the domain's bare address leads, if not to a page: a serialised URL.
    pub home: Option<String>,
}

/// Keys. Debug shows none of them.
#[derive(Clone)]
pub struct Secrets {
    /// Signs the cookie of a visitor who gave a link's password.
    pub cookie_key: [u8; 32],
    /// Makes the choice between variants unguessable from outside.
    pub sticky_key: [u8; 16],
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Policy {
    /// The domain a request is for; `None` if the host is none of ours.
    pub fn domain(&self, host: &str) -> Option<&Domain> {
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let ours = self.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name));
        match ours {
            None if self.any_host => self.domains.first(),
            found => found,
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn policy(any_host: bool) -> Policy {
        let domain = |name: &str| Domain {
            name: name.into(),
            base_url: alloc::format!("https://{name}"),
            ignore_case: false,
            check: None,
            home: None,
        };
        Policy {
            domains: vec![domain("s.example"), domain("[::1]")],
            any_host,
            slashes: false,
            read_through: false,
            edit_delay_seconds: 90,
            https: true,
            unlock_seconds: 3_600,
            secrets: Secrets { cookie_key: [0; 32], sticky_key: [0; 16] },
        }
    }

    #[test]
    fn hosts_are_found_without_port_case_and_final_dot() {
        let policy = policy(false);
        for host in ["s.example", "S.Example:8080", "s.example.", "s.example.:443"] {
            assert_eq!(policy.domain(host).map(|d| d.name.as_str()), Some("s.example"), "{host}");
        }
        for host in ["[::1]", "[::1]:80"] {
            assert_eq!(policy.domain(host).map(|d| d.name.as_str()), Some("[::1]"), "{host}");
        }
        for host in ["", "x.s.example", "s.example:x", "s.example@evil.example"] {
            assert!(policy.domain(host).is_none(), "{host}");
        }
    }

    #[test]
    fn any_host_means_the_default_domain() {
        let policy = policy(true);
        assert_eq!(policy.domain("10.0.0.7").map(|d| d.name.as_str()), Some("s.example"));
        assert_eq!(policy.domain("").map(|d| d.name.as_str()), Some("s.example"));
    }
}
