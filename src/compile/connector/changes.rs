//! How only what changed is read, and whether the listing can do that.

use std::time::Duration;

use super::ConnectorChecks;
use super::stream::whole;
use crate::compile::compiled::{Changes, Pages};
use crate::compile::pointer::Pointer;
use crate::compile::record_view::RecordView;
use crate::compile::sight::Sight;
use crate::definition::Place;
use crate::definition::{
    self, DurationText, GrowingKey, KeyQuery, OtherwiseChanges, ScanChanges, Stream, TimeChanges,
    TokenChanges,
};
use crate::diagnostic::Code;
use crate::expression::Template;

/// What `time` says beside itself.
#[derive(Default)]
pub(super) struct BesideTime {
    /// How new records are read as well.
    pub(super) new: Option<Changes>,
    /// How changes are read where the account refuses the time.
    pub(super) otherwise: Option<Changes>,
    /// How long it is believed what the account said.
    pub(super) ask_every: Option<Duration>,
    /// How often everything is read.
    pub(super) whole_every: Option<Duration>,
}

impl ConnectorChecks<'_, '_> {
    /// Compiles `changes`; `at` is the stream's place, `pages` its compiled paging.
    pub(super) fn changes(
        &self,
        at: &Pointer,
        stream: &Stream,
        pages: Option<&Pages>,
        view: &RecordView,
    ) -> Option<Changes> {
        let word = at.key("changes");
        if stream.list.is_none() && stream.changes.is_some() {
            self.checks.error(Code::WrongChanges, &word, |report| {
                report
                    .message("`changes` says how the list is read, and this stream has no `list`")
                    .at_key()
            });
        }
        if stream.of.is_some() && !matches!(stream.changes, None | Some(definition::Changes::WithParent)) {
            self.checks.error(Code::WrongChanges, &word, |report| {
                report
                    .message("a stream that is read for each parent has no cursor of its own")
                    .at_key()
                    .label(at.key("of").as_str(), "read for each record of this")
                    .hint("write `changes: with_parent`")
            });
        }
        match &stream.changes {
            None if stream.of.is_some() => Some(Changes::WithParent),
            None | Some(definition::Changes::Scan) => Some(Changes::Scan { except: Vec::new() }),
            Some(definition::Changes::WithParent) => {
                if stream.of.is_none() {
                    self.checks.error(Code::WrongChanges, &word, |report| {
                        report
                            .message("`with_parent` needs a parent")
                            .hint("name the parent stream with `of`")
                    });
                }
                Some(Changes::WithParent)
            }
            Some(definition::Changes::ScanExcept(scan)) => self.scan(&word.key("scan"), scan, view),
            Some(definition::Changes::Token(token)) => {
                self.token(&word.key("token"), at, stream, token, view)
            }
            Some(definition::Changes::Time(time)) => self.time(&word.key("time"), time, view),
            Some(definition::Changes::GrowingKey(key)) => {
                self.growing_key(&word.key("growing_key"), stream, key, pages, view)
            }
        }
    }

    fn scan(&self, at: &Pointer, scan: &ScanChanges, view: &RecordView) -> Option<Changes> {
        let at = at.key("except");
        let paths: Vec<_> = scan
            .except
            .iter()
            .enumerate()
            .map(|(position, path)| self.checks.path_into(&at.index(position), path, view))
            .collect();
        Some(Changes::Scan {
            except: paths.into_iter().collect::<Option<_>>()?,
        })
    }

    /// What `time` says beside itself: how new records are read as well, and how changes where it is refused.
    pub(super) fn beside_time(
        &self,
        at: &Pointer,
        stream: &Stream,
        pages: Option<&Pages>,
        view: &RecordView,
    ) -> Option<BesideTime> {
        let Some(definition::Changes::Time(time)) = &stream.changes else {
            return Some(BesideTime::default());
        };
        let at = at.key("changes").key("time");
        let words = [
            (
                "ask_every",
                time.ask_every.is_some(),
                "otherwise",
                time.otherwise.is_some(),
            ),
            (
                "whole_every",
                time.whole_every.is_some(),
                "new",
                time.new.is_some(),
            ),
        ];
        for (word, is_written, needed, is_there) in words {
            if is_written && !is_there {
                self.checks.error(Code::WrongChanges, &at.key(word), |report| {
                    report
                        .message(format!("`{word}` has no effect without `{needed}`"))
                        .at_key()
                        .hint(format!("write `{needed}` too, or leave `{word}` out"))
                });
            }
        }
        let new = time
            .new
            .as_ref()
            .map(|key| self.growing_key(&at.key("new"), stream, key, pages, view));
        let otherwise = time.otherwise.as_ref().map(|otherwise| match otherwise {
            OtherwiseChanges::Scan => Some(Changes::Scan { except: Vec::new() }),
            OtherwiseChanges::ScanExcept(scan) => self.scan(&at.key("otherwise").key("scan"), scan, view),
        });
        Some(BesideTime {
            new: whole(new)?,
            otherwise: whole(otherwise)?,
            ask_every: time.ask_every.as_ref().map(|time| time.duration()),
            whole_every: time.whole_every.as_ref().map(|time| time.duration()),
        })
    }

