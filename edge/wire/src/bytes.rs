//! The few primitives every Waypost format is made of: variable-length numbers and short strings.
//!
//! Numbers are unsigned LEB128, signed ones zigzag first; strings are their length and UTF-8.

use alloc::vec::Vec;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The bytes end inside a value.
    Truncated,
    /// A number takes more than 64 bits.
    Overflow,
    /// A string is not UTF-8.
    NotUtf8,
}

/// Appends an unsigned number.
pub fn put_number(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value as u8) | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Appends a signed number.
pub fn put_signed(to: &mut Vec<u8>, value: i64) {
    put_number(to, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a string.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    put_number(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

/// Reads values from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads one byte.
    pub fn byte(&mut self) -> Result<u8, ReadError> {
        let (&first, rest) = self.rest.split_first().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads an unsigned number.
    pub fn number(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(ReadError::Overflow);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ReadError::Overflow)
    }

    /// Reads a signed number.
    pub fn signed(&mut self) -> Result<i64, ReadError> {
        let value = self.number()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// Reads `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a string.
    pub fn text(&mut self) -> Result<&'a str, ReadError> {
        let length = self.number()?;
        let length = usize::try_from(length).map_err(|_| ReadError::Truncated)?;
        core::str::from_utf8(self.take(length)?).map_err(|_| ReadError::NotUtf8)
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_at_every_length() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_number(&mut bytes, value);
                put_signed(&mut bytes, value as i64);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.number(), Ok(value));
                assert_eq!(reader.signed(), Ok(value as i64));
                assert_eq!(reader.remaining(), 0);
            }
        }
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(Reader::new(&[0x80]).number(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0xff; 10]).number(), Err(ReadError::Overflow));
        assert_eq!(Reader::new(&[0x80; 11]).number(), Err(ReadError::Overflow));
        assert_eq!(Reader::new(&[2, b'a']).text(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[1, 0xff]).text(), Err(ReadError::NotUtf8));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&huge).text(), Err(ReadError::Truncated));
    }
}
