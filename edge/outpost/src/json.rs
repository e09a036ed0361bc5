//! As much JSON (RFC 8259) as the answers of SQS need: objects are walked, strings and booleans are
//! read, everything else is checked and skipped.
//!
//! Our own because of what it weighs: `serde_json` would be a quarter of the Worker's module, most
//! of it for numbers, which are only skipped here. The tests hold it to `serde_json`.

/// Deeper nesting is refused.
const DEPTH_MAX: usize = 16;

/// Reads values from the front of a text.
pub(crate) struct Json<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Json<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, depth: 0 }
    }

    /// Walks an object; `member` reads the value of each name, or skips it.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&str, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.list(b'{', b'}', |json| {
            let name = json.string()?;
            json.take(b':')?;
            member(&name, json)
        })
    }

    /// Walks an array; `item` reads each value.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', |json| item(json))
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Option<String> {
        self.take(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..=0x1f => return None,
                byte => bytes.push(byte),
            }
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.word(b"true").map(|()| true),
            _ => self.word(b"false").map(|()| false),
        }
    }

    /// Skips a value of any kind.
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(|_, json| json.skip()),
            b'[' => self.array(Self::skip),
            b'"' => self.string().map(drop),
            b't' | b'f' => self.boolean().map(drop),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        if self.peek()? != close {
            loop {
                each(self)?;
                match self.peek()? {
                    b',' => self.take(b',')?,
                    _ => break,
                }
            }
        }
        self.depth -= 1;
        self.take(close)
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            character @ (b'"' | b'\\' | b'/') => char::from(character),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return char::from_u32(unit);
                }
                // The second half of a character beyond the first plane follows.
                if (self.next()?, self.next()?) != (b'\\', b'u') {
                    return None;
                }
                let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                return char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low);
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | char::from(self.next()?).to_digit(16)?))
    }

    fn number(&mut self) -> Option<()> {
        if self.rest.first() == Some(&b'-') {
            self.next();
        }
        // No number but 0 begins with one.
        if let (b'0', 1..) = self.digits()? {
            return None;
        }
        if self.rest.first() == Some(&b'.') {
            self.next();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.next();
            if let Some(b'+' | b'-') = self.rest.first() {
                self.next();
            }
            self.digits()?;
        }
        Some(())
    }

    /// The first of at least one digit, and how many follow.
    fn digits(&mut self) -> Option<(u8, usize)> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = *self.rest.first()?;
        self.rest = &self.rest[count..];
        Some((first, count.checked_sub(1)?))
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.rest = &self.rest[1..])
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        let blanks =
            self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.rest = &self.rest[blanks.count()..];
        self.rest.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(text: &[u8]) -> bool {
        let mut json = Json::new(text);
        json.skip().is_some() && json.is_at_end()
    }

    const TEXTS: [&str; 8] = [
        r#"{"Successful":[{"Id":"0","MD5OfMessageBody":"x"}],"Failed":[]}"#,
        r#" { "a" : [ 1 , -0.5e+10 , 0 , 10 , true , false , null , {} , [] ] } "#,
        r#""\u00e9\ud83d\ude00\n\/\\\"\b\f\r\t""#,
        "[01]",
        "\"\u{1}\"",
        r#""\ud83d""#,
        "{\"a\":1,}",
        "nul",
    ];

    #[test]
    fn what_is_json_is_what_serde_json_says() {
        for text in TEXTS {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(is_json(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn damaged_texts_are_judged_as_serde_json_judges_them() {
        let mut state = 7u64;
        let mut below = |end: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % end
        };
        let mut right = 0;
        for _ in 0..200_000 {
            let mut text = TEXTS[below(3)].as_bytes().to_vec();
            for _ in 0..=below(3) {
                let at = below(text.len());
                match below(3) {
                    0 => text[at] = b"{}[]\",:\\u0dfe-+.9 tn\xff"[below(21)],
                    1 => text.truncate(at.max(1)),
                    _ => text.insert(at, b"{}[]\",:\\u0dfe-+.9 tn\xff"[below(21)]),
                }
            }
            let value = serde_json::from_slice::<serde_json::Value>(&text);
            // It refuses numbers that are too large for a float; we do not look.
            let is_large = value.as_ref().is_err_and(|error| error.to_string().contains("range"));
            if !is_large {
                assert_eq!(is_json(&text), value.is_ok(), "{}", String::from_utf8_lossy(&text));
                right += usize::from(value.is_ok());
            }
        }
        assert!(right > 1_000, "{right}");
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        let text = TEXTS[2];
        let expected: String = serde_json::from_str(text).expect("a string");
        assert_eq!(Json::new(text.as_bytes()).string(), Some(expected));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(is_json(&nested(DEPTH_MAX)));
        assert!(!is_json(&nested(DEPTH_MAX + 1)));
        assert!(!is_json(&vec![b'['; 1_000_000]));
    }
}
