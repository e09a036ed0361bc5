//! What callers send, checked: the body of a creation or a change, with every fault reported at
//! once and nothing repaired in silence.
//!
//! In scope: JSON, types, limits, and what the fields of one link must be to each other. Out of
//! scope: other links (is the slug free?), passwords' hashes, and who may do what.

mod faults;
mod json;
mod rule;
mod settings;
mod values;
mod view;
mod when;

#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Map, Value};
use waypost_wire::time::Timestamp;

use crate::destination::DestinationRules;
use crate::model::{Link, LinkId};
use crate::problem::Problem;
use crate::slug::{SlugRules, parse_custom};

use faults::At;
use values::Checker;

pub use view::{LinkView, ViewFacts};

/// Longest password of a link.
const PASSWORD_MAX_CHARS: usize = 200;

/// What an installation accepts in links.
#[derive(Clone, Debug)]
pub struct DraftRules {
    /// Where links may lead. The app schemes among them are accepted for `ios_destination`,
    /// `android_destination` and in rules only: elsewhere every visitor must be able to follow.
    pub destination: DestinationRules,
    /// The domains links can be on.
    pub domains: Vec<DomainRules>,
    /// The domain of links that name none; one of `domains`.
    pub default_domain: String,
    /// The status of links that name none: 301, 302, 307 or 308.
    pub redirect_status_default: u16,
}

/// A domain links can be on.
#[derive(Clone, Debug)]
pub struct DomainRules {
    /// Lower-case host name, without port.
    pub name: String,
    /// Slugs that differ in case only are the same.
    pub ignore_case: bool,
    /// What custom slugs may be.
    pub slug: SlugRules,
}

impl DraftRules {
    /// The domain of this name, in any case.
    pub fn domain(&self, name: &str) -> Option<&DomainRules> {
        let is_it = |domain: &&DomainRules| domain.name.eq_ignore_ascii_case(name);
        self.domains.iter().find(is_it)
    }
}

/// A link to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDraft {
    /// The slug asked for; without it, a code is to be made.
    pub slug: Option<String>,
    /// The password visitors must give, to be hashed.
    pub password: Option<String>,
    /// The slug may come out of quarantine.
    pub override_quarantine: bool,
    /// What was asked for; id, slug and times are still blank.
    link: Link,
}

impl NewDraft {
    /// The domain the link will be on.
    pub fn domain(&self) -> &str {
        &self.link.domain
    }

    /// The caller's own id for the link.
    pub fn external_id(&self) -> Option<&str> {
        self.link.external_id.as_deref()
    }

    /// The link, created at `now`. `password_hash` is the hash of [`NewDraft::password`].
    pub fn into_link(
        self,
        id: LinkId,
        slug: String,
        password_hash: Option<String>,
        now: Timestamp,
    ) -> Link {
        Link {
            id,
            slug,
            password_version: u32::from(password_hash.is_some()),
            password_hash,
            created_at: now,
            updated_at: now,
            ..self.link
        }
    }
}

/// A link to be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The link with the fields replaced. Version, `updated_at`, password hash and password
    /// version are as before: they are the writer's to set.
    pub link: Link,
    /// What happens to the password.
    pub password: PasswordChange,
}

/// What a change does to the password. Anything but [`PasswordChange::Keep`] must raise
/// `password_version`, which ends the validity of cookies given for the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordChange {
    /// Not mentioned.
    Keep,
    /// Visitors need none any more.
    Remove,
    /// Visitors need this one, to be hashed.
    Set(String),
}

/// Reads the body of a creation.
///
/// # Errors
/// A problem that lists every field at fault.
pub fn parse_new(body: &[u8], rules: &DraftRules, now: Timestamp) -> Result<NewDraft, Problem> {
    let mut document = json::read_object(body)?;
    let mut checker = Checker::new(&rules.destination);
    let domain = domain(&mut checker, document.remove("domain"), rules);
    let slug =
        present(document.remove("slug")).and_then(|value| slug(&mut checker, &value, domain));
    let password =
        present(document.remove("password")).and_then(|value| password(&mut checker, &value));
    let override_quarantine = present(document.remove("override_quarantine"))
        .and_then(|value| checker.boolean(At::Body.field("override_quarantine"), &value));
    let name = domain.map_or_else(String::new, |domain| domain.name.clone());
    let mut link = settings::blank(name, rules.redirect_status_default);
    settings::apply(&mut checker, &document, &mut link, rules.redirect_status_default);
    if !document.contains_key("destination") {
        checker.add(At::Body.field("destination"), "is missing", values::WEB_URL);
    }
    settings::check_together(&mut checker, &link, now);
    settings::check_future(&mut checker, &link, now);
    checker.finish()?;
    Ok(NewDraft {
        slug,
        password,
        override_quarantine: override_quarantine.unwrap_or_default(),
        link,
    })
}

