//! Where a visitor is, as far as it can be told without asking anybody.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::Reader;
use serde::Deserialize;

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// ISO 3166-2.
    pub region: Option<String>,
    /// English name.
    pub city: Option<String>,
    /// Two letters.
    pub continent: Option<String>,
    /// A datacentre's address.
    pub datacentre: bool,
}

/// An MMDB file (MaxMind DB 2.0), read into memory.
#[derive(Debug)]
pub struct GeoIp(Reader<Vec<u8>>);

/// The fields used; City, Country and many free databases share them.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    country: Option<Coded<'a>>,
    #[serde(borrow)]
    continent: Option<Continent<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Coded<'a>>,
    #[serde(borrow)]
    city: Option<City<'a>>,
    traits: Option<Traits>,
}

#[derive(Deserialize)]
struct Coded<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Continent<'a> {
    code: Option<&'a str>,
}

#[derive(Deserialize)]
struct City<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Traits {
    #[serde(default)]
    is_hosting_provider: bool,
}

impl GeoIp {
    /// Opens a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Self, maxminddb::MaxMindDbError> {
        Reader::open_readfile(path).map(Self)
    }

    /// What the file says of an address; nothing if it does not know it or is damaged there.
    pub fn place(&self, address: IpAddr) -> Place {
        let found = self.0.lookup(address).and_then(|found| found.decode::<Entry<'_>>());
        let Ok(Some(entry)) = found else {
            return Place::default();
        };
        let country = entry.country.and_then(|country| country.iso_code);
        let region = entry.subdivisions.first().and_then(|region| region.iso_code);
        let city = entry.city.and_then(|city| city.names?.en);
        Place {
            region: country.zip(region).map(|(country, region)| format!("{country}-{region}")),
            country: country.map(str::to_owned),
            city: city.map(str::to_owned),
            continent: entry.continent.and_then(|place| place.code).map(str::to_owned),
            datacentre: entry.traits.is_some_and(|traits| traits.is_hosting_provider),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/geo/test.mmdb");
        GeoIp::open(&path).expect("a database").place(address.parse().expect("an address"))
    }

    #[test]
    fn addresses_have_the_place_the_file_says() {
        let berlin = Place {
            country: Some("DE".into()),
            region: Some("DE-BE".into()),
            city: Some("Berlin".into()),
            continent: Some("EU".into()),
            datacentre: false,
        };
        assert_eq!(place("192.0.2.77"), berlin);
        assert_eq!(place("2001:db8:1::5"), berlin);
        let hosted = Place {
            country: Some("US".into()),
            continent: Some("NA".into()),
            datacentre: true,
            ..Place::default()
        };
        assert_eq!(place("198.51.100.1"), hosted);
        assert_eq!(place("203.0.113.1"), Place::default());
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(GeoIp::open(&path).is_err());
    }
}
