//! An answer becomes records: cut out of the page, cleaned of what nobody may read, unwrapped, shaped, joined.
//!
//! Without envelope and shape a record is a slice of the page and nothing is copied; side-loaded records are always
//! slices. What rules read and what was received differ only where the connector says so.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::HttpConnection;
use super::client::{Answer, Unusable};
use super::frame::Frame;
use super::json_api::{Included, flatten};
use super::shape::{ShapeError, Shaper, remove_forbidden, without_forbidden};
use crate::compile::compiled::{Envelope, Request, SideLoad, Stream};
use crate::connector::ConnectorError;
use crate::expression::{
    Joined, JsonError, Path, Projection, Record, Scope, SplitError, Value, parse_json, select_slice,
    split_records,
};

/// Reads the records of one request's answers.
#[derive(Debug)]
pub(super) struct RecordReader<'s> {
    connection: &'s HttpConnection,
    what: &'s str,
    stream: &'s Stream,
    envelope: Envelope,
    records: &'s Path,
    record: Option<&'s Path>,
    included: &'s Path,
    shaper: Option<Shaper<'s>>,
    joins: Vec<Join<'s>>,
    references: Projection,
}

/// A side-load, and whose index it uses: several names may refer to the same list.
#[derive(Debug)]
struct Join<'s> {
    name: Arc<str>,
    load: &'s SideLoad,
    index: usize,
}

/// Records by their key's text.
type Index = HashMap<String, Bytes>;

impl<'s> RecordReader<'s> {
    /// Prepares reading the answers of `request`.
    ///
    /// # Errors
    /// When the connector cannot be read.
    pub(super) fn new(
        connection: &'s HttpConnection,
        stream: &'s Stream,
        request: &'s Request,
        joins: &'s [SideLoad],
        what: &'s str,
    ) -> Result<Self, ConnectorError> {
        let envelope = connection.connector()?.envelope;
        let paths = &connection.paths;
        let default = match envelope {
            Envelope::Plain => &paths.root,
            Envelope::JsonApi => &paths.data,
        };
        let mut references = Projection::new();
        let mut lists: Vec<(&str, &str)> = Vec::new();
        let mut prepared = Vec::with_capacity(joins.len());
        for load in joins {
            references.add_path(&load.is);
            let list = (load.among.source(), load.whose.source());
            let index = lists
                .iter()
                .position(|known| *known == list)
                .unwrap_or(lists.len());
            if index == lists.len() {
                lists.push(list);
            }
            prepared.push(Join {
                name: Arc::from(load.name.as_str()),
                load,
                index,
            });
        }
        Ok(RecordReader {
            connection,
            what,
            stream,
            envelope,
            records: request.records.as_ref().unwrap_or(default),
            record: request.record.as_ref(),
            included: &paths.included,
            shaper: Shaper::new(&stream.shape),
            joins: prepared,
            references,
        })
    }

    /// The records of a page, and the page without them. A request that names the place of one record gives that one, or none for null.
    ///
    /// # Errors
    /// [`Unusable`]: torn JSON, or no list where the connector says one is.
    pub(super) fn page(
        &self,
        answer: &Answer,
        parent: Option<&Value<'_>>,
    ) -> Result<(Vec<Record>, Frame), Unusable> {
        let page = &answer.body;
        let (slices, frame) = match self.record {
            Some(path) => (self.selected(page, path)?.into_iter().collect(), Frame::new(page)),
            None => {
                let slices = self.list(page, self.records)?;
                let frame = Frame::around(page, self.records, &slices);
                (slices, frame)
            }
        };
        Ok((self.records(&frame, slices, parent)?, frame))
    }

    /// The one record of an answer; `None` for null or an empty body.
    ///
    /// # Errors
    /// As [`RecordReader::page`].
    pub(super) fn single(&self, answer: &Answer) -> Result<Option<Record>, Unusable> {
        let page = &answer.body;
        if page.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let default = match self.envelope {
            Envelope::Plain => &self.connection.paths.root,
            Envelope::JsonApi => &self.connection.paths.data,
        };
        let slice = self.selected(page, self.record.unwrap_or(default))?;
        let records = self.records(&Frame::new(page), slice.into_iter().collect(), None)?;
        Ok(records.into_iter().next())
    }

    fn records(
        &self,
        frame: &Frame,
        slices: Vec<Bytes>,
        parent: Option<&Value<'_>>,
    ) -> Result<Vec<Record>, Unusable> {
        let included = match self.envelope {
            Envelope::Plain => None,
            Envelope::JsonApi => self.plain_slice(frame.text(self.included), self.included)?,
        };
        let included = match &included {
            Some(list) => Included::new(parse_json(list)?),
            None => Included::default(),
        };
        let scope = self.connection.scope().map_err(Unusable::Wrong)?;
        let scope = match parent {
            Some(parent) => scope.with("parent", parent),
            None => scope,
        };
        let indexes = self.indexes(frame)?;
        slices
            .into_iter()
            .map(|slice| {
                let mut record = self.made(slice, &included, &scope)?;
                self.join(&mut record, &indexes)?;
                Ok(record)
            })
            .collect()
    }

    fn made(&self, slice: Bytes, included: &Included<'_>, scope: &Scope<'_>) -> Result<Record, Unusable> {
        let received = without_forbidden(self.stream, self.envelope, slice)?;
        let mut view = None;
        if self.envelope == Envelope::JsonApi {
            let mut flat = flatten(parse_json(&received)?, included);
            // Included resources come into the record only here.
            remove_forbidden(self.stream, &mut flat);
            view = Some(Bytes::from(flat.to_json()));
        }
        if let Some(shaper) = &self.shaper {
            let text = view.as_ref().unwrap_or(&received);
            view = Some(
                shaper
                    .view(text, scope)
                    .map_err(|error| self.shape_error(error))?,
            );
        }
        let record = Record::new(received);
        Ok(match view {
            Some(view) => record.with_view(view),
            None => record,
        })
    }

