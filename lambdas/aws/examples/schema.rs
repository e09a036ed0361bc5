//! Prints the tables as JSON, for whoever describes them elsewhere.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let tables = serde_json::to_string_pretty(&waypost_aws::schema::TABLES)?;
    writeln!(io::stdout(), "{tables}")
}
