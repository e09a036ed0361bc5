//! A link as the API answers it.

use serde::Serialize;
use waypost_wire::time::Timestamp;

use crate::compile::looks;
use crate::model::{Block, Link, LinkId, LinkState, Preview, Rule, Utm};
use crate::time::{rfc3339, rfc3339_option};

/// What an answer says of a link beyond what is stored in it.
#[derive(Clone, Copy, Debug)]
pub struct ViewFacts<'a> {
    /// Scheme, host and port of the link's domain, without a final `/`.
    pub base_url: &'a str,
    /// How often the link was followed, as far as it is counted.
    pub clicks: u64,
    /// After how long every visitor sees an edit.
    pub edits_visible_within_seconds: u32,
    /// The time, for the state.
    pub now: Timestamp,
}

/// A link as the API answers it: what a creation accepts under the same names, never the password,
/// and what only the service knows. Serialises in the order of its fields.
#[derive(Clone, Debug, Serialize)]
pub struct LinkView<'a> {
    id: LinkId,
    short_url: String,
    domain: &'a str,
    slug: &'a str,
    destination: &'a str,
    /// With the host in Unicode, if that looks different.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_display: Option<String>,
    /// What a person should look at twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
    title: Option<&'a str>,
    tags: &'a [String],
    notes: Option<&'a str>,
    status: u16,
    state: LinkState,
    #[serde(with = "rfc3339_option")]
    starts_at: Option<Timestamp>,
    #[serde(with = "rfc3339_option")]
    expires_at: Option<Timestamp>,
    expired_destination: Option<&'a str>,
    max_clicks: Option<u64>,
    forward_query: bool,
    forward_path: bool,
    utm: Option<&'a Utm>,
    ios_destination: Option<&'a str>,
    android_destination: Option<&'a str>,
    has_password: bool,
    rules: &'a [Rule],
    preview: Option<&'a Preview>,
    disabled: bool,
    blocked: Option<Block>,
    keep: bool,
    external_id: Option<&'a str>,
    clicks: u64,
    version: u64,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339")]
    updated_at: Timestamp,
    #[serde(with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    #[serde(with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    quarantine_until: Option<Timestamp>,
    edits_visible_within_seconds: u32,
}

impl<'a> LinkView<'a> {
    /// How `link` looks to its owner.
    pub fn new(link: &'a Link, facts: &ViewFacts<'_>) -> Self {
        let looks = looks(&link.destination);
        let warnings = looks.iter().flat_map(|looks| {
            let mixed = looks.mixed_script.then_some(MIXED_SCRIPT);
            mixed.into_iter().chain(looks.confusable.then_some(CONFUSABLE))
        });
        Self {
            warnings: warnings.collect(),
            destination_display: looks.as_ref().map(|looks| looks.display.clone()),
            id: link.id,
            short_url: format!("{}/{}", facts.base_url, link.slug),
            domain: &link.domain,
            slug: &link.slug,
            destination: &link.destination,
            title: link.title.as_deref(),
            tags: &link.tags,
            notes: link.notes.as_deref(),
            status: link.status,
            state: link.state(facts.now),
            starts_at: link.starts_at,
            expires_at: link.expires_at,
            expired_destination: link.expired_destination.as_deref(),
            max_clicks: link.max_clicks,
            forward_query: link.forward_query,
            forward_path: link.forward_path,
            utm: link.utm.as_ref(),
            ios_destination: link.ios_destination.as_deref(),
            android_destination: link.android_destination.as_deref(),
            has_password: link.password_hash.is_some(),
            rules: &link.rules,
            preview: link.preview.as_ref(),
            disabled: link.disabled,
            blocked: link.blocked,
            keep: link.keep,
            external_id: link.external_id.as_deref(),
            clicks: facts.clicks,
            version: link.version,
            created_at: link.created_at,
            updated_at: link.updated_at,
            deleted_at: link.deleted_at,
            quarantine_until: link.quarantine_until,
            edits_visible_within_seconds: facts.edits_visible_within_seconds,
        }
    }
}

const MIXED_SCRIPT: &str = "the destination's host mixes writing systems, as deceptive names do";
const CONFUSABLE: &str = "the destination's host looks like another name in plain letters";
