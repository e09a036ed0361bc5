//! Files of keys: one `NUMBER:HEX` a line, the one that seals first. What follows a `#` is a
//! comment. Nothing here says what a line holds.

use super::{SealKeys, SealKeysFault};

/// Why a text is no file of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileFault {
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// A line is no key; lines are counted from 1.
    #[error("line {0} is no key")]
    Line(usize),
    /// A line has a number that an earlier line has.
    #[error("line {0} has a number that another key has")]
    Twice(usize),
    /// There is no number left for another key.
    #[error("the highest number is taken")]
    Full,
}

/// Reads the keys of a file.
///
/// # Errors
/// Which line is none.
pub fn read(text: &str) -> Result<SealKeys, KeyFileFault> {
    let mut pairs = String::new();
    for (line, at) in text.lines().zip(1..) {
        let key = key_in(line);
        if key.is_empty() {
            continue;
        }
        // By itself first, so that it is known which line is at fault, and how.
        let is_key = key.contains(':') && SealKeys::read(key).is_ok();
        if !is_key || key.contains(char::is_whitespace) {
            return Err(KeyFileFault::Line(at));
        }
        pairs.push_str(key);
        pairs.push(' ');
        if SealKeys::read(&pairs) == Err(SealKeysFault) {
            return Err(KeyFileFault::Twice(at));
        }
    }
    SealKeys::read(&pairs).map_err(|_| KeyFileFault::Empty)
}

fn key_in(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

/// The text of a file with a new key in front, and the new key's number: the next after the
/// highest. Everything that was there stays. Without a file there was, the first.
///
/// # Errors
/// If what is there is no file of keys.
pub fn with_new_key(before: Option<&str>, key: [u8; 32]) -> Result<(String, u32), KeyFileFault> {
    let number = match before {
        Some(text) => read(text)?.highest().checked_add(1).ok_or(KeyFileFault::Full)?,
        None => 1,
    };
    let line = format!("{number}:{}\n", hex::encode(key));
    let mut text = String::new();
    let mut is_written = false;
    for old in before.unwrap_or(HEAD).split_inclusive('\n') {
        if !is_written && !key_in(old).is_empty() {
            text.push_str(&line);
            is_written = true;
        }
        text.push_str(old);
    }
    if !is_written {
        text.push_str(&line);
    }
    Ok((text, number))
}

/// What a new file begins with.
const HEAD: &str = "\
# What links are sealed with at rest. The first key seals, the others open what they sealed.
# Keep a copy of this file apart from the backups: without it, sealed links cannot be read.
";

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
    const NEW: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";

    #[test]
    fn keys_are_read_line_by_line() {
        let expected = SealKeys::read(&format!("{NEW} {OLD}")).expect("keys");
        for text in
            [format!("{NEW}\n{OLD}\n"), format!("# the new one\r\n\r\n  {NEW} # of May\r\n{OLD}")]
        {
            assert_eq!(read(&text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn the_line_at_fault_is_named_and_not_shown() {
        for (text, fault) in [
            (String::new(), KeyFileFault::Empty),
            ("# 1:00\n\n".to_owned(), KeyFileFault::Empty),
            (format!("{OLD}\n2:abc\n"), KeyFileFault::Line(2)),
            (format!("{NEW} {OLD}\n"), KeyFileFault::Line(1)),
            (OLD[2..].to_owned(), KeyFileFault::Line(1)),
            (format!("\n{OLD}\n{OLD}"), KeyFileFault::Twice(3)),
            (
                format!("{OLD}\n{NEW}\n{}", NEW.replace("02", "03").replace("03:", "2:")),
                KeyFileFault::Twice(3),
            ),
        ] {
            let refused = read(&text).expect_err("no keys");
            assert_eq!(refused, fault, "{text}");
            assert!(!refused.to_string().contains("abc"));
        }
    }

    #[test]
    fn a_new_key_comes_in_front_of_the_others() {
        let (first, number) = with_new_key(None, [1; 32]).expect("a file");
        assert_eq!((number, first.lines().last()), (1, Some(OLD)));
        let (second, number) = with_new_key(Some(&first), [2; 32]).expect("a file");
        assert_eq!(number, 2);
        let keys: Vec<&str> = second.lines().filter(|line| !key_in(line).is_empty()).collect();
        assert_eq!(keys, [NEW, OLD]);
        assert!(second.starts_with(HEAD) && read(&second).is_ok_and(|keys| keys.current() == 2));
        // Numbers are never used again, whatever the order.
        let (third, number) =
            with_new_key(Some(&format!("{OLD}\n{NEW}")), [3; 32]).expect("a file");
        assert_eq!((number, read(&third).map(|keys| keys.current())), (3, Ok(3)));
        let full = OLD.replace("1:", "4294967295:");
        assert_eq!(with_new_key(Some(&full), [1; 32]), Err(KeyFileFault::Full));
        assert_eq!(with_new_key(Some("x"), [1; 32]), Err(KeyFileFault::Line(1)));
    }
}
