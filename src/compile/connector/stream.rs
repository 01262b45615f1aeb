//! A stream: its records, how it is read and found, and what can be written.

use std::time::Duration;

use indexmap::IndexMap;

use super::ConnectorChecks;
use crate::compile::compiled::{
    Find, List, MapOf, Pages, Privacy, RecordShape, Relationship, Request, SideLoad, Stream,
};
use crate::compile::pointer::Pointer;
use crate::compile::record_schema::json_text;
use crate::compile::record_view::{RecordView, Step};
use crate::compile::sight::Sight;
use crate::compile::stream_facts::{StreamFacts, privacy_kind};
use crate::definition::Place;
use crate::definition::{
    self, ConditionText, FindRequest, ListRequest, OnGone, Relationship as Refers, RequestWords,
};
use crate::diagnostic::{Code, list};
use crate::expression::{Scope, Template, Value};

/// What is known of a stream, for the checks of flows and lookups.
pub(in crate::compile) fn stream_facts(
    connector: &ConnectorChecks<'_, '_>,
    at: &Pointer,
    name: &str,
    stream: &definition::Stream,
) -> StreamFacts {
    let schema = stream.schema.as_ref().and_then(|file| {
        connector
            .records
            .read(connector.checks, &at.key("schema"), connector.path, file)
    });
    let mut view = RecordView::new(schema.clone());
    let joins = stream.list.iter().flat_map(|list| list.join.keys());
    let added = stream.shape.iter().flat_map(|shape| shape.add.keys());
    for name in joins.chain(added) {
        // Where the schema describes what is joined, it is checked like the rest of the record.
        if !matches!(view.field(&[Step::Name(name.clone())]), Ok(Some(_))) {
            view.join(name, RecordView::default());
        }
    }
    let conditions = [&stream.deleted_when, &stream.erased_when, &stream.frozen_when];
    let read = conditions
        .into_iter()
        .flatten()
        .filter_map(|text| Template::parse(text.as_str()).ok());
    StreamFacts {
        name: name.to_owned(),
        schema,
        view,
        key: Some(stream.key.as_str().to_owned()),
        find: stream
            .find
            .iter()
            .map(|(path, find)| {
                (
                    path.as_str().to_owned(),
                    find.at_most
                        .and_then(|count| usize::try_from(count).ok())
                        .unwrap_or(1),
                )
            })
            .collect(),
        can_list: stream.list.is_some(),
        can_get: stream.get.is_some() || stream.find.contains_key(&stream.key),
        can_create: stream.create.is_some(),
        can_update: stream.update.is_some(),
        can_upsert: stream.upsert.is_some(),
        can_delete: stream.delete.is_some(),
        reads_everything: stream.list.is_some()
            && stream.of.is_none()
            && matches!(
                stream.changes,
                None | Some(definition::Changes::Scan | definition::Changes::ScanExcept(_))
            ),
        follows_changes: !matches!(stream.changes, Some(definition::Changes::GrowingKey(_))),
        parent: stream.of.clone(),
        is_file: false,
        never: stream.never.iter().map(|path| path.as_str().to_owned()).collect(),
        private: stream
            .pii
            .iter()
            .map(|(path, pii)| (path.as_str().to_owned(), privacy_kind(pii)))
            .collect(),
        precondition: stream
            .update
            .as_ref()
            .or(stream.upsert.as_ref())
            .is_none_or(|update| {
                matches!(
                    update.if_unchanged,
                    Some(definition::IfUnchanged::InBody | definition::IfUnchanged::Merge(_))
                )
            }),
        creates_once: stream
            .create
            .as_ref()
            .is_some_and(|create| create.idempotency.is_some() || create.find_again.is_some()),
        changed_at: match &stream.changes {
            Some(definition::Changes::Time(time)) => Some(time.from.as_str().to_owned()),
            _ => None,
        },
        conditions: read
            .flat_map(|template| template.variables().to_vec())
            .filter(|chain| chain.first().is_some_and(|name| name == "record"))
            .collect(),
    }
}

/// How long it is believed by which way an account lets its changes be read.
const ASKED_EVERY: Duration = Duration::from_secs(24 * 3600);

