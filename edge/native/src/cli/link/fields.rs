use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;

/// What can be set of a link, when it is made and later.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Fields {
    /// Title, for people
    #[arg(long)]
    title: Option<String>,
    /// Tag; give it again for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Notes, for people
    #[arg(long)]
    notes: Option<String>,
    /// Status of the redirect: 301, 302, 307 or 308
    #[arg(long, value_name = "CODE")]
    status: Option<u16>,
    /// From when on the link works, for example 2030-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    starts_at: Option<String>,
    /// Until when the link works
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Where visitors go once the link is over
    #[arg(long, value_name = "URL")]
    expired_destination: Option<String>,
    /// How often the link can be followed
    #[arg(long, value_name = "COUNT")]
    max_clicks: Option<u64>,
    /// Append the visitor's query to the destination
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    forward_query: Option<bool>,
    /// Append the path behind the slug to the destination
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    forward_path: Option<bool>,
    /// Add utm_source to the destination
    #[arg(long, value_name = "TEXT")]
    utm_source: Option<String>,
    /// Add utm_medium to the destination
    #[arg(long, value_name = "TEXT")]
    utm_medium: Option<String>,
    /// Add utm_campaign to the destination
    #[arg(long, value_name = "TEXT")]
    utm_campaign: Option<String>,
    /// Add utm_term to the destination
    #[arg(long, value_name = "TEXT")]
    utm_term: Option<String>,
    /// Add utm_content to the destination
    #[arg(long, value_name = "TEXT")]
    utm_content: Option<String>,
    /// Destination on iOS
    #[arg(long, value_name = "URL")]
    ios: Option<String>,
    /// Destination on Android
    #[arg(long, value_name = "URL")]
    android: Option<String>,
    /// Password that visitors must give; better read with --password-stdin
    #[arg(long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// JSON file with the list of rules
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Title of the card in social networks
    #[arg(long, value_name = "TEXT")]
    preview_title: Option<String>,
    /// Description on the card in social networks
    #[arg(long, value_name = "TEXT")]
    preview_description: Option<String>,
    /// Image on the card in social networks
    #[arg(long, value_name = "URL")]
    preview_image: Option<String>,
    /// Your own id of the link; unique
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Never clean the link up for being unused
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep: Option<bool>,
}

impl Fields {
    /// The fields given, under the API's names. Their values are the server's to judge.
    pub(super) fn document(
        &self,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut fields = Map::new();
        let tags = (!self.tags.is_empty()).then_some(&self.tags);
        put(&mut fields, "title", self.title.as_ref());
        put(&mut fields, "tags", tags.cloned());
        put(&mut fields, "notes", self.notes.as_ref());
        put(&mut fields, "status", self.status);
        put(&mut fields, "starts_at", self.starts_at.as_ref());
        put(&mut fields, "expires_at", self.expires_at.as_ref());
        put(&mut fields, "expired_destination", self.expired_destination.as_ref());
        put(&mut fields, "max_clicks", self.max_clicks);
        put(&mut fields, "forward_query", self.forward_query);
        put(&mut fields, "forward_path", self.forward_path);
        put(&mut fields, "ios_destination", self.ios.as_ref());
        put(&mut fields, "android_destination", self.android.as_ref());
        put(&mut fields, "external_id", self.external_id.as_ref());
        put(&mut fields, "keep", self.keep);
        put(&mut fields, "utm", self.utm());
        put(&mut fields, "preview", self.preview());
        put(&mut fields, "rules", self.rules()?);
        put(&mut fields, "password", self.password(surroundings)?);
        Ok(fields)
    }

    fn utm(&self) -> Option<Value> {
        let mut utm = Map::new();
        put(&mut utm, "source", self.utm_source.as_ref());
        put(&mut utm, "medium", self.utm_medium.as_ref());
        put(&mut utm, "campaign", self.utm_campaign.as_ref());
        put(&mut utm, "term", self.utm_term.as_ref());
        put(&mut utm, "content", self.utm_content.as_ref());
        (!utm.is_empty()).then_some(Value::Object(utm))
    }

    fn preview(&self) -> Option<Value> {
        let mut preview = Map::new();
        put(&mut preview, "title", self.preview_title.as_ref());
        put(&mut preview, "description", self.preview_description.as_ref());
        put(&mut preview, "image", self.preview_image.as_ref());
        (!preview.is_empty()).then_some(Value::Object(preview))
    }

    fn rules(&self) -> Result<Option<Value>, Failure> {
        let Some(path) = &self.rules else { return Ok(None) };
        let name = path.display();
        let text = fs::read(path)
            .map_err(|error| Failure::Usage(format!("cannot read {name}: {error}")))?;
        let rules = serde_json::from_slice(&text)
            .map_err(|error| Failure::Usage(format!("{name} is no JSON: {error}")))?;
        Ok(Some(rules))
    }

    fn password(&self, surroundings: &mut Surroundings<'_>) -> Result<Option<String>, Failure> {
        if !self.password_stdin {
            return Ok(self.password.clone());
        }
        if surroundings.stdin_is_terminal {
            surroundings.note("Password of the link (it shows while you type):");
        }
        match surroundings.line()? {
            line if line.is_empty() => {
                Err(Failure::Usage("there is no password on standard input".to_owned()))
            }
            line => Ok(Some(line)),
        }
    }
}

/// Sets a field that is given.
pub(super) fn put(
    fields: &mut Map<String, Value>,
    name: &str,
    value: Option<impl serde::Serialize>,
) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}
