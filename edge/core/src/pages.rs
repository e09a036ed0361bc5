//! The pages a visitor can meet instead of a redirect: small, without script, every value escaped.
//!
//! In scope: choosing the language, filling the templates of `edge/pages`, the content security
//! policy of each page. Out of scope: statuses and other headers, which belong to the reply.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use waypost_wire::time::Timestamp;

use self::shown::{date, iso_date, link_text, owner_text, url_parts};
use self::template::{Value, fill};
use self::text::{Message, Text};

mod shown;
mod template;
mod text;

/// A page and what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// The request's path is malformed.
    BadRequest,
    /// The link was taken down.
    Blocked {
        /// By a legal demand (RFC 7725), not for abuse.
        legal: bool,
    },
    /// The link is deleted, expired or used up; the page does not tell which.
    Gone,
    /// The host's own page, at `/`.
    Home,
    /// The address can be read only.
    MethodNotAllowed,
    /// No such link, or none yet.
    NotFound,
    /// The card of a link, for the link preview agents of social networks.
    OpenGraph(OpenGraphPage<'a>),
    /// The link asks for a password.
    Password {
        /// Where the form posts to: the path (and query) of the link, with one leading slash.
        action: &'a str,
        /// What happened so far.
        state: PasswordState,
    },
    /// Where a link leads, instead of going there.
    Preview(PreviewPage<'a>),
    /// The link could not be read; trying again may help.
    Unavailable,
    /// The service does not answer for the requested host.
    WrongHost,
}

/// What happened on the password page so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordState {
    /// Nothing: the visitor is asked for the first time.
    Asked,
    /// The limit of attempts is reached; the visitor has to wait.
    TooMany,
    /// The password was wrong.
    Wrong,
}

/// What the preview page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviewPage<'a> {
    /// The short link itself, with scheme and host, without the `+`.
    pub short_url: &'a str,
    /// The stored destination, as serialised when the link was written.
    pub destination: &'a str,
    /// The destination with its host in Unicode, if that differs (an internationalised host).
    pub readable_destination: Option<&'a str>,
    /// The link's title.
    pub title: Option<&'a str>,
    /// When the link was created; shown as a date in UTC.
    pub created_at: Timestamp,
    /// Rules or device destinations may lead some visitors elsewhere.
    pub has_rules: bool,
}

/// What the page for link preview agents says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGraphPage<'a> {
    /// The short link itself: `og:url`, so that the card stays the link's own.
    pub short_url: &'a str,
    /// The stored destination, for people who meet this page.
    pub destination: &'a str,
    /// `og:title`; the host of the destination stands in.
    pub title: Option<&'a str>,
    /// `og:description`.
    pub description: Option<&'a str>,
    /// `og:image`: an http or https URL.
    pub image: Option<&'a str>,
}

/// A page, ready to send as `text/html; charset=utf-8`.
///
/// Every page depends on `Accept-Language`: send `Vary: Accept-Language` with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The document.
    pub html: String,
    /// For `Content-Language`.
    pub language: &'static str,
    /// For `Content-Security-Policy`.
    pub csp: &'static str,
}

/// The page in the language that suits `accept_language` (the header's value) best.
pub fn render(page: &Page<'_>, accept_language: Option<&str>) -> Rendered {
    let text = Text::for_visitor(accept_language);
    let (template, values) = document(page, text);
    let csp = if matches!(page, Page::Password { .. }) { PASSWORD_CSP } else { CSP };
    Rendered { html: fill(template, &values), language: text.language, csp }
}

/// The style block of every page; it holds no character that escaping changes.
const STYLE: &str = include_str!("../../pages/style.css");

/// The content security policy, with or without a last directive. The hash is the SHA-256 of
/// [`STYLE`] in base64.
macro_rules! csp {
    ($last:literal) => {
        concat!(
            "default-src 'none'; ",
            "style-src 'sha256-QS//hUqtQ1zF9h7sTcxzz7jUBIggZdb8+Ijyvr2BKAM='; ",
            "base-uri 'none'; frame-ancestors 'none'",
            $last
        )
    };
}

const CSP: &str = csp!("; form-action 'none'");

/// Without `form-action`: Chromium applies the directive to the redirects that follow a form too,
/// and the right password leads to the destination, on any host and in any scheme.
const PASSWORD_CSP: &str = csp!("");

const MESSAGE: &str = include_str!("../../pages/message.html");
const OPEN_GRAPH: &str = include_str!("../../pages/open-graph.html");
const PASSWORD: &str = include_str!("../../pages/password.html");
const PREVIEW: &str = include_str!("../../pages/preview.html");

