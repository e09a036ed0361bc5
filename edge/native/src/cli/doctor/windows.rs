//! The promise that a closed window counts the same again.

use std::path::Path;

use tokio::runtime::Builder;
use waypost_service::counting::close::{Proof, verify};
use waypost_service::counting::window::{WINDOW_MS, Window};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::check::Check;
use crate::sqlite::{Db, DbOptions};

const NAME: &str = "closed windows";

/// Windows counted again: those of the last day.
const WINDOWS: i64 = 24 * 60 * 60 * 1_000 / WINDOW_MS;

/// Counts the windows of the last day again. Only when no server is at work: the store is not
/// shared.
pub(super) fn check(path: &Path, is_running: bool, now: Timestamp) -> Check {
    if is_running {
        return Check::ok(NAME, "not checked while the server is running");
    }
    let (mut same, mut differing) = (0, Vec::new());
    match proofs(path, now) {
        Err(error) => return Check::fail(NAME, error, "look at the check of the database"),
        Ok(proofs) => {
            for (window, proof) in proofs {
                match proof {
                    Proof::Differs => differing.push(waypost_service::time::format(window.start())),
                    Proof::Gone | Proof::NotClosed => {}
                    Proof::Same => same += 1,
                }
            }
        }
    }
    match (differing.is_empty(), same) {
        (true, 0) => Check::ok(NAME, "none with clicks in the last day"),
        (true, same) => Check::ok(NAME, format!("{same} of the last day count the same again")),
        (false, _) => Check::fail(
            NAME,
            format!(
                "{} of the last day count otherwise now: {}",
                differing.len(),
                differing.join(", ")
            ),
            "keep the database and report this: closed statistics must never change",
        ),
    }
}

fn proofs(path: &Path, now: Timestamp) -> Result<Vec<(Window, Proof)>, String> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let options = DbOptions { without_links: true, ..DbOptions::default() };
        let db = Db::open(path, &options).map_err(|error| error.to_string())?;
        let proofs = of_last_day(&db, now).await.map_err(|error| error.to_string());
        db.close().await;
        proofs
    })
}

async fn of_last_day(db: &Db, now: Timestamp) -> Result<Vec<(Window, Proof)>, StoreError> {
    let mut proofs = Vec::new();
    for before in 1..=WINDOWS {
        let window = Window::of(now.plus_ms(-before * WINDOW_MS));
        proofs.push((window, verify(db, window).await?));
    }
    Ok(proofs)
}
