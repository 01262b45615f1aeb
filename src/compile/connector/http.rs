//! An HTTP connector as a whole.

use indexmap::IndexMap;

use super::ConnectorChecks;
use super::stream::stream_facts;
use crate::compile::compiled::{Connector, ConnectorKind, Envelope, HttpConnector, Stream};
use crate::compile::pointer::Pointer;
use crate::compile::sight::Sight;
use crate::compile::stream_facts::StreamFacts;
use crate::definition::Place;

/// Compiles a connector; `None` where something in it is wrong, which was then reported. What is known of its streams
/// is given in any case.
pub(in crate::compile) fn compile_http(
    connector: &ConnectorChecks<'_, '_>,
) -> (Option<Connector>, Vec<StreamFacts>) {
    let ConnectorChecks {
        checks,
        definition,
        names,
        ..
    } = connector;
    let root = Pointer::root();
    let base_url = checks.text(
        &root.key("base_url"),
        &definition.base_url,
        Sight::new(Place::Address, names),
    );
    let headers = connector.headers(
        &root.key("headers"),
        &definition.headers,
        Sight::new(Place::Header, names),
    );
    let auth: Vec<_> = definition
        .auth
        .iter()
        .map(|(name, variant)| {
            Some((
                name.clone(),
                connector.auth_variant(&root.key("auth").key(name), variant)?,
            ))
        })
        .collect();
    let check = definition.check.as_ref().map(|request| {
        connector.request(
            &root.key("check"),
            request.words(),
            Sight::new(Place::List, names),
        )
    });
    let limits = connector.limits(&root.key("limits"));
    let errors = connector.error_rules(&root.key("errors"));
    let error_message = connector.error_message(&root.key("error_message"));
    let jobs: Vec<_> = definition
        .jobs
        .iter()
        .map(|(name, job)| Some((name.clone(), connector.job(&root.key("jobs").key(name), job)?)))
        .collect();
    connector.check_settings(&root);

    let facts: Vec<StreamFacts> = definition
        .streams
        .iter()
        .map(|(name, stream)| stream_facts(connector, &root.key("streams").key(name), name, stream))
        .collect();
    let streams: Vec<Option<Stream>> = definition
        .streams
        .iter()
        .zip(&facts)
        .map(|((name, stream), facts)| connector.stream(&root.key("streams").key(name), name, stream, facts))
        .collect();

    let compiled = || {
        Some(Connector {
            kind: ConnectorKind::Http(Box::new(HttpConnector {
                base_url: base_url?,
                headers: headers?,
                envelope: if connector.is_json_api() {
                    Envelope::JsonApi
                } else {
                    Envelope::Plain
                },
                auth: auth.into_iter().collect::<Option<IndexMap<_, _>>>()?,
                check: match check {
                    Some(check) => Some(check?),
                    None => None,
                },
                limits: limits?,
                errors: errors?,
                error_message: error_message?,
                jobs: jobs.into_iter().collect::<Option<IndexMap<_, _>>>()?,
            })),
            streams: streams.into_iter().collect::<Option<Vec<_>>>()?,
        })
    };
    (compiled(), facts)
}
