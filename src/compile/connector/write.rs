//! Creating, changing and deleting records, one by one and many at once.

use super::ConnectorChecks;
use super::stream::whole;
use crate::compile::compiled::{Find, FindAgain, Idempotency, Pages, Precondition, Write, WriteMany};
use crate::compile::pointer::Pointer;
use crate::compile::record_view::RecordView;
use crate::compile::sight::Sight;
use crate::definition::Place;
use crate::definition::{
    self, CreateRequest, DeleteRequest, IfUnchanged, ManyRequest, PathText, UpdateRequest,
};
use crate::diagnostic::{Code, list};

impl ConnectorChecks<'_, '_> {
    fn write_sight<'v>(&'v self, view: &'v RecordView) -> Sight<'v> {
        Sight {
            target: Some(view),
            ..Sight::new(Place::Write, &self.names)
        }
    }

    /// Creating one record.
    pub(super) fn create(
        &self,
        at: &Pointer,
        create: &CreateRequest,
        stream: &definition::Stream,
        view: &RecordView,
        find: &[Option<Find>],
    ) -> Option<Write> {
        let request = self.request(at, create.words(), self.write_sight(view));
        let record = self.optional_path(&at.key("record"), create.record.as_ref());
        let new_key = self.optional_path(&at.key("new_key"), create.new_key.as_ref());
        let counts_for = create.counts_for.as_ref().map(|text| {
            self.checks
                .text(&at.key("counts_for"), text, self.write_sight(view))
        });
        let find_again = create
            .find_again
            .as_ref()
            .map(|again| self.find_again(&at.key("find_again"), again, stream, view, find));
        self.check_body(at, create.body.is_some());
        let mut request = request?;
        request.record = record?;
        Some(Write {
            request,
            precondition: None,
            idempotency: create.idempotency.as_ref().map(idempotency),
            new_key: new_key?,
            counts_for: whole(counts_for)?,
            find_again: whole(find_again)?,
        })
    }

    fn find_again(
        &self,
        at: &Pointer,
        again: &definition::FindAgain,
        stream: &definition::Stream,
        view: &RecordView,
        find: &[Option<Find>],
    ) -> Option<FindAgain> {
        let asks = again.words().written().next().is_some();
        match (&again.by, &again.marker, asks) {
            (Some(path), None, false) => {
                let position = self.find_position(&at.key("by"), path, find);
                let same_at = at.key("same");
                let same: Vec<_> = again
                    .same
                    .iter()
                    .enumerate()
                    .map(|(position, path)| self.checks.path_into(&same_at.index(position), path, view))
                    .collect();
                let made = again
                    .made
                    .as_ref()
                    .map(|path| self.checks.path_into(&at.key("made"), path, view));
                Some(FindAgain::Written {
                    find: position?,
                    same: same.into_iter().collect::<Option<_>>()?,
                    made: whole(made)?,
                })
            }
            (None, Some(marker), true) => {
                let request = self.request(at, again.words(), self.write_sight(view));
                let marker = self.checks.path(&at.key("marker"), marker);
                let list = stream.list.as_ref().and_then(|list| list.records.as_ref());
                let records = self.optional_path(&at.key("records"), again.records.as_ref().or(list));
                let pages = match &again.pages {
                    Some(pages) => self.pages(&at.key("pages"), pages, &again.query, view),
                    None => Some(Pages::Single),
                };
                let mut request = request?;
                request.records = records?;
                Some(FindAgain::Marked {
                    request: Box::new(request),
                    pages: pages?,
                    marker: marker?,
                })
            }
            _ => {
                self.checks.error(Code::WrongRequest, at, |report| {
                    report
                        .message("a lost create is found either by what it wrote (`by`) or by its mark (a request and `marker`)")
                        .at_key()
                        .hint("write a path of `find`, or `{get: /path, marker: $.path.to.the.intent}`")
                });
                None
            }
        }
    }

    fn find_position(&self, at: &Pointer, path: &PathText, find: &[Option<Find>]) -> Option<usize> {
        let position = find.iter().position(|find| {
            find.as_ref()
                .is_some_and(|find| find.by.source() == path.as_str())
        });
        if position.is_none() && find.iter().all(Option::is_some) {
            let known: Vec<&str> = find.iter().flatten().map(|find| find.by.source()).collect();
            self.checks.error(Code::NotFindable, at, |report| {
                let report = report.message(format!("this stream cannot be found by `{path}`"));
                if known.is_empty() {
                    return report.hint("describe under `find` how to search it by that path");
                }
                report
                    .did_you_mean(path.as_str(), known.iter().copied())
                    .note(format!("it can be found by {}", list(known.iter().copied())))
            });
        }
        position
    }

