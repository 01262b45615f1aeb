//! Reading whole streams into the indexes of the lookups that search them: each stream once.

use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};

use super::table::{Whole, record_keys};
use super::{LookupError, Shared};
use crate::compile::compiled::{ConnectionId, Load, Lookup, LookupId};
use crate::connector::ConnectorError;
use crate::expression::{Projection, Record};

/// How many streams are read at once.
const STREAMS_AT_ONCE: usize = 4;

impl Shared {
    /// Reads the streams of those of the lookups that want them whole and do not have them yet.
    pub(super) async fn load(self: &Arc<Self>, lookups: &[LookupId]) -> Result<(), LookupError> {
        let mut streams: Vec<(ConnectionId, usize, Vec<LookupId>)> = Vec::new();
        for &id in lookups {
            let (Some(lookup), Some(table)) = (self.pipeline.lookups.get(id), self.table(id)) else {
                continue;
            };
            if lookup.load != Load::All || table.whole.get().is_some() {
                continue;
            }
            let same = streams
                .iter_mut()
                .find(|(connection, stream, _)| (*connection, *stream) == (lookup.connection, lookup.stream));
            match same {
                Some((_, _, lookups)) => lookups.push(id),
                None => streams.push((lookup.connection, lookup.stream, vec![id])),
            }
        }
        let loads: Vec<_> = streams
            .into_iter()
            .map(|(connection, stream, lookups)| self.load_stream(connection, stream, lookups))
            .collect();
        iter(loads).buffer_unordered(STREAMS_AT_ONCE).try_collect().await
    }

    async fn load_stream(
        self: &Arc<Self>,
        connection: ConnectionId,
        stream: usize,
        lookups: Vec<LookupId>,
    ) -> Result<(), LookupError> {
        let Some(first) = lookups.first().and_then(|id| self.pipeline.lookups.get(*id)) else {
            return Ok(());
        };
        let failed = |source: ConnectorError| LookupError::Connector {
            lookup: first.name.clone(),
            source: source.into(),
        };
        let mut loading = Loading::new(self, lookups);
        let mut reader = self.source.read(connection, stream);
        while let Some(page) = reader.next().await.map_err(failed)? {
            // Parsing a page is work for a processor, not for a thread that others wait on.
            let work = move || {
                let result = loading.add_page(&page.records);
                (loading, result)
            };
            let (back, result) =
                tokio::task::spawn_blocking(work)
                    .await
                    .map_err(|error| LookupError::Worker {
                        lookup: first.name.clone(),
                        message: error.to_string(),
                    })?;
            result?;
            loading = back;
        }
        loading.finish();
        Ok(())
    }
}

/// Indexes that are being filled from one stream.
struct Loading {
    shared: Arc<Shared>,
    read: Projection,
    indexes: Vec<(LookupId, Whole)>,
}

impl Loading {
    fn new(shared: &Arc<Shared>, lookups: Vec<LookupId>) -> Self {
        let mut read = Projection::new();
        for table in lookups.iter().filter_map(|id| shared.table(*id)) {
            read.add_projection(&table.read);
        }
        let indexes = lookups
            .into_iter()
            .filter_map(|id| {
                let attempts = shared.pipeline.lookups.get(id)?.attempts.len();
                Some((id, Whole::new(attempts)))
            })
            .collect();
        Loading {
            shared: Arc::clone(shared),
            read,
            indexes,
        }
    }

    fn add_page(&mut self, records: &[Record]) -> Result<(), LookupError> {
        for record in records {
            for (id, whole) in &mut self.indexes {
                let (Some(lookup), Some(table)) =
                    (self.shared.pipeline.lookups.get(*id), self.shared.table(*id))
                else {
                    continue;
                };
                let value = record.project(&self.read).map_err(|source| LookupError::Record {
                    lookup: lookup.name.clone(),
                    source,
                })?;
                if !table.admits(&value) {
                    continue;
                }
                if let Some(found) = table.found(&value) {
                    whole.add(found, keys(lookup, &value));
                }
            }
        }
        Ok(())
    }

    fn finish(self) {
        for (id, whole) in self.indexes {
            if let (Some(lookup), Some(table)) = (self.shared.pipeline.lookups.get(id), self.shared.table(id))
            {
                tracing::debug!(
                    lookup = lookup.name,
                    records = whole.records.len(),
                    "stream read for lookup"
                );
                // Another loading of the same stream may have come first; its index is as good.
                let _ = table.whole.set(whole);
            }
        }
    }
}

fn keys(lookup: &Lookup, record: &crate::expression::Value<'_>) -> Vec<Vec<String>> {
    lookup
        .attempts
        .iter()
        .map(|attempt| record_keys(attempt, &lookup.normalize, record))
        .collect()
}
