//! [`Record`]: one record of a stream, as bytes, with what was joined to it.
//!
//! A record is parsed only as far as somebody asks: [`Record::project`] materialises the members that compiled rules
//! read and skips the rest. It lives here, below connectors and mapping, because both speak of it.

use std::sync::Arc;

use bytes::Bytes;

use super::json::{JsonError, project_json, project_text, utf8};
use super::path::Path;
use super::projection::Projection;
use super::split::{SplitError, select_text};
use super::value::{Map, Value};

/// One record as a connector read it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The record's JSON text exactly as received; snapshots keep these bytes.
    received: Bytes,
    /// The JSON text that rules read, where the envelope or the stream's `shape` made another of `received`.
    view: Option<Bytes>,
    /// Records joined to this one, by the name under which rules see them (`$.requester`).
    joined: Vec<(Arc<str>, Joined)>,
    /// Where in a file it stands, for messages.
    place: Option<Place>,
}

/// Where in a file a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// What is counted: `line`, `row` or `element`.
    pub unit: &'static str,
    /// Which one, from 1.
    pub number: u64,
    /// Why it is no record at all: whoever parses it is told this.
    pub fault: Option<Arc<str>>,
}

/// Under this name the records of a stream of children hold their parent's key.
pub const PARENT: &str = "parent";

/// What stands under the name of a join.
#[derive(Clone, Debug)]
pub enum Joined {
    /// Nothing was found; rules read null.
    Nothing,
    /// One record's JSON text.
    One(Bytes),
    /// Several records' JSON texts, in order.
    Many(Vec<Bytes>),
    /// A value that is already parsed, such as a record that a lookup found.
    Parsed(Arc<Value<'static>>),
}

impl Record {
    /// A record whose text rules read as it was received.
    pub fn new(received: Bytes) -> Self {
        Record {
            received,
            view: None,
            joined: Vec::new(),
            place: None,
        }
    }

    /// The same record, with the place in a file that messages about its text name.
    pub fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Its number in its file, as the key of a record that has none of its own; with several files, beside the
    /// file's name.
    pub fn numbered_key(&self, among_several: bool) -> Option<String> {
        let place = self.place.as_ref()?;
        if !among_several {
            return Some(place.number.to_string());
        }
        let name = place.file.rsplit(['/', '\\']).next().unwrap_or_default();
        Some(format!("{name}:{}", place.number))
    }

    /// Where in a file it stands.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The same record, read by rules through another JSON text.
    pub fn with_view(mut self, view: Bytes) -> Self {
        self.view = Some(view);
        self
    }

    /// Puts a joined record under a name, replacing what stood there.
    pub fn join(&mut self, name: Arc<str>, joined: Joined) {
        self.joined.retain(|(other, _)| *other != name);
        self.joined.push((name, joined));
    }

    /// The JSON text as received.
    pub fn received(&self) -> &Bytes {
        &self.received
    }

    /// The JSON text that rules read.
    pub fn text(&self) -> &Bytes {
        self.view.as_ref().unwrap_or(&self.received)
    }

    /// The JSON text that rules read, where it is another than the one received.
    pub fn view(&self) -> Option<&Bytes> {
        self.view.as_ref()
    }

    /// What was joined, by name.
    pub fn joined(&self) -> &[(Arc<str>, Joined)] {
        &self.joined
    }

