use comfy_table::{CellAlignment, Table, presets};

/// A table for people: a line of names, then the rows. Columns whose cells are all numbers are
/// aligned to the right.
pub(super) fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = bare();
    table.set_header(names.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| shown(cell)));
    }
    for index in 0..names.len() {
        let mut cells = rows.iter().filter_map(|row| row.get(index)).peekable();
        let is_numeric = cells.peek().is_some() && cells.all(|cell| is_number(cell));
        if let Some(column) = table.column_mut(index).filter(|_| is_numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    finished(table)
}

/// Names and values, one pair a line.
pub(super) fn pairs(rows: &[(String, String)]) -> String {
    let mut table = bare();
    for (name, value) in rows {
        table.add_row([shown(name), shown(value)]);
    }
    finished(table)
}

/// Cut to what fits a column of a terminal.
pub(super) fn clipped(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Text of others, safe to show: what would steer a terminal is replaced.
pub(super) fn shown(text: &str) -> String {
    let replaced = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    text.chars().map(replaced).collect()
}

/// A whole number with thin groups of three: `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit())
        && cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | '%'))
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// Two spaces between columns, none around them.
fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_every_script() {
        let rows = [vec!["短い".into(), "7".into()], vec!["ab".into(), "1 234".into()]];
        assert_eq!(table(&["slug", "clicks"], &rows), "SLUG  CLICKS\n短い       7\nab     1 234");
    }

    #[test]
    fn a_table_without_rows_is_its_names() {
        assert_eq!(table(&["slug", "clicks"], &[]), "SLUG  CLICKS");
    }

    #[test]
    fn nothing_shown_steers_the_terminal() {
        let row = vec!["\u{1b}[31mred\u{7}\r\n".to_owned()];
        assert_eq!(table(&["title"], &[row]), "TITLE\n\u{FFFD}[31mred\u{FFFD}\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(clipped("äöü", 3), "äöü");
        assert_eq!(clipped("äöüß", 3), "äö…");
        assert_eq!(clipped("", 3), "");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
