//! Which stores there are: the setting `WAYPOST_EDGE_STORES`.
//!
//! Stores are separated by `;` or line ends. Each is a kind and words `name=value`:
//!
//! ```text
//! cloudflare account=0123… namespace=4567… token=CLOUDFLARE_API_TOKEN
//! redis name=eu url=rediss://waypost@kv.example.com:6379/0 password=REDIS_PASSWORD
//! spin name=akamai url=https://go.example per_second=40
//! dynamodb table=waypost-edge region=eu-central-1
//! ```
//!
//! Secrets are not written there but named: `token` and `password` are the names under which the
//! surroundings have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use reqwest::Url;
use waypost_service::publish::StoreFault;
use waypost_wire::origin::sign::OriginKey;

use crate::Store;
use crate::cloudflare::{Account, CloudflareKv};
use crate::redis::RedisStore;
use crate::spin::SpinSync;

/// The setting's name.
const SETTING: &str = "WAYPOST_EDGE_STORES";

const API: &str = "https://api.cloudflare.com/client/v4";

const TOKEN: &str = "CLOUDFLARE_API_TOKEN";

/// Below the 50 writes a second that managed platforms take.
const PER_SECOND: u32 = 40;

/// A store, as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `name`, or else the kind: what it is called in logs, reports and bookmarks.
    pub name: String,
    /// Where it is.
    pub kind: StoreKind,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A namespace of Workers KV.
    Cloudflare {
        /// Which.
        account: Account,
        /// The name of the secret that is the API token.
        token: String,
    },
    /// A table of DynamoDB with `PK` and `VAL`, as Spin reads it; opened by `waypost-aws`.
    DynamoDb {
        /// The table's name.
        table: String,
        /// Its region; `None`: the one of this process.
        region: Option<String>,
    },
    /// A database of Redis.
    Redis {
        /// Its address, without a password.
        url: String,
        /// The name of the secret that is the password.
        password: Option<String>,
    },
    /// A Spin app.
    Spin {
        /// Its address.
        url: Url,
        /// Most records a second.
        per_second: u32,
    },
}

/// What is wrong with the setting, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsFault {
    /// Which store, from 1 on.
    pub store: usize,
    /// What, and what was expected. Quotes no secret.
    pub problem: String,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SETTING}, store {}: {}", self.store, self.problem)
    }
}

/// The words of a store, each used once.
struct Words<'a>(BTreeMap<&'a str, &'a str>);

