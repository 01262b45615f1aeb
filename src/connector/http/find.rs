//! Finding single records: by key, by many keys, and by the other things that a stream says it can be found by.
//!
//! Values go in batches as large as the connector allows. Whether a found record is really meant is the caller's
//! business: systems compare more loosely than we do.

use futures::{StreamExt, TryStreamExt};
use indexmap::IndexSet;

use super::HttpConnection;
use super::client::{Call, Failure};
use super::page::{Pager, Step};
use super::records::RecordReader;
use super::template::Outgoing;
use crate::compile::compiled::{Find, Pages, Request, SideLoad, Stream};
use crate::connector::ConnectorError;
use crate::expression::{Record, Scope, Value};

/// How many records are asked for one by one at the same time.
const AT_ONCE: usize = 4;

impl HttpConnection {
    /// One record by its key; `None` if the system has none.
    ///
    /// # Errors
    /// What stopped the question.
    pub(in crate::connector) async fn get(
        &self,
        stream: usize,
        key: &str,
    ) -> Result<Option<Record>, ConnectorError> {
        let described = self.stream(stream)?;
        if described.get.is_none() && self.find_by_key(described).is_some() {
            let records = self.get_many(stream, &[key.to_owned()]).await?;
            return Ok(records.into_iter().next());
        }
        let request = described
            .get
            .as_ref()
            .ok_or_else(|| self.unsupported(described, "be read by key"))?;
        let what = format!("get from `{}`", described.name);
        let key = Value::text(key.to_owned());
        let scope = self.scope()?.with("key", &key);
        let question = Question {
            stream: described,
            request,
            joins: &described.get_joins,
            what: &what,
        };
        let outgoing = self.outgoing(request, &scope, &[], None, &what)?;
        let reader = RecordReader::new(self, described, request, question.joins, &what)?;
        let call = question.call(self, &outgoing, &scope)?;
        match self.exchange(&call, |answer| reader.single(answer)).await {
            Ok(done) => Ok(done.value),
            Err(failure) if failure.is_gone() => Ok(None),
            Err(failure) => Err(failure.into_error(self.name(), &what)),
        }
    }

