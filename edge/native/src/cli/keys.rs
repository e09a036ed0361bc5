use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use waypost_service::ambient::Draws;
use waypost_service::keys::Secret;

use super::client::{Call, Remote};
use super::failure::Failure;
use super::surroundings::Surroundings;
use super::table;

const EXAMPLES: &str = "\
Examples:
  waypost keys generate
  waypost keys create --name ci --role editor
  waypost keys list
  waypost keys revoke 7Kd02mXpQa

Roles: viewer reads links and statistics, editor writes links too, admin does everything.";

const CREATE_EXAMPLES: &str = "\
Examples:
  waypost keys create --name ci --role editor
  waypost keys create --name dashboard
  waypost keys create --name nightly-import --role editor --requests-per-minute 10000

The key is the whole of standard output, and is never shown again.";

const GENERATE_EXAMPLES: &str = "\
Examples:
  waypost keys generate

Start the server with this key in WAYPOST_ADMIN_KEY to make it its admin key.";

/// API keys.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    /// Make a key; it is shown this one time
    Create(CreateArgs),
    /// List all keys, without their secrets
    List(ListArgs),
    /// Refuse a key from now on
    Revoke(RevokeArgs),
    /// Print a fresh random key that no server knows yet
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// What the key is for
    #[arg(long)]
    name: String,
    /// What the key may do
    #[arg(long, default_value = "viewer", value_parser = ["viewer", "editor", "admin"])]
    role: String,
    /// How many requests may be made with it in a minute, 0 for any number; without, as many as the
    /// server's setting api_requests_per_minute says
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    requests_per_minute: Option<u32>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  waypost keys list")]
pub(super) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  waypost keys revoke 7Kd02mXpQa")]
pub(super) struct RevokeArgs {
    /// Id of the key, as `waypost keys list` shows it
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(args) => create(&args, surroundings),
            Self::Generate => {
                let secret = Secret::draw(&mut Draws::new(&surroundings.ambient));
                surroundings.say(secret.reveal())
            }
            Self::List(args) => list(&args, surroundings),
            Self::Revoke(args) => revoke(&args, surroundings),
        }
    }
}

#[derive(Deserialize)]
struct NewKey {
    id: String,
    secret: String,
}

fn create(args: &CreateArgs, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
    let client = args.remote.client(surroundings)?;
    let mut body = json!({"name": args.name, "role": args.role});
    if let Some(limit) = args.requests_per_minute {
        body["requests_per_minute"] = limit.into();
    }
    let body = Some(body.to_string().into_bytes());
    let call = Call { method: "POST", path: &["keys"], body, ..Call::default() };
    let answer = client.api(&call)?;
    if args.remote.json {
        return surroundings.say(&answer.json());
    }
    let key: NewKey = answer.read()?;
    surroundings.note(&format!("key {} is made; this is the only time it is shown:", key.id));
    surroundings.say(&key.secret)
}

#[derive(Deserialize)]
struct Keys {
    data: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    role: String,
    /// Servers that are older than this program do not say.
    #[serde(default)]
    requests_per_minute: Option<u32>,
    created_at: String,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

fn list(args: &ListArgs, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
    let answer =
        args.remote.client(surroundings)?.api(&Call { path: &["keys"], ..Call::default() })?;
    if args.remote.json {
        return surroundings.say(&answer.json());
    }
    let row = |key: Key| {
        let used = key.last_used_at.unwrap_or_else(|| "never".to_owned());
        let revoked = key.revoked_at.unwrap_or_default();
        let limit = match key.requests_per_minute {
            None => "default".to_owned(),
            Some(0) => "no limit".to_owned(),
            Some(limit) => limit.to_string(),
        };
        vec![key.id, key.name, key.role, limit, key.created_at, used, revoked]
    };
    let rows: Vec<_> = answer.read::<Keys>()?.data.into_iter().map(row).collect();
    let names = ["id", "name", "role", "per minute", "created", "last used", "revoked"];
    surroundings.say(&table::table(&names, &rows))
}

fn revoke(args: &RevokeArgs, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
    let client = args.remote.client(surroundings)?;
    let path = ["keys", &args.id];
    let answer = client.api(&Call { method: "DELETE", path: &path, ..Call::default() })?;
    match args.remote.json {
        // A success without content has no JSON.
        true if answer.body.is_empty() => Ok(()),
        true => surroundings.say(&answer.json()),
        false => surroundings.say(&format!("key {} is revoked", args.id)),
    }
}