    fn token(
        &self,
        at: &Pointer,
        stream_at: &Pointer,
        stream: &Stream,
        token: &TokenChanges,
        view: &RecordView,
    ) -> Option<Changes> {
        if let Some(list) = &stream.list {
            if list.records.is_none() && !self.is_json_api() {
                self.checks.error(Code::WrongChanges, &stream_at.key("list"), |report| {
                    report
                        .message(format!("the list has no `records`, so a page is the list of records itself, but `changes` reads the token at `{}` of it", token.at))
                        .at_key()
                        .label(at.key("at").as_str(), "the token")
                        .hint("say where in the page the records are, such as `records: $.items`")
                });
            }
            if list.pages.is_some() {
                self.checks.error(Code::WrongPaging, &stream_at.key("list").key("pages"), |report| {
                    report
                        .message("with `changes: token` the token leads from page to page, so `pages` cannot as well")
                        .at_key()
                        .label(at.as_str(), "the token")
                        .hint("leave out `pages`")
                });
            }
        }
        let path = self.checks.path(&at.key("at"), &token.at);
        let done = self.checks.path(&at.key("done"), &token.done);
        let first = self.query(
            &at.key("first").key("query"),
            &token.first.query,
            Sight::new(Place::Start, &self.names),
        );
        let next = self.query(
            &at.key("next").key("query"),
            &token.next.query,
            Sight::new(Place::Token, &self.names),
        );
        if let Some(next) = &next
            && !next.iter().any(|(_, template)| reads(template, "token"))
        {
            self.checks.error(Code::WrongChanges, &at.key("next"), |report| {
                report
                    .message("the following requests do not send the token, so every page would be the same")
                    .at_key()
                    .hint("write `\"{{ token }}\"` as a parameter's value")
            });
        }
        let on_lost = token.on_lost.as_ref().map(|lost| {
            let at = at.key("on_lost").key("restart_from");
            let path = self.checks.path_into(&at, &lost.restart_from, view)?;
            Some((path, duration(lost.minus.as_ref())))
        });
        Some(Changes::Token {
            at: path?,
            done: done?,
            first: first?,
            next: next?,
            since_before_now: duration(token.since_before_now.as_ref()),
            on_lost: match on_lost {
                Some(lost) => Some(lost?),
                None => None,
            },
        })
    }

    fn time(&self, at: &Pointer, time: &TimeChanges, view: &RecordView) -> Option<Changes> {
        let from = self.checks.path_into(&at.key("from"), &time.from, view);
        let query = self.query(
            &at.key("query"),
            &time.query,
            Sight::new(Place::Start, &self.names),
        );
        if let Some(query) = &query
            && !query.iter().any(|(_, template)| reads(template, "since"))
        {
            self.checks.error(Code::WrongChanges, &at.key("query"), |report| {
                report.message("the request does not send where reading starts, so everything would be read each time").at_key().hint("write `\"{{ since }}\"` as a parameter's value, or `changes: scan`")
            });
        }
        Some(Changes::Time {
            from: from?,
            query: query?,
            overlap: duration(time.overlap.as_ref()),
        })
    }

    fn growing_key(
        &self,
        at: &Pointer,
        stream: &Stream,
        growing: &GrowingKey,
        pages: Option<&Pages>,
        view: &RecordView,
    ) -> Option<Changes> {
        let key = self.checks.path_into(&at.key("key"), &growing.key, view)?;
        if let Some(Pages::AfterKey { key: paged, .. }) = pages
            && paged.source() != key.source()
        {
            self.checks.error(Code::WrongChanges, &at.key("key"), |report| {
                report.message(format!(
                    "new records are told by `{}`, but pages go on after `{}`: both must be the same key",
                    key.source(),
                    paged.source()
                ))
            });
        }
        let query = if growing.query.is_empty() {
            let after_key = stream
                .list
                .as_ref()
                .and_then(|list| list.pages.as_ref())
                .and_then(|pages| pages.after_key.as_ref());
            match after_key.map(|keys| &*keys.query) {
                Some(KeyQuery::Parameter(name)) => vec![(name.clone(), Template::parse("{{ since }}").ok()?)],
                Some(KeyQuery::Parameters(_)) | None => {
                    self.checks.error(Code::WrongChanges, at, |report| {
                        report.message("nothing says how to ask for the records after a key").hint("write the parameters: `growing_key: {key: .., query: {after: \"{{ since }}\"}}`")
                    });
                    return None;
                }
            }
        } else {
            self.query(
                &at.key("query"),
                &growing.query,
                Sight::new(Place::Start, &self.names),
            )?
        };
        Some(Changes::GrowingKey {
            key,
            query,
            overlap: growing.overlap.unwrap_or(0),
        })
    }
}

fn reads(template: &Template, name: &str) -> bool {
    template
        .variables()
        .iter()
        .any(|chain| chain.first().is_some_and(|first| first == name))
}

fn duration(text: Option<&DurationText>) -> Duration {
    text.map(DurationText::duration).unwrap_or_default()
}
