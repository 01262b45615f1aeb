//! [`Scanner`]: stepping over well-formed JSON without building anything of it.
//!
//! Most of a record is read by no rule, and yet all of it must be JSON. A general parser makes a call or two of every
//! token; this steps over texts eight bytes at a time. It accepts only what RFC 8259 does, but not all of that: where it
//! gives up (`None`), be it a fault or a rarity, the caller asks `serde_json`, which also knows what is wrong.

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
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Steps over a bracket that opens an object or a list; says whether there is anything in it.
    pub(super) fn open(&mut self, opening: u8, closing: u8) -> Option<bool> {
        self.take(opening)?;
        if self.peek()? == closing {
            self.at += 1;
            return Some(false);
        }
        Some(true)
    }

    /// Steps over what follows a member or element; says whether it was a comma.
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
    pub(super) fn name(&mut self) -> Option<&'t str> {
        self.peek().filter(|byte| *byte == b'"')?;
        let start = self.at + 1;
        let has_escapes = self.string()?;
        let name = self.text.get(start..self.at - 1)?;
        self.take(b':')?;
        (!has_escapes).then_some(name)
    }

    /// Steps over a value.
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
        // The innermost open bracket is the lowest bit: 1 for an object.
        let mut open: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            let begun = match self.peek()? {
                b'"' => {
                    self.string()?;
                    None
                }
                b'{' => self.open(b'{', b'}')?.then_some(1),
                b'[' => self.open(b'[', b']')?.then_some(0),
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            };
            if let Some(kind) = begun {
                if depth == DEEPEST {
                    return None;
                }
                depth += 1;
                open = open << 1 | kind;
            } else {
                loop {
                    if depth == 0 {
                        return Some(());
                    }
                    let closing = if open & 1 == 1 { b'}' } else { b']' };
                    if self.more(closing)? {
                        break;
                    }
                    depth -= 1;
                    open >>= 1;
                }
            }
            if open & 1 == 1 && depth > 0 {
                self.peek().filter(|byte| *byte == b'"')?;
                self.string()?;
                self.take(b':')?;
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        if self.peek()? != wanted {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// `Some(None)`: the word was there, and nothing was opened.
    fn word<T>(&mut self, word: &[u8]) -> Option<Option<T>> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word).then(|| self.at += word.len())?;
        Some(None)
    }

    fn digits(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number<T>(&mut self) -> Option<Option<T>> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match bytes.get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(None)
    }

    /// Steps over a text, from its first quote; says whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        loop {
            self.at += plain(bytes.get(self.at..)?);
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(has_escapes);
                }
                b'\\' => {
                    has_escapes = true;
                    self.at += self.escape()?;
                }
                _ => return None,
            }
        }
    }

    /// How long the escape is that begins here.
    fn escape(&self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
            b'u' => {
                let digits = bytes.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
            }
            _ => None,
        }
    }
}

/// How many bytes come before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut before = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // The highest bit of each byte of these is set where the byte is smaller than 0x20, or equal to the sign; false
        // alarms stand behind a true one only.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found =
            (control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')))) & HIGH;
        if found != 0 {
            return before + found.trailing_zeros() as usize / 8;
        }
        before += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    before + rest.iter().position(special).unwrap_or(rest.len())
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
        fn plain_bytes_end_at_the_first_that_is_not(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(plain(&bytes), expected.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_others() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&nested(129)));
        assert!(!accepts(&nested(130)));
    }
}
