//! A CSV file as spreadsheets write it: any of three separators, with or without a byte order
//! mark, Unix or Windows line ends, quoted cells with anything in them.

use csv::{ReaderBuilder, StringRecord};

use super::columns::{COLUMNS, Column, closest, named};

/// A file that could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    /// The header as it is in the file.
    pub(super) header: Vec<String>,
    /// What each column is; `None` for those left out.
    pub(super) columns: Vec<Option<Column>>,
    pub(super) rows: Vec<Row>,
    /// Rows with nothing in any cell, as spreadsheets leave behind.
    pub(super) empty_rows: usize,
}

/// A row with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line of the file that it starts in; the header is in line 1.
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

/// Reads a file.
///
/// # Errors
/// Everything that keeps the file as a whole from being read.
pub(super) fn read(bytes: &[u8], ignore_unknown: bool) -> Result<Sheet, Vec<String>> {
    let text = text(bytes).map_err(|fault| vec![fault])?;
    let mut reader = ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(record)) => record,
        _ => {
            return Err(vec!["the file is empty; expected a header with destination in it".into()]);
        }
    };
    let columns = columns(&header, ignore_unknown)?;
    let mut sheet = Sheet {
        header: header.iter().map(str::to_owned).collect(),
        columns,
        rows: Vec::new(),
        empty_rows: 0,
    };
    let lines = Lines::of(text);
    for record in records {
        let record = record.map_err(|error| vec![error.to_string()])?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            sheet.empty_rows += 1;
            continue;
        }
        let start = record.position().map_or(0, csv::Position::byte);
        let cells = record.iter().map(str::to_owned).collect();
        sheet.rows.push(Row { line: lines.of_record(start), cells });
    }
    Ok(sheet)
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("the file is UTF-16; expected UTF-8: save it as \"CSV UTF-8\"".into());
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8; expected UTF-8: save the file as \"CSV UTF-8\"")
    })
}

