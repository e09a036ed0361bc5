//! Which resource a path names, what can be done with it, and which role that takes.

use percent_encoding::percent_decode_str;

use crate::keys::Role;
use crate::problem::{Kind, Problem};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    BlockLink,
    Cleanup,
    CreateKey,
    CreateLink,
    DeleteLink,
    ExplainLink,
    Integrity,
    LinkStats,
    ListKeys,
    ListLinks,
    ReadLink,
    Recount,
    RevokeKey,
    SiteStats,
    UnblockLink,
    UpdateLink,
}

impl Action {
    pub(super) const fn reads_body(self) -> bool {
        match self {
            Self::BlockLink
            | Self::Cleanup
            | Self::CreateKey
            | Self::CreateLink
            | Self::ExplainLink
            | Self::Recount
            | Self::UpdateLink => true,
            Self::DeleteLink
            | Self::Integrity
            | Self::LinkStats
            | Self::ListKeys
            | Self::ListLinks
            | Self::ReadLink
            | Self::RevokeKey
            | Self::SiteStats
            | Self::UnblockLink => false,
        }
    }

    /// Whether no body is as good as an empty object.
    pub(super) const fn body_may_be_empty(self) -> bool {
        matches!(self, Self::Cleanup | Self::ExplainLink)
    }
}

/// A resource: its path with a name in place of the part that varies, and its methods.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) template: &'static str,
    pub(super) methods: &'static [(&'static str, Action, Role)],
}

const LINKS: Resource = Resource {
    template: "/api/v1/links",
    methods: &[
        ("GET", Action::ListLinks, Role::Viewer),
        ("POST", Action::CreateLink, Role::Editor),
    ],
};
const LINK: Resource = Resource {
    template: "/api/v1/links/{slug}",
    methods: &[
        ("GET", Action::ReadLink, Role::Viewer),
        ("PATCH", Action::UpdateLink, Role::Editor),
        ("DELETE", Action::DeleteLink, Role::Editor),
    ],
};
const LINK_BLOCK: Resource = Resource {
    template: "/api/v1/links/{slug}/block",
    methods: &[
        ("POST", Action::BlockLink, Role::Admin),
        ("DELETE", Action::UnblockLink, Role::Admin),
    ],
};
const LINK_EXPLAIN: Resource = Resource {
    template: "/api/v1/links/{slug}/explain",
    methods: &[("POST", Action::ExplainLink, Role::Viewer)],
};
const LINK_STATS: Resource = Resource {
    template: "/api/v1/links/{slug}/stats",
    methods: &[("GET", Action::LinkStats, Role::Viewer)],
};
const STATS: Resource =
    Resource { template: "/api/v1/stats", methods: &[("GET", Action::SiteStats, Role::Viewer)] };
const INTEGRITY: Resource = Resource {
    template: "/api/v1/stats/integrity",
    methods: &[("GET", Action::Integrity, Role::Viewer)],
};
const RECOUNT: Resource = Resource {
    template: "/api/v1/stats/recount",
    methods: &[("POST", Action::Recount, Role::Admin)],
};
const KEYS: Resource = Resource {
    template: "/api/v1/keys",
    methods: &[("GET", Action::ListKeys, Role::Admin), ("POST", Action::CreateKey, Role::Admin)],
};
const KEY: Resource = Resource {
    template: "/api/v1/keys/{id}",
    methods: &[("DELETE", Action::RevokeKey, Role::Admin)],
};
const CLEANUP: Resource =
    Resource { template: "/api/v1/cleanup", methods: &[("POST", Action::Cleanup, Role::Admin)] };

