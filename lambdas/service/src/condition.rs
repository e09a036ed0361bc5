//! The small grammars inside of conditions: networks, times of day, weekdays, languages, places.
//! What is accepted when a link is written is read by the same functions when it is compiled.

use std::net::IpAddr;

use waypost_wire::record::Network;

/// Weekdays in the order of the bits of [`waypost_wire::record::TimeOfWeek::days`].
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Two-letter codes of the continents, as geography sources give them.
pub(crate) const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// ISO 3166-1 alpha-2, and XK, which every geography source gives for Kosovo.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ \
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW \
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY \
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV \
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA \
    ZM ZW";

/// Whether `code`, in upper case, is the code of a country.
pub(crate) fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split(' ').any(|country| country == code)
}

/// Whether `code`, in upper case, has the form of ISO 3166-2 and begins with a country.
pub(crate) fn is_region(code: &str) -> bool {
    code.split_once('-').is_some_and(|(country, part)| {
        let is_part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        is_country(country) && (1..=3).contains(&part.len()) && part.bytes().all(is_part)
    })
}

/// Whether a text is a basic language range (RFC 4647 2.1).
pub(crate) fn is_language_range(text: &str) -> bool {
    let is_subtag = |(position, subtag): (usize, &str)| {
        (1..=8).contains(&subtag.len())
            && subtag.bytes().all(|b| match position {
                0 => b.is_ascii_alphabetic(),
                _ => b.is_ascii_alphanumeric(),
            })
    };
    text == "*" || text.split('-').enumerate().all(is_subtag)
}

/// The bit of a weekday.
pub(crate) fn day_bit(name: &str) -> Option<u8> {
    let position = DAYS.iter().position(|day| *day == name)?;
    Some(1 << position)
}

/// Minutes after midnight of `HH:MM`, from 00:00 to 24:00.
pub(crate) fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        is_two.then(|| digits.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 1_440).then_some(total)
}

/// An IP network as written, and as compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParsedNetwork {
    /// The network's own address and prefix, as people write them.
    pub(crate) text: String,
    /// For the record.
    pub(crate) network: Network,
    /// No bit was set behind the prefix.
    pub(crate) is_exact: bool,
}

/// Reads CIDR notation (RFC 4632 3.1, RFC 4291 2.3), or a single address.
pub(crate) fn parse_network(text: &str) -> Option<ParsedNetwork> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (mapped, added_bits) = match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 96),
        IpAddr::V6(v6) => (v6, 0),
    };
    let prefix_bits = match prefix {
        None => 128,
        Some(digits) => prefix_length(digits, 128 - added_bits)? + added_bits,
    };
    let network = Network { address: u128::from(mapped) & mask(prefix_bits), prefix_bits };
    Some(ParsedNetwork {
        text: written(network, added_bits),
        is_exact: network.address == u128::from(mapped),
        network,
    })
}

/// A decimal number without leading zeros, at most `max`.
fn prefix_length(digits: &str, max: u8) -> Option<u8> {
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0');
    let bits: u8 = (is_plain && !has_leading_zero).then(|| digits.parse().ok())??;
    (bits <= max).then_some(bits)
}

fn mask(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0)
}

fn written(network: Network, added_bits: u8) -> String {
    let address = std::net::Ipv6Addr::from(network.address);
    let address = match address.to_ipv4_mapped() {
        Some(v4) if added_bits > 0 => IpAddr::V4(v4),
        _ => IpAddr::V6(address),
    };
    match network.prefix_bits {
        128 => address.to_string(),
        bits => format!("{address}/{}", bits - added_bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_written_in_one_way() {
        let v4 = |octets: [u8; 4]| {
            u128::from(0xffff_0000_0000_u64 | u64::from(u32::from_be_bytes(octets)))
        };
        for (text, written, address, prefix_bits, is_exact) in [
            ("10.0.0.0/8", "10.0.0.0/8", v4([10, 0, 0, 0]), 104, true),
            ("10.1.2.3/8", "10.0.0.0/8", v4([10, 0, 0, 0]), 104, false),
            ("0.0.0.0/0", "0.0.0.0/0", v4([0; 4]), 96, true),
            ("192.0.2.1", "192.0.2.1", v4([192, 0, 2, 1]), 128, true),
            ("192.0.2.1/32", "192.0.2.1", v4([192, 0, 2, 1]), 128, true),
            ("2001:DB8::/32", "2001:db8::/32", 0x2001_0db8 << 96, 32, true),
            ("2001:db8::1", "2001:db8::1", (0x2001_0db8 << 96) | 1, 128, true),
            ("::/0", "::/0", 0, 0, true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.2.0/120", v4([192, 0, 2, 0]), 120, true),
        ] {
            let expected = ParsedNetwork {
                text: written.to_owned(),
                network: Network { address, prefix_bits },
                is_exact,
            };
            assert_eq!(parse_network(text), Some(expected.clone()), "{text}");
            let again = ParsedNetwork { is_exact: true, ..expected };
            assert_eq!(parse_network(written), Some(again), "{written}");
        }
    }

    #[test]
    fn no_networks() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/256",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "fe80::1%eth0",
            "[::1]",
            " ::1",
            "localhost",
            "10.0.0.0/٨",
        ] {
            assert_eq!(parse_network(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_day() {
        for (text, minute) in [
            ("00:00", Some(0)),
            ("09:05", Some(545)),
            ("23:59", Some(1_439)),
            ("24:00", Some(1_440)),
            ("24:01", None),
            ("12:60", None),
            ("9:00", None),
            ("09:0", None),
            ("0900", None),
            ("09:00:00", None),
            ("+9:00", None),
            ("٠٩:٠٠", None),
            (":", None),
            ("", None),
        ] {
            assert_eq!(minute_of_day(text), minute, "{text}");
        }
    }

    #[test]
    fn places_and_languages() {
        assert!(["DE", "GB", "XK", "ZW", "AD"].iter().all(|code| is_country(code)));
        assert!(!["UK", "de", "D", "", "EU", "XX", " D", "D "].iter().any(|code| is_country(code)));
        assert_eq!(COUNTRIES.split(' ').count(), 250);
        assert!(COUNTRIES.split(' ').is_sorted_by(|one, next| one < next));
        assert!(["DE-BE", "GB-ENG", "FR-75C", "AD-07", "SE-O"].iter().all(|code| is_region(code)));
        assert!(
            !["DE", "DE-", "DE-BERL", "UK-ENG", "DE-be", "BE"].iter().any(|code| is_region(code))
        );
        assert!(
            ["*", "de", "pt-BR", "zh-Hant-TW", "de-1996"]
                .iter()
                .all(|range| is_language_range(range))
        );
        assert!(
            !["", "-", "de-", "de_AT", "d3", "abcdefghi", "*-DE", "é"]
                .iter()
                .any(|range| is_language_range(range))
        );
    }

    #[test]
    fn days_are_the_bits_of_the_record() {
        assert_eq!(DAYS.map(day_bit), [1, 2, 4, 8, 16, 32, 64].map(Some));
        assert_eq!(day_bit("Mon"), None);
        assert_eq!(day_bit("monday"), None);
    }
}
