//! Big chunks of a text, cut at the ends of records: lines of newline-delimited JSON, elements of a JSON array.
//!
//! A chunk is read once and never copied: records are slices of it. What is incomplete at its end is carried into the
//! next one, which is the only copying there is. Memory of chunks whose records are gone is read into again, because
//! fresh memory costs as much as reading does: the system clears it first.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use bytes::Bytes;

/// Bytes that are read at once.
const CHUNK: usize = 4 << 20;
/// One record is never larger; what is, is not what its format says.
const RECORD_AT_MOST: usize = 256 << 20;
/// Chunks that are remembered until their records are gone.
const REMEMBERED: usize = 32;

/// Finds complete records in a text.
pub(super) trait Cut {
    /// Where the complete records of `text` are, and how much of it is done with. At the end of the input nothing may be
    /// left; what is wrong is told in words.
    fn cut(&mut self, text: &[u8], at_end: bool) -> Result<(Vec<Range<usize>>, usize), String>;
}

/// Reads chunks and cuts them.
pub(super) struct Chunks<C> {
    input: Box<dyn Read + Send>,
    cutter: C,
    rest: Bytes,
    size: usize,
    /// Chunks whose records were handed out, oldest first.
    given: VecDeque<Bytes>,
    started: bool,
    ended: bool,
}

/// Why there is no next chunk.
#[derive(Debug)]
pub(super) enum ChunkError {
    Read(io::Error),
    Content(String),
}

impl<C: Cut> Chunks<C> {
    pub(super) fn new(input: Box<dyn Read + Send>, cutter: C) -> Chunks<C> {
        Chunks::with_size(input, cutter, CHUNK)
    }

    fn with_size(input: Box<dyn Read + Send>, cutter: C, size: usize) -> Chunks<C> {
        Chunks {
            input,
            cutter,
            rest: Bytes::new(),
            size,
            given: VecDeque::new(),
            started: false,
            ended: false,
        }
    }

    /// The records of the next chunk; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Bytes>>, ChunkError> {
        let mut wanted = self.size;
        while !self.ended {
            let mut buffer = self.buffer(self.rest.len() + wanted);
            buffer.extend_from_slice(&self.rest);
            let read = self
                .input
                .by_ref()
                .take(wanted as u64)
                .read_to_end(&mut buffer)
                .map_err(ChunkError::Read)?;
            self.ended = read < wanted;
            let mut text = Bytes::from(buffer);
            if !self.started {
                self.started = true;
                if text.starts_with(b"\xef\xbb\xbf") {
                    text = text.slice(3..);
                }
            }
            let (ranges, done) = self.cutter.cut(&text, self.ended).map_err(ChunkError::Content)?;
            let records: Vec<Bytes> = ranges.into_iter().map(|range| text.slice(range)).collect();
            self.rest = text.slice(done.min(text.len())..);
            if self.rest.len() > RECORD_AT_MOST {
                return Err(ChunkError::Content(format!(
                    "a record exceeds {RECORD_AT_MOST} bytes"
                )));
            }
            if !records.is_empty() {
                self.given.push_back(text);
                if self.given.len() > REMEMBERED {
                    self.given.pop_front();
                }
                return Ok(Some(records));
            }
            // A record larger than a chunk: read twice as much, so that its beginning is not copied again and again.
            wanted = wanted.max(self.rest.len());
        }
        Ok(None)
    }

    /// Empty memory of so many bytes.
    fn buffer(&mut self, capacity: usize) -> Vec<u8> {
        let unused = self.given.iter().position(Bytes::is_unique);
        let chunk = unused.and_then(|position| self.given.remove(position));
        if let Some(Ok(mut chunk)) = chunk.map(Bytes::try_into_mut) {
            chunk.clear();
            let buffer = Vec::from(chunk);
            if buffer.capacity() >= capacity {
                return buffer;
            }
        }
        // What is carried over differs from chunk to chunk: room for any that is not unusually large.
        Vec::with_capacity(capacity.max(self.size + self.size / 8))
    }
}

/// Lines, without their ends. Empty lines are records too, so that line numbers can be counted; they are empty slices.
#[derive(Debug, Default)]
pub(super) struct Lines;

impl Cut for Lines {
    fn cut(&mut self, text: &[u8], at_end: bool) -> Result<(Vec<Range<usize>>, usize), String> {
        let mut lines = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            lines.push(start..end);
            start = end + 1;
        }
        if at_end && start < text.len() {
            lines.push(start..text.len());
            start = text.len();
        }
        Ok((lines, start))
    }
}

/// The elements of one JSON array, told apart by brackets and quotes only; whether an element is JSON shows later.
#[derive(Debug, Default)]
pub(super) struct Elements {
    place: Place,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    BeforeArray,
    /// After `[`: an element or `]`.
    AtFirst,
    /// After `,`: an element.
    AtElement,
    AfterElement,
    AfterArray,
}