impl ConnectorChecks<'_, '_> {
    /// Compiles a stream; `None` where something in it is wrong.
    pub(super) fn stream(
        &self,
        at: &Pointer,
        name: &str,
        stream: &definition::Stream,
        facts: &StreamFacts,
    ) -> Option<Stream> {
        let view = &facts.view;
        let key = self
            .checks
            .path_into(&at.key("key"), &stream.key, view)
            .filter(|_| self.checks.single_path(&at.key("key"), &stream.key).is_some());
        let parent = stream
            .of
            .as_ref()
            .map(|parent| self.parent(&at.key("of"), name, parent));
        let shape = self.record_shape(&at.key("shape"), stream.shape.as_ref());
        let list = stream.list.as_ref().map(|list| self.list(at, stream, list, view));
        let get = stream.get.as_ref().map(|get| {
            let at = at.key("get");
            let request = self.request(&at, get.words(), Sight::new(Place::Get, &self.names));
            let record = self.optional_path(&at.key("record"), get.record.as_ref());
            let mut request = request?;
            request.record = record?;
            Some(request)
        });
        let get_joins = self.joins_or_list(
            &at.key("get"),
            stream.get.as_ref().and_then(|get| get.join.as_ref()),
            at,
            stream,
            view,
        );
        let find: Vec<_> = stream
            .find
            .iter()
            .map(|(path, find)| {
                let by = self
                    .checks
                    .path_into(&at.key("find").itself(path.as_str()), path, view)?;
                self.find(&at.key("find").key(path.as_str()), by, at, stream, find, view)
            })
            .collect();
        let create = stream
            .create
            .as_ref()
            .map(|create| self.create(&at.key("create"), create, stream, view, &find));
        let update = stream
            .update
            .as_ref()
            .map(|update| self.update(&at.key("update"), update, view));
        let upsert = stream
            .upsert
            .as_ref()
            .map(|upsert| self.update(&at.key("upsert"), upsert, view));
        let delete = stream
            .delete
            .as_ref()
            .map(|delete| self.delete(&at.key("delete"), delete, view));
        let create_many = stream
            .create_many
            .as_ref()
            .map(|many| self.many(&at.key("create_many"), many, view));
        let update_many = stream
            .update_many
            .as_ref()
            .map(|many| self.many(&at.key("update_many"), many, view));
        let deleted_when = self.condition(&at.key("deleted_when"), stream.deleted_when.as_ref(), view);
        let erased_when = self.condition(&at.key("erased_when"), stream.erased_when.as_ref(), view);
        let frozen_when = self.condition(&at.key("frozen_when"), stream.frozen_when.as_ref(), view);
        let never = self.paths(&at.key("never"), &stream.never);
        let privacy: Vec<_> = stream
            .pii
            .iter()
            .map(|(path, pii)| {
                let path = self
                    .checks
                    .path_into(&at.key("pii").itself(path.as_str()), path, view)?;
                Some(Privacy {
                    path,
                    kind: privacy_kind(pii),
                })
            })
            .collect();
        self.check_envelope(at, stream);
        Some(Stream {
            name: name.to_owned(),
            key: key?,
            schema: facts.schema.clone(),
            resource_type: self
                .is_json_api()
                .then(|| stream.resource_type.clone().unwrap_or_else(|| name.to_owned())),
            relationships: relationships(&stream.relationships),
            file: None,
            list: whole(list)?,
            get: whole(get)?,
            get_joins: get_joins?,
            find: find.into_iter().collect::<Option<_>>()?,
            create: whole(create)?,
            update: whole(update)?,
            upsert: whole(upsert)?,
            delete: whole(delete)?,
            update_many: whole(update_many)?,
            create_many: whole(create_many)?,
            shape: shape?,
            parent: whole(parent)?,
            deleted_when: deleted_when?,
            erased_when: erased_when?,
            frozen_when: frozen_when?,
            never: never?,
            privacy: privacy.into_iter().collect::<Option<_>>()?,
        })
    }

    fn parent(&self, at: &Pointer, name: &str, parent: &str) -> Option<usize> {
        let streams = &self.definition.streams;
        let position = streams.get_index_of(parent).filter(|_| parent != name);
        if position.is_none() {
            let known: Vec<&str> = streams
                .keys()
                .map(String::as_str)
                .filter(|known| *known != name)
                .collect();
            self.checks.error(Code::UnknownStream, at, |report| {
                report
                    .message(format!(
                        "the connector has no other stream `{parent}` that could be the parent"
                    ))
                    .did_you_mean(parent, known.iter().copied())
                    .note(format!("its other streams are {}", list(known.iter().copied())))
            });
        }
        position
    }

