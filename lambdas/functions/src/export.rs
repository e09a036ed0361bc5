//! The function that writes all links into files: JSON lines, each link as the API shows it, with
//! its clicks. Deleted links are not among them.

use serde::Deserialize;
use serde_json::{Value, json};
use waypost_service::ambient::{Clock, Draws};
use waypost_service::links::{Host, Service};
use waypost_service::problem::Problem;
use waypost_service::seams::{Files, ListQuery, Sort, StoreError};
use waypost_wire::time::Timestamp;

use crate::invocation::Deadline;
use crate::metrics::{count, emit};

/// Links of a page, as many as the store gives.
const PAGE_LINKS: usize = 100;
/// A file is closed beyond this. Kept in memory while it is filled.
const FILE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Characters of an export's name beside its time.
const NAME_CHARS: usize = 8;

/// What to export; everything from the start if it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// The name of an export that had not come to its end.
    #[serde(default)]
    pub export: Option<String>,
    /// Where it stopped.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Files it has so far.
    #[serde(default)]
    pub files: u32,
}

/// Why an export ended early. Order it anew, from where the last answer was.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store's fault, or the order's cursor.
    #[error("{}", .0.log.as_ref().unwrap_or(&.0.detail))]
    Problem(Box<Problem>),
    /// A file could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A link is no JSON: a bug.
    #[error("a link cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Exports until all is written or the time is over. The answer is the order to go on with, or says
/// `"done": true`; then a file `manifest.json` beside the others says how many there are.
///
/// # Errors
/// See [`ExportError`].
pub async fn handle<H: Host>(
    service: &Service<H>,
    files: &impl Files,
    order: Order,
    ends_at_ms: u64,
) -> Result<Value, ExportError> {
    let ambient = service.host.ambient();
    let now = ambient.now();
    let deadline = Deadline::of(ends_at_ms, now);
    let fresh = || format!("{}-{}", now.0 / 1_000, Draws::new(ambient).base62(NAME_CHARS));
    let mut writing = Writing {
        folder: format!("exports/{}", order.export.unwrap_or_else(fresh)),
        files: order.files,
        buffer: Vec::new(),
        sink: files,
    };
    let mut query = ListQuery {
        limit: PAGE_LINKS,
        cursor: order.cursor,
        sort: Sort::CreatedAscending,
        ..ListQuery::default()
    };
    let mut links = 0;
    loop {
        links += page(service, &mut query, &mut writing, now).await?;
        let is_over = query.cursor.is_none() || deadline.is_over(ambient.now());
        if is_over || writing.buffer.len() > FILE_MAX_BYTES {
            writing.close().await?;
        }
        if is_over {
            break;
        }
    }
    emit("export", &[count("LinksExported", links)], &[], now);
    let name = writing.folder.trim_start_matches("exports/");
    if query.cursor.is_some() {
        return Ok(json!({
            "done": false,
            "export": name,
            "cursor": query.cursor,
            "files": writing.files,
        }));
    }
    let manifest = json!({ "files": writing.files, "finished_at": ambient.now().0 });
    let bytes = serde_json::to_vec(&manifest)?;
    files.put(&format!("{}/manifest.json", writing.folder), "application/json", bytes).await?;
    Ok(json!({ "done": true, "export": name, "files": writing.files }))
}

/// Writes a page, and moves the query behind it.
async fn page<H: Host, F: Files>(
    service: &Service<H>,
    query: &mut ListQuery,
    writing: &mut Writing<'_, F>,
    now: Timestamp,
) -> Result<u64, ExportError> {
    let listing = service.list(query, now).await;
    let listing = listing.map_err(|problem| ExportError::Problem(Box::new(problem)))?;
    for (link, clicks) in &listing.links {
        serde_json::to_writer(&mut writing.buffer, &service.view(link, *clicks, now))?;
        writing.buffer.push(b'\n');
    }
    query.cursor = listing.next_cursor;
    Ok(listing.links.len() as u64)
}

/// The file that is being filled.
struct Writing<'a, F> {
    folder: String,
    files: u32,
    buffer: Vec<u8>,
    sink: &'a F,
}

impl<F: Files> Writing<'_, F> {
    async fn close(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.files += 1;
        let name = format!("{}/links-{:05}.jsonl", self.folder, self.files);
        let bytes = std::mem::take(&mut self.buffer);
        self.sink.put(&name, "application/x-ndjson", bytes).await
    }
}