    /// A write without a body would send nothing, except where the envelope makes it.
    fn check_body(&self, at: &Pointer, has_body: bool) {
        if !has_body && !self.is_json_api() {
            self.checks.error(Code::WrongRequest, at, |report| {
                report
                    .message("this write sends no body, so the fields would be lost")
                    .at_key()
                    .hint("write `body: \"{{ fields }}\"`, or a map that holds it")
            });
        }
    }

    /// Changing one record, or creating it as the system decides.
    pub(super) fn update(&self, at: &Pointer, update: &UpdateRequest, view: &RecordView) -> Option<Write> {
        let request = self.request(at, update.words(), self.write_sight(view));
        let record = self.optional_path(&at.key("record"), update.record.as_ref());
        let precondition = self.precondition(&at.key("if_unchanged"), update.if_unchanged.as_ref(), view);
        self.check_body(at, update.body.is_some());
        let mut request = request?;
        request.record = record?;
        Some(Write {
            request,
            precondition: precondition?,
            idempotency: update.idempotency.as_ref().map(idempotency),
            new_key: None,
            counts_for: None,
            find_again: None,
        })
    }

    /// Deleting one record.
    pub(super) fn delete(&self, at: &Pointer, delete: &DeleteRequest, view: &RecordView) -> Option<Write> {
        let request = self.request(at, delete.words(), self.write_sight(view));
        let precondition = self.precondition(&at.key("if_unchanged"), delete.if_unchanged.as_ref(), view);
        Some(Write {
            request: request?,
            precondition: precondition?,
            idempotency: None,
            new_key: None,
            counts_for: None,
            find_again: None,
        })
    }

    fn precondition(
        &self,
        at: &Pointer,
        condition: Option<&IfUnchanged>,
        view: &RecordView,
    ) -> Option<Option<Precondition>> {
        Some(match condition {
            None => None,
            Some(IfUnchanged::InBody) => Some(Precondition::AlreadyInBody),
            Some(IfUnchanged::ReadAgain) => Some(Precondition::ReadAgain),
            Some(IfUnchanged::Merge(members)) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        Some((
                            name.clone(),
                            self.checks.shape(&at.key(name), value, self.write_sight(view))?,
                        ))
                    })
                    .collect();
                Some(Precondition::InBody(members.into_iter().collect::<Option<_>>()?))
            }
        })
    }

    /// Writing many records in one request.
    pub(super) fn many(&self, at: &Pointer, many: &ManyRequest, view: &RecordView) -> Option<WriteMany> {
        let request = self.request(at, many.words(), Sight::new(Place::WriteMany, &self.names));
        let sight = Sight {
            target: Some(view),
            ..Sight::new(Place::WriteItem, &self.names)
        };
        let item: Vec<_> = many
            .item
            .iter()
            .map(|(name, value)| {
                Some((
                    name.clone(),
                    self.checks.shape(&at.key("item").key(name), value, sight)?,
                ))
            })
            .collect();
        self.check_body(at, many.body.is_some());
        if let Some(job) = many
            .job
            .as_ref()
            .filter(|job| !self.definition.jobs.contains_key(*job))
        {
            let known = self.definition.jobs.keys().map(String::as_str);
            self.checks.error(Code::UnknownJob, &at.key("job"), |report| {
                report
                    .message(format!("the connector has no job `{job}`"))
                    .did_you_mean(job, known.clone())
                    .note(format!("its jobs are {}", list(known)))
            });
        }
        Some(WriteMany {
            request: request?,
            at_most: many
                .at_most
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(100)
                .max(1),
            at_most_bytes: many
                .at_most_bytes
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            item: item.into_iter().collect::<Option<_>>()?,
            job: many.job.clone(),
            has_precondition: many.if_unchanged.is_some(),
        })
    }
}

fn idempotency(idempotency: &definition::Idempotency) -> Idempotency {
    Idempotency {
        header: idempotency.header.clone(),
        kept_for: idempotency.kept_for.duration(),
    }
}
