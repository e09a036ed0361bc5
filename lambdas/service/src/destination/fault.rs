//! Why a destination was refused.

use url::ParseError;

/// Why a destination was refused. [`Display`](std::fmt::Display) says what was wrong,
/// [`DestinationFault::expected`] what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationFault {
    /// A backslash; browsers take it for a slash.
    #[error("there is a backslash at byte {at_byte}")]
    Backslash {
        /// Offset in the input.
        at_byte: usize,
    },
    /// A control character; browsers drop some of them.
    #[error("there is a control character (U+{:04X}) at byte {at_byte}", *.character as u32)]
    ControlCharacter {
        /// The first one.
        character: char,
        /// Offset in the input.
        at_byte: usize,
    },
    /// Nothing there.
    #[error("the destination is empty")]
    Empty,
    /// Percent-encoding in the host.
    #[error("the host {host:?} is percent-encoded")]
    EncodedHost {
        /// As given.
        host: String,
    },
    /// The host is no host name and no address, or breaks the length limits of DNS.
    #[error("{host:?} is not a valid host name or address")]
    Host {
        /// As given.
        host: String,
    },
    /// A character that shows nothing or reorders others.
    #[error("there is an invisible character (U+{:04X}) at byte {at_byte}", *.character as u32)]
    InvisibleCharacter {
        /// The first one.
        character: char,
        /// Offset in the input.
        at_byte: usize,
    },
    /// A name that only means something on the visitor's own network or machine.
    #[error("{host:?} is a name of a local network")]
    LocalName {
        /// As A-label.
        host: String,
    },
    /// `http:///path`.
    #[error("there is no host behind {scheme}://")]
    NoHost {
        /// The scheme given.
        scheme: String,
    },
    /// No scheme at all.
    #[error("the destination does not start with a scheme")]
    NoScheme,
    /// `https:example.com`.
    #[error("there is no // behind {scheme}:")]
    NoSlashes {
        /// The scheme given.
        scheme: String,
    },
    /// An IPv4 address in another spelling than four decimal numbers.
    #[error("{host:?} is an unusual spelling of the address {address}")]
    OddAddress {
        /// As given.
        host: String,
        /// What it means.
        address: String,
    },
    /// A link to a host that Waypost itself serves.
    #[error("{host:?} is served by Waypost itself, so this could be a loop")]
    OwnDomain {
        /// As A-label or address.
        host: String,
    },
    /// The port is no number from 0 to 65535.
    #[error("{authority:?} has an invalid port")]
    Port {
        /// Host and port as given.
        authority: String,
    },
    /// Not an address of the public internet, also when wrapped in IPv6.
    #[error("{host:?} is not an address of the public internet")]
    PrivateAddress {
        /// The address in its usual spelling.
        host: String,
    },
    /// A scheme that no setting allows.
    #[error("{scheme}: can run code in the visitor's browser or read from it")]
    SchemeNeverAllowed {
        /// In lower case.
        scheme: String,
    },
    /// A scheme that is not on the list.
    #[error("the scheme {scheme}: is not allowed")]
    SchemeNotAllowed {
        /// In lower case.
        scheme: String,
    },
    /// A public shortener.
    #[error("{host:?} is a link shortener, which hides where visitors end")]
    Shortener {
        /// As A-label.
        host: String,
    },
    /// A host name without a dot.
    #[error("the host {host:?} has no domain")]
    SingleLabel {
        /// As A-label.
        host: String,
    },
    /// A space where it cannot be encoded for the caller.
    #[error("there is a space at byte {at_byte}")]
    Space {
        /// Offset in the serialised form.
        at_byte: usize,
    },
    /// White space at an end.
    #[error("there is white space before or behind the destination")]
    SurroundingSpace,
    /// Longer than allowed, as given.
    #[error("the destination has {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Longer than allowed once special characters are encoded.
    #[error("the destination has {bytes} bytes once it is encoded")]
    TooLongStored {
        /// Its length in serialised form.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A dot behind the host name.
    #[error("the host {host:?} ends with a dot")]
    TrailingDot {
        /// As A-label.
        host: String,
    },
    /// The parser refused it for a reason not named above.
    #[error("the destination is not a valid URL: {reason}")]
    Unparsable {
        /// In the parser's words.
        reason: String,
    },
    /// A user name or password before the host.
    #[error("there is a user name or an @ before the host")]
    Userinfo,
}

impl DestinationFault {
    /// What was wrong; the same text as `Display`.
    pub fn detail(&self) -> String {
        self.to_string()
    }

    /// What would be right.
    pub fn expected(&self) -> String {
        match self {
            Self::Backslash { .. } => "/ as separator, or %5C if a backslash is meant".into(),
            Self::ControlCharacter { character, .. } | Self::InvisibleCharacter { character, .. } => {
                format!("visible characters only; if it is meant, write {}", escaped(*character))
            }
            Self::Empty | Self::NoScheme | Self::NoHost { .. } | Self::Unparsable { .. } => {
                "an absolute URL such as https://example.com/page".into()
            }
            Self::EncodedHost { .. } => "the host in plain characters, without %".into(),
            Self::Host { .. } => {
                "a host name of letters, digits and hyphens, each part 1 to 63 and all of it at most 253 characters, or an IP address"
                    .into()
            }
            Self::LocalName { .. } | Self::PrivateAddress { .. } | Self::SingleLabel { .. } => {
                "a host on the public internet, such as www.example.com".into()
            }
            Self::NoSlashes { scheme } => format!("{scheme}:// and then the host"),
            Self::OddAddress { address, .. } => format!("the address written as {address}"),
            Self::OwnDomain { .. } => {
                "the final destination, not a link or page of this service".into()
            }
            Self::Port { .. } => "a port from 0 to 65535, or none".into(),
            Self::SchemeNeverAllowed { .. } => "a URL that starts with https:// or http://".into(),
            Self::SchemeNotAllowed { .. } => {
                "https, http, or a scheme from this installation's list of app schemes".into()
            }
            Self::Shortener { .. } => "the URL that the short link leads to".into(),
            Self::Space { .. } => "%20 in place of a space".into(),
            Self::SurroundingSpace => "the URL alone, without white space around it".into(),
            Self::TooLong { max_bytes, .. } => format!("at most {max_bytes} bytes"),
            Self::TooLongStored { max_bytes, .. } => {
                format!("at most {max_bytes} bytes, where each byte of a special character counts as three")
            }
            Self::TrailingDot { host } => format!("{:?}", host.trim_end_matches('.')),
            Self::Userinfo => "the host directly behind ://, without a user name".into(),
        }
    }
}

/// `character` percent-encoded as UTF-8.
fn escaped(character: char) -> String {
    let mut bytes = [0; 4];
    let text = character.encode_utf8(&mut bytes);
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The fault behind a refusal by the parser.
pub(super) fn from_parser(error: ParseError, authority: &str) -> DestinationFault {
    match error {
        ParseError::EmptyHost
        | ParseError::IdnaError
        | ParseError::InvalidDomainCharacter
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address => DestinationFault::Host { host: authority.to_owned() },
        ParseError::InvalidPort => DestinationFault::Port { authority: authority.to_owned() },
        _ => DestinationFault::Unparsable { reason: error.to_string() },
    }
}