/// Outlines of the pictures above the headings: paths on a field of 24 by 24.
mod icon {
    pub(super) const BLOCKED: &str = "M12 3a9 9 0 100 18 9 9 0 000-18M5.7 5.7l12.6 12.6";
    pub(super) const CAUTION: &str = "M12 4l9 16H3zM12 10v4.5m0 2.5v.01";
    pub(super) const CLOCK: &str = "M12 3a9 9 0 100 18 9 9 0 000-18m0 4.5V12l3 2";
    pub(super) const LOCK: &str = "M6 11h12v9H6zM8.5 11V7.5a3.5 3.5 0 017 0V11";
    pub(super) const EYE: &str = "M2.5 12Q7 5.5 12 5.5t9.5 6.5Q17 18.5 12 18.5T2.5 12M12 9.5\
                                a2.5 2.5 0 100 5 2.5 2.5 0 000-5";
    pub(super) const RETRY: &str = "M19.5 12a7.5 7.5 0 11-2.2-5.3L19.5 9m0-5v5h-5";
    pub(super) const SIGNPOST: &str = "M12 3v2m0 6v10m-3 0h6M6 5h11l3 3-3 3H6z";
}

/// The template of a page and the value of each of its placeholders.
fn document<'a>(page: &Page<'a>, text: &'static Text) -> (&'static str, Vec<Value<'a>>) {
    match page {
        Page::BadRequest => message(text, &text.bad_request, icon::CAUTION),
        Page::Blocked { legal: false } => message(text, &text.blocked_abuse, icon::BLOCKED),
        Page::Blocked { legal: true } => message(text, &text.blocked_legal, icon::BLOCKED),
        Page::Gone => message(text, &text.gone, icon::CLOCK),
        Page::Home => message(text, &text.home, icon::SIGNPOST),
        Page::MethodNotAllowed => message(text, &text.method_not_allowed, icon::CAUTION),
        Page::NotFound => message(text, &text.not_found, icon::SIGNPOST),
        Page::OpenGraph(card) => (OPEN_GRAPH, open_graph(text, card)),
        Page::Password { action, state } => (PASSWORD, password(text, action, *state)),
        Page::Preview(preview) => (PREVIEW, preview_values(text, preview)),
        Page::Unavailable => message(text, &text.unavailable, icon::RETRY),
        Page::WrongHost => message(text, &text.wrong_host, icon::CAUTION),
    }
}

fn message<'a>(
    text: &'static Text,
    message: &'static Message,
    icon: &'static str,
) -> (&'static str, Vec<Value<'a>>) {
    let values = vec![
        some("language", text.language),
        some("style", STYLE),
        some("icon", icon),
        some("heading", message.heading),
        some("body", message.body),
    ];
    (MESSAGE, values)
}

fn password<'a>(text: &'static Text, action: &'a str, state: PasswordState) -> Vec<Value<'a>> {
    let problem = match state {
        PasswordState::Asked => None,
        PasswordState::TooMany => Some(text.password_too_many),
        PasswordState::Wrong => Some(text.password_wrong),
    };
    vec![
        some("language", text.language),
        some("style", STYLE),
        some("icon", icon::LOCK),
        some("heading", text.password.heading),
        some("hint", text.password.body),
        optional("problem", problem),
        some("action", action),
        some("label", text.password_label),
        some("described_by", if problem.is_some() { "problem" } else { "hint" }),
        some("invalid", if state == PasswordState::Wrong { "true" } else { "false" }),
        some("button", text.password_button),
    ]
}

fn preview_values<'a>(text: &'static Text, page: &PreviewPage<'a>) -> Vec<Value<'a>> {
    let url = url_parts(page.destination);
    let title = page.title.map(owner_text).filter(|title| !title.is_empty());
    vec![
        some("language", text.language),
        some("style", STYLE),
        some("icon", icon::EYE),
        some("heading", text.preview.heading),
        some("intro", text.preview.body),
        some("short_link_label", text.short_link_label),
        some("short_link", link_text(page.short_url)),
        some("title_label", text.title_label),
        optional("title", title),
        some("destination_label", text.destination_label),
        some("before", link_text(url.before)),
        some("emphasis", link_text(url.emphasis)),
        some("after", link_text(url.after)),
        some("readable_label", text.readable_label),
        optional("readable", page.readable_destination.map(link_text)),
        some("created_label", text.created_label),
        some("created", iso_date(page.created_at)),
        some("created_text", date(page.created_at, text)),
        optional("rules_note", page.has_rules.then_some(text.rules_note)),
        some("destination", page.destination),
        some("continue", continue_text(text, url.host)),
    ]
}

