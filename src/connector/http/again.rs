//! Finding a record again whose create was not answered: by the mark that it carries, else by what was written.
//!
//! What the question needs is remembered with the prepared request, as little of it as that takes, so that a later
//! process can ask.

use jiff::{SignedDuration, Timestamp};

use super::HttpConnection;
use super::find::Question;
use super::write::set_nested;
use crate::compile::compiled::{FindAgain as Compiled, Pages, Request, Stream, Write};
use crate::connector::{ConnectorError, FindAgain, Prepared};
use crate::expression::{Map, Path, Record, Value, parse_json_owned};

/// How far the system's clock may be behind ours.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(120);

/// What a create has to remember; `None` where it cannot be found again, or wrote nothing to find it by.
pub(super) fn remembered(
    stream: &Stream,
    write: &Write,
    fields: &Value<'static>,
    intent: &Value<'static>,
) -> Option<FindAgain> {
    match write.find_again.as_ref()? {
        Compiled::Written { find, same, .. } => {
            let by = &stream.find.get(*find)?.by;
            let written = |path: &Path| {
                path.one(fields)
                    .filter(|value| !value.is_null())
                    .map(Value::to_json)
            };
            Some(FindAgain::Written {
                value: written(by)?,
                same: same.iter().map(written).collect(),
            })
        }
        Compiled::Marked { request, .. } => Some(FindAgain::Marked {
            fields: read_by(request, fields).to_json(),
            intent: intent.as_text()?.to_owned(),
        }),
    }
}

/// Those of the fields that a request's templates read.
fn read_by(request: &Request, fields: &Value<'static>) -> Value<'static> {
    let mut read = Value::Map(Map::default());
    let templates = request.query.iter().chain(&request.headers);
    for template in templates.map(|(_, template)| template).chain([&request.path]) {
        for chain in template.variables() {
            match chain.split_first() {
                Some((first, [])) if first == "fields" => return fields.clone(),
                Some((first, names)) if first == "fields" => {
                    let value = names.iter().try_fold(fields, |value, name| value.get(name));
                    if let Some(value) = value {
                        set_nested(&mut read, &names.join("."), value.clone());
                    }
                }
                _ => {}
            }
        }
    }
    read
}

impl HttpConnection {
    /// The records that a create may have made which was first sent at this time.
    ///
    /// # Errors
    /// What stopped the question.
    pub(in crate::connector) async fn find_again(
        &self,
        prepared: &Prepared,
        first_sent: Timestamp,
    ) -> Result<Vec<Record>, ConnectorError> {
        let stream = self.stream(prepared.stream)?;
        let write = self.write_of(stream, prepared.operation)?;
        let what = &*format!("find a lost create in `{}`", stream.name);
        let read = |text: &str| parse_json_owned(text.as_bytes()).map_err(|error| self.body(what, error));
        match (&prepared.find_again, &write.find_again) {
            (
                Some(FindAgain::Written { value, same }),
                Some(Compiled::Written {
                    find,
                    same: paths,
                    made,
                }),
            ) if same.len() == paths.len() => {
                let by = stream.find.get(*find).map(|find| &find.by);
                let value = read(value)?;
                let mut expected: Vec<(&Path, Value<'static>)> =
                    by.map(|by| (by, value.clone())).into_iter().collect();
                for (path, text) in paths.iter().zip(same) {
                    if let Some(text) = text {
                        expected.push((path, read(text)?));
                    }
                }
                let found = self.find(prepared.stream, *find, &[value]).await?;
                let earliest = first_sent.checked_sub(CLOCKS_APART).unwrap_or(first_sent);
                self.keep(found, what, |record| {
                    let is_old = made
                        .as_ref()
                        .and_then(|made| made.one(record)?.as_text()?.parse::<Timestamp>().ok())
                        .is_some_and(|made| made < earliest);
                    !is_old && expected.iter().all(|(path, value)| holds(record, path, value))
                })
            }
            (
                Some(FindAgain::Marked { fields, intent }),
                Some(Compiled::Marked {
                    request,
                    pages,
                    marker,
                }),
            ) => {
                let fields = read(fields)?;
                self.find_marked(stream, request, pages, marker, &fields, intent, what)
                    .await
            }
            _ => Ok(Vec::new()),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one compiled question and its two values"
    )]
    async fn find_marked(
        &self,
        stream: &Stream,
        request: &Request,
        pages: &Pages,
        marker: &Path,
        fields: &Value<'static>,
        intent: &str,
        what: &str,
    ) -> Result<Vec<Record>, ConnectorError> {
        let id = Value::text(intent.to_owned());
        let scope = self.scope()?.with("fields", fields).with("intent", &id);
        let question = Question {
            stream,
            request,
            joins: &[],
            what,
        };
        let is_marked = |record: &Value<'_>| holds(record, marker, &id);
        let any = |records: &[Record]| {
            records
                .iter()
                .any(|record| record.value().is_ok_and(|record| is_marked(&record)))
        };
        match self.pages(&question, pages, &scope, any).await {
            Ok(found) => self.keep(found, what, is_marked),
            // What it would belong to is gone, and it with that.
            Err(failure) if failure.is_gone() => Ok(Vec::new()),
            Err(failure) => Err(failure.into_error(self.name(), what)),
        }
    }

    fn keep(
        &self,
        found: Vec<Record>,
        what: &str,
        keep: impl Fn(&Value<'_>) -> bool,
    ) -> Result<Vec<Record>, ConnectorError> {
        let mut kept = Vec::new();
        for record in found {
            let is_kept = keep(&record.value().map_err(|error| self.body(what, error))?);
            if is_kept {
                kept.push(record);
            }
        }
        Ok(kept)
    }
}

/// Whether a record holds a value at a path; an id is the same as a number and as a text.
fn holds(record: &Value<'_>, path: &Path, value: &Value<'_>) -> bool {
    path.all(record).into_iter().any(|own| {
        own == value
            || matches!((own.scalar_text(), value.scalar_text()), (Some(own), Some(value)) if own == value)
    })
}
