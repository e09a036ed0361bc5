//! What a link may lead to. A destination is parsed once, here, by the rules of the WHATWG URL
//! standard; what is stored is the parser's output, and the edge sends exactly those bytes.
//!
//! In scope: what can be told from the text alone. A host name that resolves to a private address
//! is not found here; whoever fetches a destination must check the address it connects to.

mod fault;
mod host;
mod looks;
mod utm;

use url::Url;

pub use fault::DestinationFault;
pub use host::canonical_host;
pub use utm::with_utm;

/// Default of [`DestinationRules::length_max_bytes`].
pub const LENGTH_DEFAULT_BYTES: usize = 2_048;

/// Ceiling of [`DestinationRules::length_max_bytes`]: CloudFront, the tightest of the hosts,
/// accepts URLs of 8,192 bytes.
pub const LENGTH_CEILING_BYTES: usize = 8_192;

/// Schemes that run code in, or read from, the browser that follows them. No setting allows them.
const NEVER_SCHEMES: [&str; 8] =
    ["about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source"];

/// Schemes whose URLs name a host on the network (WHATWG "special schemes").
const NETWORK_SCHEMES: [&str; 5] = ["ftp", "http", "https", "ws", "wss"];

/// What an installation accepts as destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRules {
    /// Hosts that Waypost serves, as [`canonical_host`] writes them. A link to them would be a loop.
    pub own_domains: Vec<String>,
    /// Schemes accepted beside http and https, without colon: deep links into apps.
    pub app_schemes: Vec<String>,
    /// Longest destination in bytes, as given and as stored; [`LENGTH_CEILING_BYTES`] at most.
    pub length_max_bytes: usize,
    /// Accept private addresses, local names and single-label hosts: for intranets.
    pub allow_private_hosts: bool,
    /// Accept links of well-known public shorteners: chains hide where a visitor ends.
    pub allow_shorteners: bool,
}

impl Default for DestinationRules {
    fn default() -> Self {
        Self {
            own_domains: Vec::new(),
            app_schemes: Vec::new(),
            length_max_bytes: LENGTH_DEFAULT_BYTES,
            allow_private_hosts: false,
            allow_shorteners: false,
        }
    }
}

/// An accepted destination. Parsing [`Destination::serialised`] again gives the same value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The bytes to store and to send: printable ASCII without spaces, the host as A-label.
    pub serialised: String,
    /// For people: the host as U-label, otherwise as `serialised`.
    pub display: String,
    /// The host as A-label or address; `None` for app links, whose "hosts" are not on the network.
    pub host: Option<String>,
    /// A label of the host mixes scripts in a way that no language does (UTS 39, above "highly
    /// restrictive"). To warn with, not to refuse.
    pub mixed_script: bool,
    /// A label of the host that is not ASCII looks like ASCII text (UTS 39 skeleton). To warn
    /// with, not to refuse.
    pub confusable: bool,
}

/// Accepts or refuses `input` as a destination.
///
/// Whatever a parser would silently repair is refused before parsing (tabs, backslashes, missing
/// slashes, encoded hosts), so that what people see is what is stored.
pub fn parse(input: &str, rules: &DestinationRules) -> Result<Destination, DestinationFault> {
    let max_bytes = rules.length_max_bytes.min(LENGTH_CEILING_BYTES);
    if input.len() > max_bytes {
        return Err(DestinationFault::TooLong { bytes: input.len(), max_bytes });
    }
    check_characters(input)?;
    let (scheme, rest) = split_scheme(input, rules)?;
    let is_network = NETWORK_SCHEMES.contains(&scheme.as_str());
    let authority = authority(&scheme, rest, is_network)?;
    let url = Url::parse(input).map_err(|error| fault::from_parser(error, authority))?;
    if is_network {
        host::check(&url, authority, rules)?;
    }
    let serialised = url.as_str();
    if serialised.len() > max_bytes {
        return Err(DestinationFault::TooLongStored { bytes: serialised.len(), max_bytes });
    }
    // The parser leaves spaces as they are in the path of a URL without `//`.
    if let Some(at_byte) = serialised.bytes().position(|byte| !byte.is_ascii_graphic()) {
        return Err(DestinationFault::Space { at_byte });
    }
    let looks = looks::of(&url);
    Ok(Destination {
        host: url.host_str().filter(|_| is_network).map(str::to_owned),
        display: looks.display,
        mixed_script: looks.mixed_script,
        confusable: looks.confusable,
        serialised: url.into(),
    })
}

/// Refuses what must not occur anywhere: the parser would drop or replace it, or nobody sees it.
fn check_characters(input: &str) -> Result<(), DestinationFault> {
    for (at_byte, character) in input.char_indices() {
        match character {
            '\\' => return Err(DestinationFault::Backslash { at_byte }),
            c if c.is_control() => {
                return Err(DestinationFault::ControlCharacter { character: c, at_byte });
            }
            c if is_invisible(c) => {
                return Err(DestinationFault::InvisibleCharacter { character: c, at_byte });
            }
            _ => {}
        }
    }
    if input.trim().is_empty() {
        return Err(DestinationFault::Empty);
    }
    if input.trim() != input {
        return Err(DestinationFault::SurroundingSpace);
    }
    Ok(())
}

/// Characters that show nothing, or change the order in which others are shown. The joiners
/// U+200C and U+200D are not among them: Persian and emoji need them, and IDNA checks hosts.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}')
}

/// The scheme in lower case, if it is accepted, and what follows its colon.
fn split_scheme<'a>(
    input: &'a str,
    rules: &DestinationRules,
) -> Result<(String, &'a str), DestinationFault> {
    let Some((scheme, rest)) = input.split_once(':') else {
        return Err(DestinationFault::NoScheme);
    };
    let is_scheme_shaped = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !is_scheme_shaped {
        return Err(DestinationFault::NoScheme);
    }
    let scheme = scheme.to_ascii_lowercase();
    if NEVER_SCHEMES.contains(&scheme.as_str()) {
        return Err(DestinationFault::SchemeNeverAllowed { scheme });
    }
    if matches!(scheme.as_str(), "http" | "https")
        || rules.app_schemes.iter().any(|app| app.eq_ignore_ascii_case(&scheme))
    {
        return Ok((scheme, rest));
    }
    // `example.com:8080/path` is a host and a port to people, a scheme to the standard.
    if scheme.contains('.') || rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(DestinationFault::NoScheme);
    }
    Err(DestinationFault::SchemeNotAllowed { scheme })
}

/// The part between `//` and the path, as typed; empty for app links without `//`.
fn authority<'a>(
    scheme: &str,
    rest: &'a str,
    is_network: bool,
) -> Result<&'a str, DestinationFault> {
    let Some(rest) = rest.strip_prefix("//") else {
        if is_network {
            return Err(DestinationFault::NoSlashes { scheme: scheme.to_owned() });
        }
        return Ok("");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(DestinationFault::Userinfo);
    }
    if is_network && authority.is_empty() {
        return Err(DestinationFault::NoHost { scheme: scheme.to_owned() });
    }
    if is_network && authority.contains('%') {
        return Err(DestinationFault::EncodedHost { host: authority.to_owned() });
    }
    Ok(authority)
}

#[cfg(test)]
mod promises;
#[cfg(test)]
mod tests;