    /// One index for each list of side-loaded records, in the order in which joins first name them.
    fn indexes(&self, frame: &Frame) -> Result<Vec<Index>, Unusable> {
        let mut indexes: Vec<Index> = Vec::new();
        for join in &self.joins {
            if join.index < indexes.len() {
                continue;
            }
            let among = &join.load.among;
            let candidates = match self.list(frame.text(among), among) {
                Ok(candidates) => candidates,
                // Nobody is referred to, so nobody was sent along.
                Err(Unusable::Wrong(_)) => Vec::new(),
                Err(torn) => return Err(torn),
            };
            let mut index = Index::with_capacity(candidates.len());
            for candidate in candidates {
                let key = self.selected(&candidate, &join.load.whose)?;
                let key = key.as_deref().map(parse_json).transpose()?;
                if let Some(key) = key.as_ref().and_then(Value::scalar_text) {
                    index.insert(key.into_owned(), candidate);
                }
            }
            indexes.push(index);
        }
        Ok(indexes)
    }

    fn join(&self, record: &mut Record, indexes: &[Index]) -> Result<(), Unusable> {
        if self.joins.is_empty() {
            return Ok(());
        }
        let mut joined = Vec::with_capacity(self.joins.len());
        {
            let value = record.project(&self.references)?;
            for join in &self.joins {
                let find =
                    |reference: &Value<'_>| indexes.get(join.index)?.get(&*reference.scalar_text()?).cloned();
                let found = if join.load.many {
                    let references = join.load.is.all(&value);
                    let references = references.iter().flat_map(|selected| match selected {
                        Value::List(items) => items.as_slice(),
                        one => std::slice::from_ref(*one),
                    });
                    Joined::Many(references.filter_map(find).collect())
                } else {
                    join.load
                        .is
                        .one(&value)
                        .and_then(find)
                        .map_or(Joined::Nothing, Joined::One)
                };
                joined.push((Arc::clone(&join.name), found));
            }
        }
        for (name, found) in joined {
            record.join(name, found);
        }
        Ok(())
    }

    /// The elements of a list: slices of the page where the path is plain.
    fn list(&self, page: &Bytes, path: &Path) -> Result<Vec<Bytes>, Unusable> {
        match split_records(page, path) {
            Ok(slices) => Ok(slices),
            Err(SplitError::Json(error)) => Err(Unusable::Json(error)),
            Err(SplitError::NotPlain { .. }) => {
                let page = parse_json(page)?;
                let nodes = path.all(&page);
                let nodes: Vec<&Value<'_>> = match nodes.as_slice() {
                    [Value::List(items)] => items.iter().collect(),
                    [Value::Null] => Vec::new(),
                    nodes => nodes.to_vec(),
                };
                Ok(nodes
                    .into_iter()
                    .map(|node| Bytes::from(node.to_json()))
                    .collect())
            }
            Err(SplitError::NotFound { .. }) => Err(self.wrong(path, "there must be a list")),
            Err(SplitError::NotAList { .. }) => Err(self.wrong(path, "it is no list")),
        }
    }

    /// The JSON text of one node; `None` where there is nothing or null.
    fn selected(&self, page: &Bytes, path: &Path) -> Result<Option<Bytes>, Unusable> {
        if path.steps().is_some() {
            return self.plain_slice(page, path);
        }
        let page = parse_json(page)?;
        let node = path.one(&page).filter(|node| !node.is_null());
        Ok(node.map(|node| Bytes::from(node.to_json())))
    }

    fn plain_slice(&self, page: &Bytes, path: &Path) -> Result<Option<Bytes>, Unusable> {
        match select_slice(page, path) {
            Ok(slice) => Ok(slice.filter(|slice| slice.as_ref() != b"null")),
            Err(SplitError::Json(error)) => Err(Unusable::Json(error)),
            Err(other) => Err(self.wrong(path, &other.to_string())),
        }
    }

    fn wrong(&self, path: &Path, message: &str) -> Unusable {
        Unusable::Wrong(ConnectorError::Shape {
            connection: self.connection.name().to_owned(),
            what: self.what.to_owned(),
            path: path.source().to_owned(),
            message: message.to_owned(),
        })
    }

    fn shape_error(&self, error: ShapeError) -> Unusable {
        match error {
            ShapeError::Json(error) => Unusable::Json(error),
            ShapeError::Evaluate(error) => Unusable::Wrong(ConnectorError::Template {
                connection: self.connection.name().to_owned(),
                what: self.what.to_owned(),
                template: "shape".to_owned(),
                message: format!("fails: {error}"),
            }),
        }
    }
}

impl From<JsonError> for Unusable {
    fn from(error: JsonError) -> Self {
        Unusable::Json(error)
    }
}

/// A value in an answer: where a page says how it goes on, a job its state, a write the new key.
///
/// # Errors
/// When the answer is not JSON.
pub(super) fn select(body: &Bytes, path: &Path) -> Result<Option<Value<'static>>, JsonError> {
    if path.steps().is_some() {
        return match select_slice(body, path) {
            Ok(Some(slice)) => Ok(Some(parse_json(&slice)?.into_owned()).filter(|value| !value.is_null())),
            Ok(None)
            | Err(SplitError::NotFound { .. } | SplitError::NotAList { .. } | SplitError::NotPlain { .. }) => {
                Ok(None)
            }
            Err(SplitError::Json(error)) => Err(error),
        };
    }
    let value = parse_json(body)?;
    let node = path.one(&value).filter(|node| !node.is_null());
    Ok(node.map(|node| node.clone().into_owned()))
}