/// Reads the body of a change to `link`: a JSON merge patch (RFC 7396), in which null removes a
/// field or sets it back to its default.
///
/// Only what the patch mentions is checked against `rules`, so that a link made under older rules
/// can still be given a new title.
///
/// # Errors
/// A problem that lists every field at fault.
pub fn parse_patch(
    body: &[u8],
    link: &Link,
    rules: &DraftRules,
    now: Timestamp,
) -> Result<Patch, Problem> {
    let mut document = json::read_object(body)?;
    let mut checker = Checker::new(&rules.destination);
    unchangeable(&mut checker, "domain", document.remove("domain"), |name| {
        name.eq_ignore_ascii_case(&link.domain)
    });
    unchangeable(&mut checker, "slug", document.remove("slug"), |slug| slug == link.slug);
    let password = match document.remove("password") {
        None => PasswordChange::Keep,
        Some(Value::Null) => PasswordChange::Remove,
        Some(value) => {
            password(&mut checker, &value).map_or(PasswordChange::Keep, PasswordChange::Set)
        }
    };
    let mut changed = link.clone();
    let document = json::merged(document, &nested(link));
    settings::apply(&mut checker, &document, &mut changed, rules.redirect_status_default);
    if may_be_followed_again(link, &changed) {
        changed.used_up = false;
    }
    settings::check_together(&mut checker, &changed, now);
    checker.finish()?;
    Ok(Patch { link: changed, password })
}

/// The fields of a link that a patch goes into instead of replacing them.
fn nested(link: &Link) -> Map<String, Value> {
    let mut fields = Map::new();
    // Strings under fixed names always become JSON.
    fields.extend(serde_json::to_value(&link.utm).map(|utm| (String::from("utm"), utm)));
    let preview = serde_json::to_value(&link.preview);
    fields.extend(preview.map(|preview| (String::from("preview"), preview)));
    fields
}

/// A click limit that was raised or lifted. Should the new one be reached too, the next use says
/// so.
fn may_be_followed_again(before: &Link, after: &Link) -> bool {
    let limit = |link: &Link| link.max_clicks.unwrap_or(u64::MAX);
    limit(before) < limit(after)
}

/// Null is as good as nothing in a creation.
fn present(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_null())
}

fn domain<'r>(
    checker: &mut Checker<'_>,
    value: Option<Value>,
    rules: &'r DraftRules,
) -> Option<&'r DomainRules> {
    let at = At::Body.field("domain");
    let name = match present(value) {
        None => rules.default_domain.clone(),
        Some(value) => checker.string(at, &value)?.to_owned(),
    };
    let found = rules.domain(&name);
    if found.is_none() {
        let detail = format!("{} is not served here", values::quoted(&name));
        let names: Vec<_> = rules.domains.iter().map(|domain| domain.name.as_str()).collect();
        checker.add(at, detail, format!("one of {}", names.join(", ")));
    }
    found
}

/// Without a known domain there are no rules to read a slug by; its fault is reported alone.
fn slug(checker: &mut Checker<'_>, value: &Value, domain: Option<&DomainRules>) -> Option<String> {
    let at = At::Body.field("slug");
    let text = checker.string(at, value)?;
    let fault = match parse_custom(text, &domain?.slug) {
        Ok(slug) => return Some(slug),
        Err(fault) => fault,
    };
    checker.add(at, fault.detail(), fault.expected());
    None
}

fn password(checker: &mut Checker<'_>, value: &Value) -> Option<String> {
    checker.line(At::Body.field("password"), value, PASSWORD_MAX_CHARS)
}

fn unchangeable(
    checker: &mut Checker<'_>,
    name: &str,
    value: Option<Value>,
    is_same: impl Fn(&str) -> bool,
) {
    match value {
        None => {}
        Some(Value::String(text)) if is_same(&text) => {}
        Some(_) => checker.add(
            At::Body.field(name),
            "cannot be changed",
            format!("no {name}; create another link, and delete this one"),
        ),
    }
}
