//! What an import writes: rows that failed, and the links it made.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::columns::{KEY_COLUMN, REASON_COLUMN, named};
use super::read::Row;

/// A row with cells to be added, in the order of the columns to be added.
pub(super) struct Extended<'a> {
    pub(super) row: &'a Row,
    pub(super) added: Vec<&'a str>,
}

/// Columns of a file of failed rows: it can be imported again as it is.
pub(super) const FAILED_COLUMNS: [&str; 2] = [KEY_COLUMN, REASON_COLUMN];

/// Where the failed rows of `source` go: `links.csv` has `links.failed.csv`.
pub(super) fn failed_path(source: &Path) -> PathBuf {
    source.with_extension("failed.csv")
}

/// Writes rows with columns added, readable by whoever can read `source`: there may be passwords
/// in it. A column that is there already gets the new cells.
pub(super) fn write(
    path: &Path,
    source: &Path,
    header: &[String],
    columns: &[&str],
    rows: &[Extended<'_>],
) -> io::Result<()> {
    let permissions = fs::metadata(source)?.permissions();
    let file = File::create(path)?;
    file.set_permissions(permissions)?;
    let mut writer = csv::Writer::from_writer(file);
    let places: Vec<usize> = places(header, columns);
    let full = |cells: &[String], added: &[&str]| {
        let width = places.iter().map(|place| place + 1).fold(header.len(), usize::max);
        let mut full = cells.to_vec();
        full.resize(width.max(cells.len()), String::new());
        for (place, cell) in places.iter().zip(added) {
            if let Some(at) = full.get_mut(*place) {
                *at = (*cell).to_owned();
            }
        }
        full
    };
    writer.write_record(full(header, columns))?;
    for Extended { row, added } in rows {
        // Cells beyond the header would have no column.
        let cells = row.cells.get(..header.len()).unwrap_or(&row.cells);
        writer.write_record(full(cells, added))?;
    }
    writer.flush()?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?.sync_all()
}

/// Where each added column is: in the header already, or behind it.
fn places(header: &[String], columns: &[&str]) -> Vec<usize> {
    let mut next = header.len();
    let place = |name: &&str| {
        let there = header.iter().position(|known| match named(known) {
            Some(column) => column.name == *name,
            None => known == name,
        });
        there.unwrap_or_else(|| {
            next += 1;
            next - 1
        })
    };
    columns.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(header: &[&str], rows: &[(&[&str], Vec<&str>)]) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let source = directory.path().join("links.csv");
        fs::write(&source, "").expect("a source");
        let path = failed_path(&source);
        let owned =
            |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let kept: Vec<Row> =
            rows.iter().map(|(cells, _)| Row { line: 2, cells: owned(cells) }).collect();
        let extended: Vec<_> = kept
            .iter()
            .zip(rows)
            .map(|(row, (_, added))| Extended { row, added: added.clone() })
            .collect();
        write(&path, &source, &owned(header), &FAILED_COLUMNS, &extended).expect("it is written");
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("links.failed.csv"));
        fs::read_to_string(path).expect("it is there")
    }

    #[test]
    fn columns_are_added_behind_the_others() {
        let text = written(
            &["Destination", "Notes"],
            &[
                (&["https://a.example", "x, \"y\"\nz"], vec!["k-1", "slug: taken"]),
                (&["b"], vec!["k-2", ""]),
            ],
        );
        assert_eq!(
            text,
            "Destination,Notes,idempotency_key,reason\n\
             https://a.example,\"x, \"\"y\"\"\nz\",k-1,slug: taken\n\
             b,,k-2,\n"
        );
    }

    #[test]
    fn columns_of_an_earlier_import_are_written_anew() {
        let text =
            written(&["Reason", "destination"], &[(&["old", "a", "beyond"], vec!["k", "new"])]);
        assert_eq!(
            text,
            "Reason,destination,idempotency_key\nnew,a,k\n".replace("Reason", "reason")
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_was_private_stays_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let source = directory.path().join("links.csv");
        fs::write(&source, "").expect("a source");
        fs::set_permissions(&source, fs::Permissions::from_mode(0o600)).expect("it is private");
        write(&failed_path(&source), &source, &[], &FAILED_COLUMNS, &[]).expect("it is written");
        let mode = fs::metadata(failed_path(&source)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
