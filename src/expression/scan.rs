//! [`Scanner`]: stepping over well-formed JSON without building anything of it.
//!
//! Most of a record is read by no rule, and yet all of it must be JSON. A general parser makes a call or two of every
//! token; this steps over texts sixteen bytes at a time. It accepts only what RFC 8259 does, but not all of that: where
//! it gives up (`None`), be it a fault or a rarity, the caller asks `serde_json`, which also knows what is wrong.

use wide::u8x16;

/// Nesting that is kept track of.
const DEEPEST: u32 = 128;

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    /// At the beginning of a text.
    pub(super) fn new(text: &'t str) -> Self {
        Scanner { text, at: 0 }
    }

    /// The next byte that is no white space, which stays.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let (byte, at) = visible(self.text.as_bytes(), self.at)?;
        self.at = at;
        Some(byte)
    }

    /// Steps over a bracket that opens an object or a list; says whether there is anything in it.
    #[inline]
    pub(super) fn open(&mut self, opening: u8, closing: u8) -> Option<bool> {
        self.take(opening)?;
        if self.peek()? == closing {
            self.at += 1;
            return Some(false);
        }
        Some(true)
    }

    /// Steps over what follows a member or element; says whether it was a comma.
    #[inline]
    pub(super) fn more(&mut self, closing: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == closing => Some(false),
            _ => None,
        }
    }

    /// Steps over a member's name and its colon. A name with escapes is not taken.
    #[inline]
    pub(super) fn name(&mut self) -> Option<&'t str> {
        self.take(b'"')?;
        let start = self.at;
        let (end, has_escapes) = string(self.text.as_bytes(), start)?;
        self.at = end;
        let name = self.text.get(start..end - 1)?;
        self.take(b':')?;
        (!has_escapes).then_some(name)
    }

    /// Steps over a value.
    #[inline]
    pub(super) fn value(&mut self) -> Option<&'t str> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at)
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Option<()> {
        match self.peek() {
            None => Some(()),
            Some(_) => None,
        }
    }

    /// Steps over a value that is not asked for.
    pub(super) fn skip(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        // The innermost open bracket is the lowest bit: 1 for an object.
        let mut open: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            let (first, start) = visible(bytes, at)?;
            let closing = match first {
                b'"' => {
                    at = string(bytes, start + 1)?.0;
                    None
                }
                b'{' => Some(b'}'),
                b'[' => Some(b']'),
                b't' => {
                    at = word(bytes, start, b"true")?;
                    None
                }
                b'f' => {
                    at = word(bytes, start, b"false")?;
                    None
                }
                b'n' => {
                    at = word(bytes, start, b"null")?;
                    None
                }
                _ => {
                    at = number(bytes, start)?;
                    None
                }
            };
            let mut is_whole = true;
            if let Some(closing) = closing {
                let (byte, place) = visible(bytes, start + 1)?;
                if byte == closing {
                    at = place + 1;
                } else {
                    if depth == DEEPEST {
                        return None;
                    }
                    is_whole = false;
                    at = place;
                    depth += 1;
                    open = open << 1 | u128::from(closing == b'}');
                }
            }
            if is_whole {
                loop {
                    if depth == 0 {
                        self.at = at;
                        return Some(());
                    }
                    let (byte, place) = visible(bytes, at)?;
                    at = place + 1;
                    if byte == b',' {
                        break;
                    }
                    if byte != (if open & 1 == 1 { b'}' } else { b']' }) {
                        return None;
                    }
                    depth -= 1;
                    open >>= 1;
                }
            }
            if open & 1 == 1 {
                at = step(bytes, at, b'"')?;
                at = string(bytes, at)?.0;
                at = step(bytes, at, b':')?;
            }
        }
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Option<()> {
        self.at = step(self.text.as_bytes(), self.at, wanted)?;
        Some(())
    }
}

/// The next byte that is no white space, and where it is.
#[inline]
fn visible(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let byte = *bytes.get(at)?;
    if byte > b' ' {
        return Some((byte, at));
    }
    after_blanks(bytes, at)
}

/// As [`visible`], for texts that were written to be read.
#[cold]
fn after_blanks(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        match *bytes.get(at)? {
            b' ' | b'\n' | b'\t' | b'\r' => at += 1,
            byte => return Some((byte, at)),
        }
    }
}

/// Behind a sign that must come next.
#[inline]
fn step(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    let (byte, at) = visible(bytes, at)?;
    (byte == wanted).then_some(at + 1)
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn digits(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits(bytes, at)?,
        _ => return None,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// Behind the closing quote of a text that begins here, and whether it has escapes.
#[inline]
fn string(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut has_escapes = false;
    loop {
        at = special(bytes, at)?;
        match bytes.get(at)? {
            b'"' => return Some((at + 1, has_escapes)),
            b'\\' => {
                has_escapes = true;
                at += escape(bytes, at)?;
            }
            _ => return None,
        }
    }
}

/// How long the escape is that begins here.
fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        _ => None,
    }
}

/// Where the next quote, backslash or control character is.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let signs = u8x16::new(*chunk);
        let is_control = signs.min(u8x16::splat(0x1f)).simd_eq(signs);
        let is_sign = signs.simd_eq(u8x16::splat(b'"')) | signs.simd_eq(u8x16::splat(b'\\'));
        let found = (is_control | is_sign).to_bitmask();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += 16;
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    Some(at + bytes.get(at..)?.iter().position(is_special)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip().and_then(|()| scanner.end()).is_some()
    }

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    proptest! {
        /// Texts made of pieces of JSON are JSON now and then, and nearly JSON often.
        #[test]
        fn pieces_are_accepted_when_they_are_json(pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"é\\n\"", "\"\\u00e9\"", "\"\\ud8\"", "\"\\x\"", "\"long enough for words\"",
            "0", "1", "-", "-1.5e+3", "01", "1.", "2e", ".5", "true", "false", "null", "tru", " ", "\n", "\u{1}", "\u{7f}",
        ]), 0..12)) {
            let text = pieces.concat();
            prop_assert_eq!(accepts(&text), is_json(&text), "{}", text);
        }

        #[test]
        fn any_text_with_one_byte_changed(number in any::<i64>(), word in ".{0,30}", at in any::<prop::sample::Index>(), by in any::<char>()) {
            let json = serde_json::json!({"n": number, "list": [word.clone(), {"a": null, "b": [1.5, true, word]}], "": {}}).to_string();
            prop_assert!(accepts(&json));
            let mut changed: Vec<char> = json.chars().collect();
            *at.get_mut(&mut changed) = by;
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(accepts(&changed), is_json(&changed), "{}", changed);
        }

        #[test]
        fn the_first_special_byte_is_found(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(special(&bytes, 0), expected);
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_others() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&nested(129)));
        assert!(!accepts(&nested(130)));
    }
}