    fn list(
        &self,
        at: &Pointer,
        stream: &definition::Stream,
        list: &ListRequest,
        view: &RecordView,
    ) -> Option<List> {
        let here = at.key("list");
        let request = self.request(&here, list.words(), Sight::new(Place::List, &self.names));
        let records = self.optional_path(&here.key("records"), list.records.as_ref());
        let pages = match &list.pages {
            Some(pages) => self.pages(&here.key("pages"), pages, &list.query, view),
            None => Some(Pages::Single),
        };
        if let (Some(pages), None, false) = (&list.pages, &list.records, self.is_json_api())
            && (pages.next_url.is_some() || pages.token.is_some())
        {
            self.checks.error(Code::WrongPaging, &here, |report| {
                report
                    .message("the list has no `records`, so a page is the list of records itself and holds no address or token of the next one")
                    .at_key()
                    .hint("say where in the page the records are, such as `records: $.items`")
            });
        }
        let joins = self.side_loads(&here.key("join"), &list.join, view);
        let changes = self.changes(at, stream, pages.as_ref(), view);
        let beside = self.beside_time(at, stream, pages.as_ref(), view);
        if list
            .words()
            .written()
            .any(|(_, path)| path.as_str().contains("parent"))
            && stream.of.is_none()
        {
            self.checks.error(Code::WrongChanges, &here, |report| {
                report
                    .message("the list reads `parent`, and the stream has none")
                    .at_key()
                    .hint("name the parent stream with `of`")
            });
        }
        let mut request = request?;
        request.records = records?;
        request.gone_is_none = matches!(list.on_gone, Some(OnGone::None));
        let beside = beside?;
        Some(List {
            request,
            pages: pages?,
            changes: changes?,
            new: beside.new,
            otherwise: beside.otherwise,
            ask_every: beside.ask_every.unwrap_or(ASKED_EVERY),
            whole_every: beside.whole_every,
            joins: joins?,
        })
    }

    fn joins_or_list(
        &self,
        at: &Pointer,
        own: Option<&IndexMap<String, definition::SideLoad>>,
        stream_at: &Pointer,
        stream: &definition::Stream,
        view: &RecordView,
    ) -> Option<Vec<SideLoad>> {
        match (own, &stream.list) {
            (Some(joins), _) => self.side_loads(&at.key("join"), joins, view),
            (None, Some(list)) => self.side_loads(&stream_at.key("list").key("join"), &list.join, view),
            (None, None) => Some(Vec::new()),
        }
    }

    fn find(
        &self,
        at: &Pointer,
        by: crate::expression::Path,
        stream_at: &Pointer,
        stream: &definition::Stream,
        find: &FindRequest,
        view: &RecordView,
    ) -> Option<Find> {
        let sight = Sight::new(Place::Find, &self.names);
        let list = stream.list.as_ref();
        let is_lists = find.words().written().next().is_none();
        let request = if is_lists {
            self.find_in_list(at, find, list, sight)
        } else {
            self.request(at, find.words(), sight)
        };
        let records = match (&find.records, &find.record, list) {
            (None, None, Some(list)) => {
                self.optional_path(&stream_at.key("list").key("records"), list.records.as_ref())
            }
            (records, _, _) => self.optional_path(&at.key("records"), records.as_ref()),
        };
        let record = self.optional_path(&at.key("record"), find.record.as_ref());
        if find.records.is_some() && find.record.is_some() {
            self.checks.error(Code::RuleSteps, &at.key("record"), |report| {
                report
                    .message("an answer holds either `records` or one `record`")
                    .at_key()
            });
        }
        let pages = match (&find.pages, list) {
            (Some(pages), _) => self.pages(&at.key("pages"), pages, &find.query, view),
            (
                None,
                Some(ListRequest {
                    pages: Some(pages),
                    query,
                    ..
                }),
            ) if is_lists => self.pages(&stream_at.key("list").key("pages"), pages, query, view),
            (None, _) => Some(Pages::Single),
        };
        let joins = self.joins_or_list(at, find.join.as_ref(), stream_at, stream, view);
        let at_most = find
            .at_most
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(1)
            .max(1);
        let mut request = request?;
        self.check_values(at, &request, at_most);
        request.records = records?;
        request.record = record?;
        Some(Find {
            by,
            request,
            at_most,
            behind: find
                .behind
                .as_ref()
                .map(definition::DurationText::duration)
                .unwrap_or_default(),
            recheck: find.recheck.unwrap_or(false),
            pages: pages?,
            joins: joins?,
        })
    }

    /// The list's request with the search's parameters.
    fn find_in_list(
        &self,
        at: &Pointer,
        find: &FindRequest,
        list: Option<&ListRequest>,
        sight: Sight<'_>,
    ) -> Option<Request> {
        let Some(list) = list else {
            self.checks.error(Code::WrongRequest, at, |report| {
                report
                    .message("a search without a method is the list's request, and this stream has no `list`")
                    .at_key()
                    .hint("write `get: /path`")
            });
            return None;
        };
        let mut query = list.query.clone();
        query.extend(find.query.clone());
        let words = RequestWords {
            query: &query,
            ..list.words()
        };
        let uses = if find.uses.is_empty() {
            words.uses
        } else {
            &find.uses
        };
        self.request(at, RequestWords { uses, ..words }, sight)
    }