/// Reads the setting; an empty one has no stores.
///
/// # Errors
/// Every fault at once.
pub fn parse(text: &str) -> Result<Vec<Setting>, Vec<SettingsFault>> {
    let (mut settings, mut faults) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let stores = text.split([';', '\n']).map(str::trim).filter(|store| !store.is_empty());
    for (store, text) in (1..).zip(stores) {
        let mut fault = |problem: String| faults.push(SettingsFault { store, problem });
        match setting(text) {
            Ok(setting) if !names.insert(setting.name.clone()) => fault(format!(
                "another store is called {}; give this one a name=… of its own",
                setting.name
            )),
            Ok(setting) => settings.push(setting),
            Err(problems) => problems.into_iter().for_each(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(settings),
        false => Err(faults),
    }
}

fn setting(text: &str) -> Result<Setting, Vec<String>> {
    let mut parts = text.split_whitespace();
    let kind = parts.next().unwrap_or_default();
    let known: &[&str] = match kind {
        "cloudflare" => &["account", "api", "name", "namespace", "token"],
        "dynamodb" => &["name", "region", "table"],
        "redis" => &["name", "password", "url"],
        "spin" => &["name", "per_second", "url"],
        other => {
            let kinds = "expected cloudflare, dynamodb, redis or spin";
            return Err(vec![format!("there is no kind of store {other:?}; {kinds}")]);
        }
    };
    let (mut words, mut problems) = (BTreeMap::new(), Vec::new());
    for part in parts {
        match part.split_once('=') {
            Some((word, value)) if known.contains(&word) && !value.is_empty() => {
                if words.insert(word, value).is_some() {
                    problems.push(format!("{kind} has {word} twice"));
                }
            }
            // The value may be a secret in the wrong place.
            other => {
                let word = other.map_or("a word without =", |(word, _)| word);
                let known = known.join(", ");
                problems.push(format!(
                    "{kind} has nothing called {word:?}, or it is empty; expected {known}"
                ));
            }
        }
    }
    let mut words = Words(words);
    let name = words.optional("name").unwrap_or_else(|| kind.to_owned());
    let kind = words.kind(kind, &mut problems);
    match kind {
        Some(kind) if problems.is_empty() => Ok(Setting { name, kind }),
        _ => Err(problems),
    }
}

impl Words<'_> {
    fn optional(&mut self, word: &str) -> Option<String> {
        self.0.remove(word).map(str::to_owned)
    }

    fn required(&mut self, kind: &str, word: &str, problems: &mut Vec<String>) -> Option<String> {
        let value = self.optional(word);
        if value.is_none() {
            problems.push(format!("{kind} needs {word}=…"));
        }
        value
    }

    fn url(&mut self, kind: &str, text: &str, problems: &mut Vec<String>) -> Option<Url> {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            problems.push(format!("{kind}: an address is not of the form https://host"));
        }
        url
    }

    fn kind(&mut self, kind: &str, problems: &mut Vec<String>) -> Option<StoreKind> {
        match kind {
            "cloudflare" => {
                let api = self.optional("api").unwrap_or_else(|| API.to_owned());
                let base_url = self.url(kind, &api, problems);
                let account_id = self.required(kind, "account", problems);
                let namespace_id = self.required(kind, "namespace", problems);
                let token = self.optional("token").unwrap_or_else(|| TOKEN.to_owned());
                let account = Account {
                    account_id: account_id?,
                    namespace_id: namespace_id?,
                    base_url: base_url?,
                };
                Some(StoreKind::Cloudflare { account, token })
            }
            "dynamodb" => {
                let region = self.optional("region");
                if region.as_deref().is_some_and(|region| !is_region(region)) {
                    problems.push("dynamodb: region is not of the form eu-central-1".to_owned());
                }
                let table = self.required(kind, "table", problems)?;
                Some(StoreKind::DynamoDb { table, region })
            }
            "redis" => {
                let url = self.required(kind, "url", problems)?;
                let password = self.optional("password");
                let parsed = Url::parse(&url).ok();
                let is_redis = |url: &Url| matches!(url.scheme(), "redis" | "rediss");
                match parsed.filter(is_redis) {
                    None => problems.push(
                        "redis: the address is not of the form redis://host or rediss://host"
                            .to_owned(),
                    ),
                    Some(url) if url.password().is_some() => problems.push(
                        "redis: the address has a password; name a secret with password=… instead"
                            .to_owned(),
                    ),
                    Some(_) => {}
                }
                Some(StoreKind::Redis { url, password })
            }
            _ => {
                let text = self.required(kind, "url", problems);
                let url = text.and_then(|text| self.url(kind, &text, problems));
                if url.as_ref().is_some_and(|url| url.path() != "/") {
                    problems
                        .push("spin: the address has a path; expected scheme and host".to_owned());
                }
                let per_second = match self.optional("per_second").map(|text| text.parse::<u32>()) {
                    None => PER_SECOND,
                    Some(Ok(per_second @ 1..=100_000)) => per_second,
                    Some(_) => {
                        problems.push("spin: per_second is no number from 1 to 100000".to_owned());
                        PER_SECOND
                    }
                };
                Some(StoreKind::Spin { url: url?, per_second })
            }
        }
    }
}

/// Whether a text has the form of a region's name. It becomes part of the host that is called.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = parts.next_back().unwrap_or_default();
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.len() <= 32 && parts.clone().count() >= 2 && parts.all(is_word)
}