/// The character that most often stands between the names of the header.
fn separator(text: &str) -> u8 {
    let header = text.trim_start_matches(['\r', '\n']).lines().next().unwrap_or_default();
    let count = |separator: &u8| header.bytes().filter(|byte| byte == separator).count();
    // The last of equals wins: a header of one column is comma-separated.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

fn columns(
    header: &StringRecord,
    ignore_unknown: bool,
) -> Result<Vec<Option<Column>>, Vec<String>> {
    let columns: Vec<_> = header.iter().map(named).collect();
    let mut faults = Vec::new();
    for (index, (name, found)) in header.iter().zip(&columns).enumerate() {
        match found {
            None if !ignore_unknown => faults.push(unknown(name, index)),
            Some(found) if columns.iter().take(index).flatten().any(|earlier| earlier == found) => {
                faults.push(format!("column {} is there twice", found.name));
            }
            _ => {}
        }
    }
    if !columns.iter().flatten().any(|column| column.name == "destination") {
        faults.push("there is no column destination; expected one".to_owned());
    }
    match faults.is_empty() {
        true => Ok(columns),
        false => Err(faults),
    }
}

fn unknown(name: &str, index: usize) -> String {
    const LEAVE_OUT: &str = "or --ignore-unknown to leave it out";
    if name.trim().is_empty() {
        return format!("column number {} has no name; expected one, {LEAVE_OUT}", index + 1);
    }
    let expected = match closest(name) {
        Some(meant) => format!("{meant}, if that was meant"),
        None => format!("one of {}", COLUMNS.map(|column| column.name).join(", ")),
    };
    format!("there is no column {name:?}; expected {expected}, {LEAVE_OUT}")
}

/// Where lines start, to tell a place in the text by its line.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<u64>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n');
        Self { text, starts: std::iter::once(0).chain(ends.map(|(_, next)| next)).collect() }
    }

    /// The line of the record that is read from `offset` on. The reader counts empty lines before
    /// a record as its own.
    fn of_record(&self, offset: u64) -> u64 {
        let rest = usize::try_from(offset).ok().and_then(|start| self.text.get(start..));
        let skipped =
            rest.map_or(0, |rest| rest.len() - rest.trim_start_matches(['\r', '\n']).len());
        let start = offset + skipped as u64;
        self.starts.partition_point(|line| *line <= start) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        let sheet = read(text.as_bytes(), false).expect("a sheet");
        sheet.rows.into_iter().map(|row| (row.line, row.cells)).collect()
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn the_usual_spellings_of_a_file_mean_the_same() {
        let expected =
            vec![row(2, &["https://a.example", "x"]), row(3, &["https://b.example", ""])];
        for text in [
            "destination,slug\nhttps://a.example,x\nhttps://b.example,\n",
            "\u{FEFF}destination,slug\r\nhttps://a.example,x\r\nhttps://b.example,",
            "destination;slug\r\nhttps://a.example;x\r\nhttps://b.example;\r\n",
            "destination\tslug\nhttps://a.example\tx\nhttps://b.example\t\n",
            "\"destination\",\"slug\"\n\"https://a.example\",\"x\"\n\"https://b.example\",\"\"\n",
        ] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quoted_cells_hold_anything() {
        let text = "destination,notes\n\"https://a.example/?a=1,2;3\",\"say \"\"hi\"\"\r\nü\"\n";
        assert_eq!(rows(text), [row(2, &["https://a.example/?a=1,2;3", "say \"hi\"\r\nü"])]);
    }

    #[test]
    fn rows_know_their_lines() {
        let text = "destination,notes\r\n\r\na,\"1\r\n2\r\n3\"\r\n\r\n\r\nb,\r\n,\r\n ,  \r\nc,x";
        let sheet = read(text.as_bytes(), false).expect("a sheet");
        let lines: Vec<_> =
            sheet.rows.iter().map(|row| (row.line, row.cells[0].as_str())).collect();
        assert_eq!(lines, [(3, "a"), (8, "b"), (11, "c")]);
        assert_eq!(sheet.empty_rows, 2);
    }

    #[test]
    fn ragged_rows_are_kept_as_they_are() {
        let text = "destination,slug\na\nb,c,d\n";
        assert_eq!(rows(text), [row(2, &["a"]), row(3, &["b", "c", "d"])]);
    }

    #[test]
    fn faulty_headers_are_refused_with_every_fault() {
        let faults = |text: &str| read(text.as_bytes(), false).expect_err("faults");
        assert_eq!(
            faults("long_url,slug,Slug,\nx,y,z,\n"),
            [
                "there is no column \"long_url\"; expected destination, if that was meant, or --ignore-unknown to leave it out",
                "column slug is there twice",
                "column number 4 has no name; expected one, or --ignore-unknown to leave it out",
                "there is no column destination; expected one",
            ]
        );
        assert!(faults("destination,visits\n")[0].contains("expected one of destination, slug,"));
        for text in ["", "\n\n", "\u{FEFF}"] {
            assert_eq!(
                faults(text),
                ["the file is empty; expected a header with destination in it"]
            );
        }
    }

    #[test]
    fn unknown_columns_can_be_left_out() {
        let sheet = read(b"visits,destination,\n1,https://a.example,\n", true).expect("a sheet");
        assert_eq!(sheet.columns, [None, named("destination"), None]);
        assert!(read(b"visits,x\n", true).is_err());
    }

    #[test]
    fn other_encodings_are_refused() {
        let fault = |bytes: &[u8]| read(bytes, false).expect_err("a fault").remove(0);
        assert!(fault(b"\xFF\xFEd\0e\0").starts_with("the file is UTF-16"));
        assert!(
            fault(b"destination\nhttps://a.example\nB\xFCcher\n")
                .starts_with("line 3 is not UTF-8")
        );
    }
}