    /// The members that a projection names, joined ones under their names, borrowing from this record.
    ///
    /// # Errors
    /// When the record's or a joined record's text is not JSON.
    pub fn project<'r>(&'r self, projection: &Projection) -> Result<Value<'r>, JsonError> {
        self.project_text(projection).map(|(value, _)| value)
    }

    /// As [`Record::project`], with the whole text, which is known to be UTF-8 then.
    ///
    /// # Errors
    /// As [`Record::project`].
    pub fn project_text<'r>(&'r self, projection: &Projection) -> Result<(Value<'r>, &'r str), JsonError> {
        let (mut value, text) = self.parse(projection).map_err(|error| self.located(error))?;
        for (name, joined) in &self.joined {
            let Some(projection) = projection.member(name) else {
                continue;
            };
            let joined = match joined {
                Joined::Nothing => Value::Null,
                Joined::One(text) => project_json(text, projection)?,
                Joined::Many(texts) => Value::List(
                    texts
                        .iter()
                        .map(|text| project_json(text, projection))
                        .collect::<Result<_, _>>()?,
                ),
                Joined::Parsed(parsed) => parsed.project(projection),
            };
            match &mut value {
                Value::Map(map) => map.insert(&**name, joined),
                other => *other = Value::Map(Map(vec![((&**name).into(), joined)])),
            }
        }
        Ok((value, text))
    }

    fn parse<'r>(&'r self, projection: &Projection) -> Result<(Value<'r>, &'r str), JsonError> {
        if let Some(fault) = self.place.as_ref().and_then(|place| place.fault.as_deref()) {
            return Err(JsonError::at(0, fault));
        }
        let text = utf8(self.text())?;
        Ok((project_text(text, projection)?, text))
    }

    /// The same error, naming the place in the file.
    fn located(&self, error: JsonError) -> JsonError {
        match &self.place {
            Some(place) => JsonError {
                offset: error.offset,
                message: format!(
                    "{} {} of `{}`: {}",
                    place.unit, place.number, place.file, error.message
                ),
            },
            None => error,
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Record::project`].
    pub fn value<'r>(&'r self) -> Result<Value<'r>, JsonError> {
        self.project(&Projection::everything())
    }
}

/// What stands at a plain path of a JSON text, exactly as it stands there.
///
/// # Errors
/// When the text is not JSON.
pub fn received_text<'t>(text: &'t str, path: &Path) -> Result<Option<&'t str>, SplitError> {
    if path.is_root() {
        return Ok(Some(text.trim()));
    }
    select_text(text.as_bytes(), path)
}

impl Value<'_> {
    /// The members that a projection names, borrowing from this value; what is no object is borrowed whole.
    pub fn project(&self, projection: &Projection) -> Value<'_> {
        match self {
            Value::Map(map) if !projection.is_everything() => Value::Map(Map(map
                .0
                .iter()
                .filter_map(|(name, value)| {
                    let projection = projection.member(name)?;
                    Some((name.as_ref().into(), value.project(projection)))
                })
                .collect())),
            Value::List(items) if !projection.is_everything() => {
                Value::List(items.iter().map(|item| item.project(projection)).collect())
            }
            other => other.borrow(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Path;

    #[test]
    fn texts_as_received() {
        let record = " {\"a\": [1.10,  2]} \n";
        let text = |path: &str| received_text(record, &Path::parse(path).unwrap()).unwrap();
        assert_eq!(text("$"), Some("{\"a\": [1.10,  2]}"));
        assert_eq!(text("$.a"), Some("[1.10,  2]"));
        assert_eq!(text("$.b"), None);
    }

    #[test]
    fn joined_records_stand_under_their_names() {
        let mut record = Record::new(Bytes::from_static(br#"{"id":1,"requester":"old"}"#));
        record.join(
            "requester".into(),
            Joined::One(Bytes::from_static(br#"{"email":"a@b","x":1}"#)),
        );
        record.join("gone".into(), Joined::Nothing);
        record.join(
            "people".into(),
            Joined::Many(vec![Bytes::from_static(br#"{"x":1,"n":2}"#)]),
        );
        let mut projection = Projection::new();
        for path in ["$.requester.email", "$.people.n", "$.id"] {
            projection.add_path(&Path::parse(path).unwrap());
        }
        assert_eq!(
            record.project(&projection).unwrap().to_json(),
            r#"{"id":1,"requester":{"email":"a@b"},"people":[{"n":2}]}"#
        );
        assert_eq!(record.value().unwrap().get("gone"), Some(&Value::Null));
        assert_eq!(record.received().as_ref(), br#"{"id":1,"requester":"old"}"#);
    }

    #[test]
    fn what_is_wrong_names_the_place_in_the_file() {
        let place = |fault: Option<&str>| Place {
            file: "tickets.ndjson".into(),
            unit: "line",
            number: 7,
            fault: fault.map(Into::into),
        };
        let broken = Record::new(Bytes::from_static(b"{\"id\":")).with_place(place(None));
        let message = broken.value().unwrap_err().message;
        assert!(message.starts_with("line 7 of `tickets.ndjson`: "), "{message}");
        let faulty = Record::new(Bytes::from_static(b"{}")).with_place(place(Some("found 3 values")));
        assert_eq!(faulty.numbered_key(false).as_deref(), Some("7"));
        assert_eq!(faulty.numbered_key(true).as_deref(), Some("tickets.ndjson:7"));
        assert_eq!(
            faulty.value().unwrap_err().message,
            "line 7 of `tickets.ndjson`: found 3 values"
        );
    }
}
