//! Comma-separated values (RFC 4180 with a header) as JSON objects.
//!
//! Every value is text; an empty one is null unless it is quoted. The library's field-by-field reader is used because
//! only it shows where a field begins, hence whether it was quoted.

use std::io::{self, Read};

use csv_core::{ReadFieldResult, Reader};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

/// A row, or why it is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The text of a JSON object.
    Object(Vec<u8>),
    /// The row as far as it can be shown, and what is wrong with it.
    Faulty(String),
}

/// Reads rows.
pub(super) struct Rows {
    input: Box<dyn Read + Send>,
    reader: Reader,
    buffer: Vec<u8>,
    /// What of `buffer` is not parsed yet.
    unread: std::ops::Range<usize>,
    ended: bool,
    /// The header's names as JSON texts with their colons.
    names: Option<Vec<Vec<u8>>>,
}

/// A field's bytes and whether it was quoted.
#[derive(Default)]
struct Field {
    bytes: Vec<u8>,
    quoted: bool,
}

impl Rows {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Rows {
        Rows {
            input,
            reader: Reader::new(),
            buffer: vec![0; BUFFER],
            unread: 0..0,
            ended: false,
            names: None,
        }
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        if self.names.is_none() {
            let Some(header) = self.fields()? else {
                return Ok(None);
            };
            let names = header.iter().map(|field| {
                let mut name = json_text(&String::from_utf8_lossy(&field.bytes));
                name.push(b':');
                name
            });
            self.names = Some(names.collect());
        }
        let Some(fields) = self.fields()? else {
            return Ok(None);
        };
        let names = self.names.as_deref().unwrap_or_default();
        if fields.len() != names.len() {
            return Ok(Some(Row::Faulty(format!(
                "found {} values, the header has {}",
                fields.len(),
                names.len()
            ))));
        }
        let mut object = vec![b'{'];
        for (name, field) in names.iter().zip(&fields) {
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(name);
            if field.bytes.is_empty() && !field.quoted {
                object.extend_from_slice(b"null");
                continue;
            }
            match std::str::from_utf8(&field.bytes) {
                Ok(text) => object.extend_from_slice(&json_text(text)),
                Err(_) => return Ok(Some(Row::Faulty("a value is not UTF-8".to_owned()))),
            }
        }
        object.push(b'}');
        Ok(Some(Row::Object(object)))
    }

    /// The fields of the next record.
    fn fields(&mut self) -> io::Result<Option<Vec<Field>>> {
        let mut fields = Vec::new();
        let mut field = Field::default();
        let mut at_start = true;
        let mut output = [0; 1024];
        loop {
            if self.unread.is_empty() && !self.ended {
                self.fill()?;
            }
            let input = self.buffer.get(self.unread.clone()).unwrap_or_default();
            let (result, read, written) = self.reader.read_field(input, &mut output);
            let consumed = input.get(..read).unwrap_or_default();
            if at_start {
                // Line ends of the record before (and empty lines) are consumed with the first field.
                let is_first = fields.is_empty();
                let first = consumed
                    .iter()
                    .find(|byte| !(is_first && matches!(byte, b'\r' | b'\n')));
                if let Some(first) = first {
                    field.quoted = *first == b'"';
                    at_start = false;
                }
            }
            field
                .bytes
                .extend_from_slice(output.get(..written).unwrap_or_default());
            self.unread.start += read;
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    fields.push(std::mem::take(&mut field));
                    at_start = true;
                    if record_end {
                        return Ok(Some(fields));
                    }
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.unread = 0..read;
        self.ended = read == 0;
        Ok(())
    }
}

/// A text as JSON.
fn json_text(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Slowly(io::Cursor<Vec<u8>>, usize);
    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    fn rows(text: &[u8], at_once: usize) -> Vec<Row> {
        let mut rows = Rows::new(Box::new(Slowly(io::Cursor::new(text.to_vec()), at_once)));
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            all.push(row);
        }
        all
    }

    fn object(text: &str) -> Row {
        Row::Object(text.as_bytes().to_vec())
    }

    #[test]
    fn quoted_empty_text_is_text_and_unquoted_is_null() {
        let text = b"id,name,note\r\n1,,\"\"\r\n\r\n2,\"a,\"\"b\"\"\r\nc\",\"\"\r\n\"\",x,\xc3\xa9";
        for at_once in 1..text.len() {
            assert_eq!(
                rows(text, at_once),
                [
                    object(r#"{"id":"1","name":null,"note":""}"#),
                    object(r#"{"id":"2","name":"a,\"b\"\r\nc","note":""}"#),
                    object(r#"{"id":"","name":"x","note":"é"}"#),
                ],
                "{at_once} bytes at once"
            );
        }
    }

    #[test]
    fn a_row_of_another_length_or_encoding_is_faulty_and_the_next_one_is_not() {
        let found = rows(b"a,b\n1\n1,2,3\n\xff,2\n1,2\n", 100);
        assert_eq!(
            found[0],
            Row::Faulty("found 1 values, the header has 2".to_owned())
        );
        assert_eq!(
            found[1],
            Row::Faulty("found 3 values, the header has 2".to_owned())
        );
        assert_eq!(found[2], Row::Faulty("a value is not UTF-8".to_owned()));
        assert_eq!(found[3], object(r#"{"a":"1","b":"2"}"#));
    }

    #[test]
    fn a_header_alone_has_no_rows() {
        assert_eq!(rows(b"", 9), []);
        assert_eq!(rows(b"a,b\n", 9), []);
        assert_eq!(rows(b"\xef\xbb\xbfa\n1", 9), [object(r#"{"a":"1"}"#)]);
    }
}