impl Resource {
    /// The resource of a path, and the decoded part of it that varies (empty if none does).
    pub(super) fn find(path: &str) -> Result<(&'static Self, String), Problem> {
        let unknown = || Problem::new(Kind::NotFound, format!("there is nothing at {path}"));
        let below = path.strip_prefix("/api/v1/").ok_or_else(unknown)?;
        let parts: Vec<&str> = below.split('/').collect();
        let (resource, name) = match parts.as_slice() {
            ["links"] => (&LINKS, ""),
            ["links", slug] => (&LINK, *slug),
            ["links", slug, "block"] => (&LINK_BLOCK, *slug),
            ["links", slug, "explain"] => (&LINK_EXPLAIN, *slug),
            ["links", slug, "stats"] => (&LINK_STATS, *slug),
            ["stats"] => (&STATS, ""),
            ["stats", "integrity"] => (&INTEGRITY, ""),
            ["stats", "recount"] => (&RECOUNT, ""),
            ["keys"] => (&KEYS, ""),
            ["keys", id] => (&KEY, *id),
            ["cleanup"] => (&CLEANUP, ""),
            _ => return Err(unknown()),
        };
        if name.is_empty() && resource.template.contains('{') {
            return Err(unknown());
        }
        let name = percent_decode_str(name).decode_utf8().map_err(|_| unknown())?;
        Ok((resource, name.into_owned()))
    }

    /// What `method` asks for; HEAD is answered like GET, without the body.
    pub(super) fn action(&self, method: &str) -> Result<(Action, Role), Problem> {
        let wanted = if method == "HEAD" { "GET" } else { method };
        let found = self.methods.iter().find(|(name, ..)| *name == wanted);
        let refused = || {
            let allowed = self.allow();
            Problem::new(Kind::MethodNotAllowed, format!("{} takes {allowed}", self.template))
        };
        found.map(|(_, action, role)| (*action, *role)).ok_or_else(refused)
    }

    /// The `Allow` header.
    pub(super) fn allow(&self) -> String {
        let names = self.methods.iter().flat_map(|(name, ..)| match *name {
            "GET" => vec!["GET", "HEAD"],
            other => vec![other],
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(&'static str, String)> {
        Resource::find(path).ok().map(|(resource, name)| (resource.template, name))
    }

    #[test]
    fn paths_name_resources() {
        for (path, template, name) in [
            ("/api/v1/links", "/api/v1/links", ""),
            ("/api/v1/links/Ab-1", "/api/v1/links/{slug}", "Ab-1"),
            ("/api/v1/links/docs%2F2026", "/api/v1/links/{slug}", "docs/2026"),
            ("/api/v1/links/stats", "/api/v1/links/{slug}", "stats"),
            ("/api/v1/links/a%252Fb/stats", "/api/v1/links/{slug}/stats", "a%2Fb"),
            ("/api/v1/stats/integrity", "/api/v1/stats/integrity", ""),
            ("/api/v1/keys/abc", "/api/v1/keys/{id}", "abc"),
        ] {
            assert_eq!(found(path), Some((template, name.to_owned())), "{path}");
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for path in [
            "",
            "/",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v2/links",
            "/api/v1/links/",
            "/api/v1//links",
            "/api/v1/links/a/",
            "/api/v1/links//stats",
            "/api/v1/links/a/b/stats",
            "/api/v1/LINKS",
            "/api/v1/links/%FF",
            "/api/v1/keys/",
            "api/v1/links",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn methods_are_exact_and_head_is_get() {
        let (links, _) = Resource::find("/api/v1/links").unwrap();
        assert_eq!(links.action("HEAD"), Ok((Action::ListLinks, Role::Viewer)));
        assert_eq!(links.allow(), "GET, HEAD, POST");
        for method in ["get", "PUT", "OPTIONS", "DELETE", ""] {
            assert_eq!(
                links.action(method).map_err(|problem| problem.kind),
                Err(Kind::MethodNotAllowed)
            );
        }
        let (key, _) = Resource::find("/api/v1/keys/x").unwrap();
        assert_eq!(key.allow(), "DELETE");
        assert!(key.action("HEAD").is_err());
    }
}