impl Cut for Elements {
    fn cut(&mut self, text: &[u8], at_end: bool) -> Result<(Vec<Range<usize>>, usize), String> {
        let mut elements = Vec::new();
        let mut position = 0;
        while let Some(byte) = text.get(position).copied() {
            if byte.is_ascii_whitespace() {
                position += 1;
                continue;
            }
            match (&self.place, byte) {
                (Place::BeforeArray, b'[') => self.place = Place::AtFirst,
                (Place::AtFirst | Place::AfterElement, b']') => self.place = Place::AfterArray,
                (Place::AfterElement, b',') => self.place = Place::AtElement,
                (Place::AtFirst | Place::AtElement, _) => match element_end(text, position) {
                    Some(end) => {
                        elements.push(position..end);
                        position = end;
                        self.place = Place::AfterElement;
                        continue;
                    }
                    None => break,
                },
                (Place::BeforeArray, _) => return Err("expected `[`, the beginning of an array".to_owned()),
                (Place::AfterElement, _) => return Err("expected `,` or `]` after an element".to_owned()),
                (Place::AfterArray, _) => return Err("there is more after the end of the array".to_owned()),
            }
            position += 1;
        }
        if at_end && self.place != Place::AfterArray {
            return Err("the array has no end".to_owned());
        }
        Ok((elements, position))
    }
}

/// Where an element ends, if it does: after its closing bracket or quote, or before what follows a bare word.
fn element_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut position = start;
    loop {
        match *text.get(position)? {
            b'"' => {
                position = string_end(text, position + 1)?;
                if depth == 0 {
                    return Some(position);
                }
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Some(position + 1);
                }
            }
            b',' | b']' | b'}' if depth == 0 => return Some(position.max(start + 1)),
            byte if depth == 0 && byte.is_ascii_whitespace() => return Some(position),
            _ => {}
        }
        position += 1;
    }
}

/// The position after a text's closing quote.
fn string_end(text: &[u8], mut position: usize) -> Option<usize> {
    loop {
        let found = position + memchr::memchr2(b'"', b'\\', text.get(position..)?)?;
        if text.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        position = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all<C: Cut>(text: &[u8], cutter: C, size: usize) -> Result<Vec<String>, ChunkError> {
        let mut chunks = Chunks::with_size(Box::new(io::Cursor::new(text.to_vec())), cutter, size);
        let mut records = Vec::new();
        while let Some(found) = chunks.next()? {
            records.extend(
                found
                    .iter()
                    .map(|record| String::from_utf8(record.to_vec()).unwrap()),
            );
        }
        Ok(records)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_chunk(lines in prop::collection::vec("[a-zé ]{0,20}", 0..20), size in 1_usize..40) {
            let text = lines.join("\n");
            let mut expected = lines.clone();
            if expected.last().is_some_and(String::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(all(text.as_bytes(), Lines, size).unwrap(), expected);
        }

        #[test]
        fn elements_do_not_depend_on_the_chunk(texts in prop::collection::vec("[\\[\\]{}\",\\\\ a]{0,8}", 0..8), size in 1_usize..40) {
            let elements: Vec<serde_json::Value> = texts
                .iter()
                .enumerate()
                .map(|(number, text)| match number % 4 {
                    0 => serde_json::json!({ "a": text, "b": [text, number] }),
                    1 => serde_json::json!(text),
                    2 => serde_json::json!([[], {}, text]),
                    _ => serde_json::json!(number),
                })
                .collect();
            let expected: Vec<String> = elements.iter().map(ToString::to_string).collect();
            for text in [serde_json::Value::from(elements.clone()).to_string(), serde_json::to_string_pretty(&elements).unwrap()] {
                let found = all(text.as_bytes(), Elements::default(), size).unwrap();
                let found: Vec<String> = found
                    .iter()
                    .map(|element| serde_json::from_str::<serde_json::Value>(element).unwrap().to_string())
                    .collect();
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for (text, message) in [
            ("{\"a\":1}", "expected `[`, the beginning of an array"),
            ("[1 2]", "expected `,` or `]` after an element"),
            ("[1] 2", "there is more after the end of the array"),
            ("[{\"a\":1}", "the array has no end"),
            ("", "the array has no end"),
        ] {
            let error = all(text.as_bytes(), Elements::default(), 3).unwrap_err();
            assert!(
                matches!(&error, ChunkError::Content(found) if found == message),
                "{text}: {error:?}"
            );
        }
    }

    #[test]
    fn a_mark_at_the_beginning_is_not_part_of_the_first_line() {
        assert_eq!(all(b"\xef\xbb\xbfa\nb", Lines, 100).unwrap(), ["a", "b"]);
    }
}