fn open_graph<'a>(text: &'static Text, card: &OpenGraphPage<'a>) -> Vec<Value<'a>> {
    let url = url_parts(card.destination);
    let title = card.title.map(owner_text).filter(|title| !title.is_empty());
    let kind = if card.image.is_some() { "summary_large_image" } else { "summary" };
    vec![
        some("language", text.language),
        some("style", STYLE),
        some("title", title.unwrap_or_else(|| link_text(url.emphasis))),
        optional("description", card.description.map(owner_text)),
        optional("image", card.image),
        some("short_url", card.short_url),
        some("card", kind),
        some("destination", card.destination),
        some("continue", continue_text(text, url.host)),
    ]
}

/// The words on the link to the destination: they name its host, if it has one.
fn continue_text(text: &Text, host: Option<&str>) -> String {
    match host {
        Some(host) => format!("{} {}", text.continue_to, link_text(host)),
        None => String::from(text.continue_in_app),
    }
}

fn some<'a>(name: &'static str, value: impl Into<Cow<'a, str>>) -> Value<'a> {
    (name, Some(value.into()))
}

fn optional<'a>(name: &'static str, value: Option<impl Into<Cow<'a, str>>>) -> Value<'a> {
    (name, value.map(Into::into))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use sha2::{Digest, Sha256};

    use super::template::{escape, placeholders};
    use super::text::LANGUAGES;
    use super::*;

    const PREVIEW_PAGE: PreviewPage<'static> = PreviewPage {
        short_url: "https://go.example/a",
        destination: "https://www.example.com/",
        readable_destination: Some("https://www.example.com/"),
        title: Some("A title"),
        created_at: Timestamp(0),
        has_rules: true,
    };

    fn pages() -> Vec<Page<'static>> {
        let card = OpenGraphPage {
            short_url: "https://go.example/a",
            destination: "https://www.example.com/",
            title: Some("A title"),
            description: Some("A description"),
            image: Some("https://img.example/1.png"),
        };
        let mut pages = vec![
            Page::BadRequest,
            Page::Blocked { legal: false },
            Page::Blocked { legal: true },
            Page::Gone,
            Page::Home,
            Page::MethodNotAllowed,
            Page::NotFound,
            Page::OpenGraph(card),
            Page::Preview(PREVIEW_PAGE),
            Page::Unavailable,
            Page::WrongHost,
        ];
        for state in [PasswordState::Asked, PasswordState::TooMany, PasswordState::Wrong] {
            pages.push(Page::Password { action: "/a", state });
        }
        pages
    }

    #[test]
    fn every_placeholder_has_a_value_and_every_value_a_placeholder() {
        for page in pages() {
            for text in LANGUAGES {
                let (template, values) = document(&page, text);
                let names: BTreeSet<&str> = values.iter().map(|(name, _)| *name).collect();
                assert_eq!(names.len(), values.len(), "{page:?} gives a value twice");
                assert_eq!(placeholders(template), names, "{page:?}");
            }
        }
    }

    #[test]
    fn every_page_is_small_in_every_language() {
        for page in pages() {
            for text in LANGUAGES {
                let html = render(&page, Some(text.language)).html;
                assert!(html.len() < 4_096, "{page:?} has {} bytes", html.len());
            }
        }
    }

    #[test]
    fn the_policy_allows_exactly_the_style_block() {
        let mut escaped = String::new();
        escape(STYLE, &mut escaped);
        assert_eq!(escaped, STYLE, "escaping must not change the style");
        for page in pages() {
            let rendered = render(&page, None);
            let (_, rest) = rendered.html.split_once("<style>").unwrap();
            let (style, rest) = rest.split_once("</style>").unwrap();
            assert!(!rest.contains("<style") && !rendered.html.contains("style="), "{page:?}");
            let hash = base64(&Sha256::digest(style.as_bytes()));
            assert!(
                rendered.csp.contains(&format!("style-src 'sha256-{hash}'")),
                "the style of {page:?} has the hash sha256-{hash}"
            );
        }
    }

    /// Base64 of input whose length leaves a remainder of two on division by three, like a
    /// SHA-256: one `=` at the end.
    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for digit in 0..=chunk.len() {
                text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
            }
        }
        text.push('=');
        text
    }
}
