//! What a decision may know of a request. Hosts fill it; nothing here is looked up.

/// A request, as plain values.
///
/// Absent means absent or unusable: a header that is not text is left out by the host, as is
/// geography that nobody trustworthy supplied.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFacts<'a> {
    /// The method.
    pub method: Method,
    /// The host the client asked for, with or without port.
    pub host: &'a str,
    /// The path as received, percent-encoded, beginning with `/`.
    pub path: &'a str,
    /// The query as received, without `?`.
    pub query: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// `Accept-Language`.
    pub accept_language: Option<&'a str>,
    /// `Referer`.
    pub referer: Option<&'a str>,
    /// `Cookie`.
    pub cookie: Option<&'a str>,
    /// `Sec-Purpose`, else `Purpose`, else `X-Moz`.
    pub purpose: Option<&'a str>,
    /// `DNT: 1` or `Sec-GPC: 1` was sent.
    pub do_not_track: bool,
    /// The client's address; IPv4 as IPv4-mapped IPv6.
    pub client_ip: Option<u128>,
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<&'a str>,
    /// ISO 3166-2 code.
    pub region: Option<&'a str>,
    /// Name of the city.
    pub city: Option<&'a str>,
    /// Two-letter continent code.
    pub continent: Option<&'a str>,
    /// The address belongs to a datacentre, as far as the host can tell.
    pub datacentre: bool,
    /// The body of a POST with a form, cut at [`FORM_MAX_BYTES`]; empty for other requests.
    pub form: &'a [u8],
    /// Uniformly random; decides between variants where there is no visitor to stick to.
    pub draw: u64,
}

/// Most bytes of a form body that a host hands over: room for any password, percent-encoded.
pub const FORM_MAX_BYTES: usize = 4 * 1024;

/// Request methods, as far as they make a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT, PATCH, DELETE: pass through links whose status keeps the method.
    Write,
    /// OPTIONS, TRACE and all others: never redirected.
    Other,
}

impl Method {
    /// The method of a name (RFC 9110 9.1; case-sensitive).
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" | "PATCH" | "DELETE" => Self::Write,
            _ => Self::Other,
        }
    }
}

impl RequestFacts<'_> {
    /// Whether a browser fetches this before anybody asked for it
    /// (`Sec-Purpose: prefetch`, `Purpose: prefetch|preview`, `X-Moz: prefetch`).
    pub fn is_prefetch(&self) -> bool {
        self.purpose.is_some_and(|purpose| {
            let word = purpose.split([';', ',']).next().unwrap_or_default().trim();
            word.eq_ignore_ascii_case("prefetch") || word.eq_ignore_ascii_case("preview")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetches_say_so() {
        for (purpose, expected) in [
            (None, false),
            (Some("prefetch"), true),
            (Some("prefetch;prerender"), true),
            (Some("Preview"), true),
            (Some("navigate"), false),
            (Some(""), false),
        ] {
            let facts = RequestFacts { purpose, ..RequestFacts::default() };
            assert_eq!(facts.is_prefetch(), expected, "{purpose:?}");
        }
    }
}
