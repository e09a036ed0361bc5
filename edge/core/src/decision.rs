//! What to answer, and why. The reasons travel to logs, metrics and test cases.

use alloc::borrow::Cow;
use alloc::string::String;

use waypost_wire::record::{Preview, RedirectStatus};
use waypost_wire::time::Timestamp;

use crate::pages::PasswordState;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Ask for the link's password.
    AskPassword(PasswordState),
    /// Show a link preview agent what the link's owner wrote for it.
    Card(Card<'a>),
    /// There is nothing here any more.
    Gone {
        /// Why.
        reason: GoneReason,
        /// Where the owner sends visitors instead.
        to: Option<&'a str>,
    },
    /// There is nothing here.
    NotFound(NotFoundReason),
    /// Show where the link leads.
    Preview(LinkPage<'a>),
    /// Send the visitor on.
    Redirect(Redirect<'a>),
    /// Do not answer the question.
    Refuse(RefuseReason),
    /// One of the fixed files.
    Serve(Fixed),
    /// The answer cannot be found out now.
    Unavailable(Cause),
    /// A password was given: the origin must check it, then [`crate::decide::unlocked`] or
    /// [`Decision::AskPassword`] follows.
    Unlock(String),
    /// The password was right: remember it, and ask again for the same address.
    Unlocked {
        /// `Set-Cookie`.
        cookie: String,
        /// `Location`: the path and query asked for.
        to: String,
    },
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The `Location`.
    pub to: Cow<'a, str>,
    /// The status.
    pub status: RedirectStatus,
    /// What clients may remember.
    pub cache: Cache,
    /// What chose the destination.
    pub via: Via,
    /// The link has a click limit and this request takes a use of it: the origin must grant it.
    pub takes_use: bool,
}

/// What clients may remember of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The client itself, no proxy, for this long.
    Private {
        /// At least 1.
        max_age_seconds: u32,
    },
    /// Nothing.
    NoStore,
}

/// What chose the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The destination for Android.
    Android,
    /// Nothing special applied.
    Default,
    /// The destination for iOS.
    Ios,
    /// A rule.
    Rule {
        /// Position among the link's rules.
        rule: usize,
        /// Position among the rule's destinations.
        variant: usize,
    },
}

/// A link as its preview page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPage<'a> {
    /// Where it leads without rules.
    pub destination: &'a str,
    /// The same with its host in Unicode, if that differs.
    pub readable_destination: Option<&'a str>,
    /// The link's title.
    pub title: Option<&'a str>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Some visitors are sent elsewhere.
    pub varies: bool,
}

/// A link as link preview agents see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card<'a> {
    /// What its owner wrote.
    pub preview: Preview<'a>,
    /// Where it leads; `None` if a password hides that.
    pub destination: Option<&'a str>,
}

/// Why a link is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneReason {
    /// By its owner, or by clean-up.
    Deleted,
    /// Its time is over.
    Expired,
    /// Its clicks are used up.
    UsedUp,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFoundReason {
    /// The slug has the shape of a generated one, but its check character is wrong.
    CheckCharacter,
    /// The link is switched off.
    Disabled,
    /// Asked for, and not there.
    NoLink,
    /// The link's time has not come.
    NotYet,
    /// No slug can look like this.
    NoSlug,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// The link was taken down for abuse.
    BlockedAbuse,
    /// The link was taken down on legal demand.
    BlockedLegal,
    /// The path is malformed.
    MalformedPath,
    /// The method is not for this address.
    Method,
    /// The host is none of ours.
    WrongHost,
}

/// Files that are the same for every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// No icon.
    Favicon,
    /// The page at `/`, or where the domain's owner sends visitors instead.
    Home(Option<String>),
    /// `/robots.txt`.
    Robots,
}

/// Why there is no answer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A stored record could not be decoded.
    DamagedRecord,
    /// The origin could not grant a use, or check a password.
    OriginFailed,
    /// The record could not be read.
    ReadFailed,
}

impl Decision<'_> {
    /// One word for logs and cases.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AskPassword(_) => "ask_password",
            Self::Card(_) => "card",
            Self::Gone { .. } => "gone",
            Self::NotFound(_) => "not_found",
            Self::Preview(_) => "preview",
            Self::Redirect(_) => "redirect",
            Self::Refuse(_) => "refuse",
            Self::Serve(_) => "serve",
            Self::Unavailable(_) => "unavailable",
            Self::Unlock(_) => "unlock",
            Self::Unlocked { .. } => "unlocked",
        }
    }

    /// The reason behind it, in one word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::AskPassword(PasswordState::Asked) => "locked",
            Self::AskPassword(PasswordState::TooMany) => "too_many_attempts",
            Self::AskPassword(PasswordState::Wrong) => "wrong_password",
            Self::Card(_) => "link_preview_agent",
            Self::Gone { reason, .. } => reason.name(),
            Self::NotFound(reason) => reason.name(),
            Self::Preview(_) => "asked",
            Self::Redirect(redirect) => redirect.via.name(),
            Self::Refuse(reason) => reason.name(),
            Self::Serve(Fixed::Favicon) => "favicon",
            Self::Serve(Fixed::Home(_)) => "home",
            Self::Serve(Fixed::Robots) => "robots",
            Self::Unavailable(cause) => cause.name(),
            Self::Unlock(_) => "password_given",
            Self::Unlocked { .. } => "right_password",
        }
    }
}

impl GoneReason {
    const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::UsedUp => "used_up",
        }
    }
}

impl NotFoundReason {
    const fn name(self) -> &'static str {
        match self {
            Self::CheckCharacter => "check_character",
            Self::Disabled => "disabled",
            Self::NoLink => "no_link",
            Self::NotYet => "not_yet",
            Self::NoSlug => "no_slug",
        }
    }
}

impl RefuseReason {
    const fn name(self) -> &'static str {
        match self {
            Self::BlockedAbuse => "blocked_abuse",
            Self::BlockedLegal => "blocked_legal",
            Self::MalformedPath => "malformed_path",
            Self::Method => "method",
            Self::WrongHost => "wrong_host",
        }
    }
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::DamagedRecord => "damaged_record",
            Self::OriginFailed => "origin_failed",
            Self::ReadFailed => "read_failed",
        }
    }
}

impl Via {
    /// One word for logs and cases.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Android => "android_destination",
            Self::Default => "destination",
            Self::Ios => "ios_destination",
            Self::Rule { .. } => "rule",
        }
    }
}