    /// The records of these keys, those that exist, in no order.
    ///
    /// # Errors
    /// What stopped the question.
    pub(in crate::connector) async fn get_many(
        &self,
        stream: usize,
        keys: &[String],
    ) -> Result<Vec<Record>, ConnectorError> {
        let described = self.stream(stream)?;
        if let Some(find) = self.find_by_key(described) {
            let values: Vec<Value<'static>> = keys.iter().map(|key| Value::text(key.clone())).collect();
            return self.find(stream, find, &values).await;
        }
        // By position: a closure over references would not be general enough for a spawned task.
        let records: Vec<Option<Record>> = futures::stream::iter(0..keys.len())
            .map(|position| self.get(stream, keys.get(position).map_or("", String::as_str)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(records.into_iter().flatten().collect())
    }

    /// The records that a stream's `find` gives for these values.
    ///
    /// # Errors
    /// What stopped the question.
    pub(in crate::connector) async fn find(
        &self,
        stream: usize,
        find: usize,
        values: &[Value<'static>],
    ) -> Result<Vec<Record>, ConnectorError> {
        let described = self.stream(stream)?;
        let find = described
            .find
            .get(find)
            .ok_or_else(|| self.unsupported(described, format!("be found by way number {find}")))?;
        let what = &*format!("find in `{}` by `{}`", described.name, find.by.source());
        let size = find.at_most.max(1);
        let found: Vec<Vec<Record>> = futures::stream::iter((0..values.len()).step_by(size))
            .map(|start| {
                let chunk = values
                    .get(start..values.len().min(start + size))
                    .unwrap_or_default();
                self.find_chunk(described, find, chunk, what)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn find_chunk(
        &self,
        stream: &Stream,
        find: &Find,
        values: &[Value<'static>],
        what: &str,
    ) -> Result<Vec<Record>, ConnectorError> {
        let list = Value::List(values.to_vec());
        let spellings = spellings(values);
        let nothing = Value::Null;
        let scope = self
            .scope()?
            .with("value", values.first().unwrap_or(&nothing))
            .with("values", &list)
            .with("spellings", &spellings);
        let question = Question {
            stream,
            request: &find.request,
            joins: &find.joins,
            what,
        };
        let found = self.pages(&question, &find.pages, &scope, |_| false).await;
        match found {
            Ok(records) => Ok(records),
            // Of a request for one record 404 says that it does not exist; of a search, that the search does not.
            Err(failure)
                if failure.is_gone() && (find.request.gone_is_none || find.request.record.is_some()) =>
            {
                Ok(Vec::new())
            }
            Err(failure) => Err(failure.into_error(self.name(), what)),
        }
    }

    /// All pages of a question's answer, up to the one that holds enough.
    pub(super) async fn pages(
        &self,
        question: &Question<'_>,
        pages: &Pages,
        scope: &Scope<'_>,
        enough: impl Fn(&[Record]) -> bool,
    ) -> Result<Vec<Record>, Failure> {
        let what = question.what;
        let reader = RecordReader::new(self, question.stream, question.request, question.joins, what);
        let reader = reader.map_err(Failure::Error)?;
        let mut pager = Pager::new(self, pages, what);
        let mut parameters = pager.first();
        let mut address = None;
        let mut found = Vec::new();
        loop {
            let outgoing = self.outgoing(question.request, scope, &parameters, None, what);
            let mut outgoing = outgoing.map_err(Failure::Error)?;
            if let Some(address) = address.take() {
                outgoing.url = address;
            }
            let call = question.call(self, &outgoing, scope).map_err(Failure::Error)?;
            let done = self.exchange(&call, |answer| reader.page(answer, None)).await?;
            let (records, frame) = done.value;
            let step = pager.next(&done.answer, &frame, &outgoing.url, &records, scope);
            let is_enough = enough(&records);
            found.extend(records);
            if is_enough {
                return Ok(found);
            }
            match step.map_err(Failure::Error)? {
                Step::End => return Ok(found),
                Step::Parameters(next) => parameters = next,
                Step::Address(url) => address = Some(url),
            }
        }
    }

    /// The `find` that asks for the stream's key.
    fn find_by_key(&self, stream: &Stream) -> Option<usize> {
        let by_key = |find: &Find| find.by.source() == stream.key.source();
        // One value at a time and 404 for "none": `get` says the same more directly.
        let batched = |find: &Find| find.at_most > 1 || stream.get.is_none();
        stream.find.iter().position(|find| by_key(find) && batched(find))
    }
}

/// A request for records, without its values.
pub(super) struct Question<'q> {
    pub(super) stream: &'q Stream,
    pub(super) request: &'q Request,
    pub(super) joins: &'q [SideLoad],
    pub(super) what: &'q str,
}

impl Question<'_> {
    fn call<'c>(
        &'c self,
        connection: &HttpConnection,
        outgoing: &'c Outgoing,
        scope: &Scope<'_>,
    ) -> Result<Call<'c>, ConnectorError> {
        Ok(Call {
            what: self.what,
            template: self.request.path.source(),
            draw: connection.draw(self.request, scope, self.what)?,
            outgoing,
            writes: false,
            repeatable: true,
            defers: false,
            keep: &[],
        })
    }
}

/// Each value as given and, where it is another text, in lower case; each once.
fn spellings(values: &[Value<'static>]) -> Value<'static> {
    let mut texts = IndexSet::new();
    for text in values.iter().filter_map(Value::scalar_text) {
        let lower = text.to_lowercase();
        texts.insert(text.into_owned());
        texts.insert(lower);
    }
    Value::List(texts.into_iter().map(Value::text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_each_value_as_given_and_in_lower_case_once() {
        let values = [
            Value::text("Ann@Example.com"),
            Value::text("bob@example.com"),
            Value::from(7),
            Value::Null,
        ];
        assert_eq!(
            spellings(&values).to_json(),
            r#"["Ann@Example.com","ann@example.com","bob@example.com","7"]"#
        );
    }
}