impl Setting {
    /// The store; nothing is called yet. `secret` answers secrets by their names; `origin` is the
    /// key that edges and their origin share. `None` for a kind that is opened elsewhere.
    ///
    /// # Errors
    /// A secret is missing, or cannot be one.
    pub fn open(
        &self,
        secret: impl Fn(&str) -> Option<String>,
        origin: &OriginKey,
    ) -> Result<Option<Store>, StoreFault> {
        let named = |name: &str| {
            let missing =
                || StoreFault::Refused(format!("{}: there is no secret {name}", self.name));
            secret(name).filter(|value| !value.trim().is_empty()).ok_or_else(missing)
        };
        Ok(Some(match &self.kind {
            StoreKind::Cloudflare { account, token } => {
                Store::Cloudflare(CloudflareKv::new(&self.name, account, &named(token)?)?)
            }
            StoreKind::DynamoDb { .. } => return Ok(None),
            StoreKind::Redis { url, password } => {
                let password = password.as_deref().map(named).transpose()?;
                Store::Redis(Box::new(RedisStore::new(&self.name, url, password.as_deref())?))
            }
            StoreKind::Spin { url, per_second } => {
                Store::Spin(SpinSync::new(&self.name, url, origin.clone(), *per_second)?)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(SettingsFault::to_string).collect()
    }

    #[test]
    fn every_kind_of_store_is_read() {
        let text = "cloudflare account=acc namespace=ns ; \n;\
                    redis name=eu url=rediss://me@kv.example:6379/2 password=REDIS_PASSWORD\n\
                    \tspin  url=https://go.example  per_second=7;spin name=b url=http://b.example\n\
                    dynamodb table=edge region=eu-west-1;dynamodb name=two table=t;\
                    cloudflare name=test account=a namespace=n api=http://127.0.0.1:9/v4 token=T";
        let account = |account_id: &str, namespace_id: &str, url: &str| Account {
            account_id: account_id.to_owned(),
            namespace_id: namespace_id.to_owned(),
            base_url: Url::parse(url).unwrap(),
        };
        let setting = |name: &str, kind| Setting { name: name.to_owned(), kind };
        let expected = [
            setting(
                "cloudflare",
                StoreKind::Cloudflare {
                    account: account("acc", "ns", API),
                    token: TOKEN.to_owned(),
                },
            ),
            setting(
                "eu",
                StoreKind::Redis {
                    url: "rediss://me@kv.example:6379/2".to_owned(),
                    password: Some("REDIS_PASSWORD".to_owned()),
                },
            ),
            setting(
                "spin",
                StoreKind::Spin { url: Url::parse("https://go.example").unwrap(), per_second: 7 },
            ),
            setting(
                "b",
                StoreKind::Spin { url: Url::parse("http://b.example").unwrap(), per_second: 40 },
            ),
            setting(
                "dynamodb",
                StoreKind::DynamoDb {
                    table: "edge".to_owned(),
                    region: Some("eu-west-1".to_owned()),
                },
            ),
            setting("two", StoreKind::DynamoDb { table: "t".to_owned(), region: None }),
            setting(
                "test",
                StoreKind::Cloudflare {
                    account: account("a", "n", "http://127.0.0.1:9/v4"),
                    token: "T".to_owned(),
                },
            ),
        ];
        assert_eq!(parse(text), Ok(expected.to_vec()));
        assert_eq!(parse(" \n; "), Ok(vec![]));
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_secret() {
        let text = "kv account=a\ncloudflare token=T tok=secret secret account=\n\
                    redis url=redis://:secret@host\nredis url=http://host\n\
                    spin url=https://go.example/x per_second=0\nspin url=secret\nspin\n\
                    dynamodb table=a table=b\ndynamodb table=a\ndynamodb table=b";
        let told = faults(text);
        let expected = [
            "store 1: there is no kind of store \"kv\"; expected cloudflare, dynamodb, redis or spin",
            "store 2: cloudflare has nothing called \"tok\", or it is empty; expected account, api, name, namespace, token",
            "store 2: cloudflare has nothing called \"a word without =\", or it is empty; expected account, api, name, namespace, token",
            "store 2: cloudflare has nothing called \"account\", or it is empty; expected account, api, name, namespace, token",
            "store 2: cloudflare needs account=…",
            "store 2: cloudflare needs namespace=…",
            "store 3: redis: the address has a password; name a secret with password=… instead",
            "store 4: redis: the address is not of the form redis://host or rediss://host",
            "store 5: spin: the address has a path; expected scheme and host",
            "store 5: spin: per_second is no number from 1 to 100000",
            "store 6: spin: an address is not of the form https://host",
            "store 7: spin needs url=…",
            "store 8: dynamodb has table twice",
            "store 10: another store is called dynamodb; give this one a name=… of its own",
        ];
        let expected: Vec<String> =
            expected.iter().map(|line| format!("WAYPOST_EDGE_STORES, {line}")).collect();
        assert_eq!(told, expected);
        assert!(!told.iter().any(|line| line.contains("secret@") || line.contains("=secret")));
    }

    #[test]
    fn regions_have_their_form() {
        for region in ["eu-central-1", "us-gov-west-1", "ap-southeast-5", "us-iso-east-10"] {
            assert!(is_region(region), "{region}");
        }
        for region in
            ["eu", "eu-central", "eu-central-", "-central-1", "EU-Central-1", "eu.central.1", "a-1"]
        {
            assert!(!is_region(region), "{region}");
        }
        let told = faults("dynamodb table=t region=evil.example/");
        let problem = "dynamodb: region is not of the form eu-central-1";
        assert_eq!(told, [format!("WAYPOST_EDGE_STORES, store 1: {problem}")]);
    }

    #[test]
    fn a_store_without_its_secret_is_not_opened() {
        let key = OriginKey::new([1; 32]);
        let [cloudflare] = parse("cloudflare account=a namespace=n").unwrap().try_into().unwrap();
        let missing =
            StoreFault::Refused("cloudflare: there is no secret CLOUDFLARE_API_TOKEN".into());
        for secret in [None, Some(" ".to_owned())] {
            assert_eq!(cloudflare.open(|_| secret.clone(), &key).unwrap_err(), missing);
        }
        let secret = |name: &str| (name == TOKEN).then(|| "abc".to_owned());
        let store = cloudflare.open(secret, &key).unwrap().unwrap();
        assert_eq!(format!("{store:?}"), r#"Cloudflare(CloudflareKv { name: "cloudflare", .. })"#);
        let strange = |_: &str| Some("a\nb".to_owned());
        assert!(matches!(cloudflare.open(strange, &key), Err(StoreFault::Refused(_))));
        let [dynamodb] = parse("dynamodb table=t").unwrap().try_into().unwrap();
        assert!(dynamodb.open(|_| None, &key).unwrap().is_none());
    }
}
