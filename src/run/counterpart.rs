//! Counterparts: the sink's records that belong to the source's, read by key where they are linked and searched for by the
//! flow's match where they are not, in batched requests.

use std::collections::HashMap;

use super::Stop;
use super::batch::{Item, ItemOutcome};
use super::context::Context;
use super::matching::{Candidates, Wanted};
use crate::compile::compiled::{Flow, Match, Stream};
use crate::expression::{Record, Value};

/// Finds counterparts in the sink of one flow.
pub(crate) struct Counterparts<'c> {
    context: &'c Context,
    flow: &'c Flow,
    sink: &'c Stream,
}

/// A record of the sink with its key.
pub(crate) type Keyed = (String, Record);

impl<'c> Counterparts<'c> {
    /// Those of a flow.
    pub(crate) fn new(context: &'c Context, flow: &'c Flow) -> Self {
        Counterparts {
            context,
            flow,
            sink: context.stream(flow.to),
        }
    }

    /// The records of these keys, those that exist.
    pub(crate) async fn read(&self, keys: &[String]) -> Result<HashMap<String, Record>, Stop> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let records = self
            .context
            .connection(self.flow.to)
            .get_many(self.flow.to.stream, keys)
            .await?;
        Ok(records
            .into_iter()
            .filter_map(|record| Some((super::transform::record_key(&self.sink.key, &record)?, record)))
            .collect())
    }

    /// Searches for the counterparts of the `open` items by the flow's match, attempt by attempt; by position.
    pub(crate) async fn search(
        &self,
        items: &[Item],
        open: impl Fn(usize) -> bool,
    ) -> Result<HashMap<usize, Vec<Keyed>>, Stop> {
        let mut found: HashMap<usize, Vec<Keyed>> = HashMap::new();
        for (number, attempt) in self.flow.matches.iter().enumerate() {
            let mut asking: Vec<(usize, &Wanted)> = Vec::new();
            for (position, item) in items.iter().enumerate() {
                if open(position)
                    && !found.contains_key(&position)
                    && let ItemOutcome::Mapped(mapped) = &item.outcome
                    && let Some(Some(wanted)) = mapped.wanted.get(number)
                {
                    asking.push((position, wanted));
                }
            }
            if !asking.is_empty() {
                self.attempt(attempt, asking, &mut found).await?;
            }
        }
        Ok(found)
    }

    async fn attempt(
        &self,
        attempt: &Match,
        asking: Vec<(usize, &Wanted)>,
        found: &mut HashMap<usize, Vec<Keyed>>,
    ) -> Result<(), Stop> {
        let Some((asked, find)) = attempt
            .keys
            .iter()
            .enumerate()
            .find_map(|(position, key)| key.find.map(|find| (position, find)))
        else {
            return Err(Stop::Internal(format!(
                "flow `{}` has a match by which its sink cannot be searched",
                self.flow.name
            )));
        };
        let mut values: Vec<Value<'static>> = Vec::with_capacity(asking.len());
        for (_, wanted) in &asking {
            if let Some(value) = wanted.values.get(asked)
                && !values.contains(value)
            {
                values.push(value.clone());
            }
        }
        let records = self
            .context
            .connection(self.flow.to)
            .find(self.flow.to.stream, find, &values)
            .await?;
        let mut views = Vec::with_capacity(records.len());
        for record in &records {
            views.push(
                record.value().map_err(|error| {
                    Stop::Internal(format!("a record of the sink cannot be read: {error}"))
                })?,
            );
        }
        let candidates = Candidates::new(attempt, &self.flow.normalize, &views);
        for (position, wanted) in asking {
            let fitting: Vec<Keyed> = candidates
                .fitting(wanted)
                .into_iter()
                .filter_map(|place| {
                    let key = self.sink.key.one(views.get(place)?).and_then(Value::key_text)?;
                    Some((key, records.get(place)?.clone()))
                })
                .collect();
            if !fitting.is_empty() {
                found.insert(position, fitting);
            }
        }
        Ok(())
    }
}