    /// A search must send what it searches for, and one for several values must send all of them.
    fn check_values(&self, at: &Pointer, request: &Request, at_most: usize) {
        let query = request.query.iter().map(|(_, template)| template);
        let texts = std::iter::once(&request.path).chain(query);
        let reads = |name: &str| {
            texts.clone().any(|template| {
                template
                    .variables()
                    .iter()
                    .any(|chain| chain.first().is_some_and(|first| first == name))
            })
        };
        let several = reads("values") || reads("spellings");
        if request.body.is_some() {
            return;
        }
        if !several && !reads("value") {
            self.checks.error(Code::WrongRequest, at, |report| {
                report
                    .message("this search does not send what it searches for")
                    .at_key()
                    .hint("write `\"{{ value }}\"` in its path or query")
            });
        } else if at_most > 1 && !several {
            self.checks
                .error(Code::WrongRequest, &at.key("at_most"), |report| {
                    report
                        .message(format!(
                            "the request may ask for {at_most} values but sends one (`value`)"
                        ))
                        .hint("send `values`, such as `\"{{ values | join(',') }}\"`, or leave out `at_most`")
                });
        }
    }

    fn condition(
        &self,
        at: &Pointer,
        text: Option<&ConditionText>,
        view: &RecordView,
    ) -> Option<Option<Template>> {
        match text {
            None => Some(None),
            Some(text) => {
                let sight = Sight::new(Place::StreamCondition, &self.names).of(view);
                self.checks.template(at, text.as_str(), sight).map(Some)
            }
        }
    }

    fn record_shape(&self, at: &Pointer, shape: Option<&definition::RecordShape>) -> Option<RecordShape> {
        let Some(shape) = shape else {
            return Some(RecordShape::default());
        };
        let drop = self.paths(&at.key("drop"), &shape.drop);
        let map_of: Vec<_> = shape
            .map_of
            .iter()
            .map(|(member, map)| self.map_of(&at.key("map_of").key(member), member, map))
            .collect();
        let add: Vec<_> = shape
            .add
            .iter()
            .map(|(name, text)| {
                let sight = Sight::new(Place::Added, &self.names);
                Some((
                    name.clone(),
                    self.checks.text(&at.key("add").key(name), text, sight)?,
                ))
            })
            .collect();
        Some(RecordShape {
            drop: drop?,
            map_of: map_of.into_iter().collect::<Option<_>>()?,
            add: add.into_iter().collect::<Option<_>>()?,
        })
    }

    fn map_of(&self, at: &Pointer, member: &str, map: &definition::MapOf) -> Option<MapOf> {
        let key = self.checks.path(&at.key("key"), &map.key);
        let value = self.checks.path(&at.key("value"), &map.value);
        let names_at = at.key("names");
        let template = self
            .checks
            .text(&names_at, &map.names, Sight::new(Place::Address, &self.names))?;
        let mut names = IndexMap::new();
        if let Some(settings) = self.settings {
            match template.evaluate(&Scope::new().with("settings", settings)) {
                Ok(Value::Null) => {}
                Ok(Value::Map(members)) => {
                    for (name, key) in members.iter() {
                        let text = key.scalar_text().map(|text| text.into_owned());
                        names.insert(
                            name.to_owned(),
                            text.unwrap_or_else(|| json_text(&serde_json::Value::from(key.clone()))),
                        );
                    }
                }
                Ok(_) | Err(_) => {
                    self.checks.error(Code::SettingType, &names_at, |report| {
                        report.message("the names must be a map from name to key")
                    });
                    return None;
                }
            }
        }
        Some(MapOf {
            member: member.to_owned(),
            key: key?,
            value: value?,
            names,
        })
    }

    fn check_envelope(&self, at: &Pointer, stream: &definition::Stream) {
        if self.is_json_api() {
            return;
        }
        let words = [
            ("type", stream.resource_type.is_some()),
            ("relationships", !stream.relationships.is_empty()),
        ];
        for (word, _) in words.into_iter().filter(|(_, written)| *written) {
            self.checks.error(Code::RuleSteps, &at.key(word), |report| {
                report
                    .message(format!("`{word}` means something with `envelope: json_api` only"))
                    .at_key()
            });
        }
    }
}

fn relationships(relationships: &IndexMap<String, Refers>) -> IndexMap<String, Relationship> {
    let refers = |refers: &Refers| match refers {
        Refers::One(name) => Relationship {
            resource_type: name.clone(),
            many: false,
        },
        Refers::Many(name) => Relationship {
            resource_type: name.clone(),
            many: true,
        },
    };
    relationships
        .iter()
        .map(|(name, to)| (name.clone(), refers(to)))
        .collect()
}

/// Turns "written, maybe wrong" inside out: `None` where it was written and is wrong.
pub(super) fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(Some(part)) => Some(Some(part)),
        Some(None) => None,
        None => Some(None),
    }
}
