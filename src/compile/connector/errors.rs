//! What answers mean: error rules, where their messages are, and polled jobs.

use std::time::Duration;

use super::ConnectorChecks;
use crate::compile::compiled::{ErrorFields, ErrorMessage, ErrorOutcome, ErrorRule, Job, JobResult};
use crate::compile::pointer::Pointer;
use crate::compile::record_schema::json_text;
use crate::compile::sight::Sight;
use crate::definition::Place;
use crate::definition::{self, PathText, StatusPattern};
use crate::diagnostic::Code;
use crate::expression::Path;

impl ConnectorChecks<'_, '_> {
    /// The rules as written; what none of them fits is for `connector` to judge.
    pub(super) fn error_rules(&self, at: &Pointer) -> Option<Vec<ErrorRule>> {
        let rules: Vec<_> = self
            .definition
            .errors
            .iter()
            .enumerate()
            .map(|(position, rule)| self.error_rule(&at.index(position), rule))
            .collect();
        self.check_reachable(at);
        rules.into_iter().collect()
    }

    fn error_rule(&self, at: &Pointer, rule: &definition::ErrorRule) -> Option<ErrorRule> {
        let body: Vec<_> = rule
            .body
            .iter()
            .map(|(path, values)| {
                let path = self.checks.path(&at.key("body").itself(path.as_str()), path)?;
                Some((path, values.iter().map(|value| json_text(&value.0)).collect()))
            })
            .collect();
        let limit = match &rule.limit {
            Some(name) => Some(self.spent_limit(&at.key("limit"), name, &rule.then)?),
            None => None,
        };
        Some(ErrorRule {
            limit,
            statuses: rule.status.iter().copied().map(range).collect(),
            body: body.into_iter().collect::<Option<_>>()?,
            text_contains: rule.text.as_ref().map(|text| text.contains.clone()),
            outcome: match rule.then {
                definition::ErrorOutcome::Wait => ErrorOutcome::Wait,
                definition::ErrorOutcome::Retry => ErrorOutcome::Retry,
                definition::ErrorOutcome::RenewToken => ErrorOutcome::RenewToken,
                definition::ErrorOutcome::Conflict => ErrorOutcome::Conflict,
                definition::ErrorOutcome::Exists => ErrorOutcome::Exists,
                definition::ErrorOutcome::Gone => ErrorOutcome::Gone,
                definition::ErrorOutcome::Frozen => ErrorOutcome::Frozen,
                definition::ErrorOutcome::Reject => ErrorOutcome::Reject,
                definition::ErrorOutcome::Auth => ErrorOutcome::Auth,
                definition::ErrorOutcome::Fatal => ErrorOutcome::Fatal,
            },
        })
    }

    /// The budget that a rule says is spent.
    fn spent_limit(&self, at: &Pointer, name: &str, then: &definition::ErrorOutcome) -> Option<usize> {
        if *then != definition::ErrorOutcome::Wait {
            self.checks.error(Code::UnknownLimit, at, |report| {
                report
                    .message("a budget can only be spent where the rule says `then: wait`")
                    .at_key()
                    .hint("write `then: wait`, or leave `limit` out")
            });
            return None;
        }
        self.limit_position(at, name)
    }

    /// A rule whose statuses an earlier rule without further conditions takes can never decide.
    fn check_reachable(&self, at: &Pointer) {
        for (position, rule) in self.definition.errors.iter().enumerate() {
            let earlier = self
                .definition
                .errors
                .iter()
                .take(position)
                .enumerate()
                .find(|(_, earlier)| {
                    let covers = |pattern: &StatusPattern| {
                        let (low, high) = range(*pattern);
                        earlier
                            .status
                            .iter()
                            .map(|other| range(*other))
                            .any(|(from, to)| from <= low && high <= to)
                    };
                    earlier.body.is_empty() && earlier.text.is_none() && rule.status.iter().all(covers)
                });
            if let Some((first, _)) = earlier {
                self.checks.warning(Code::Unused, &at.index(position), |report| {
                    report
                        .message("this rule never decides: an earlier one takes all of its answers")
                        .label(at.index(first).as_str(), "this one")
                        .hint("the first rule that fits decides, so put the narrower one first")
                });
            }
        }
    }

    /// Where messages are.
    pub(super) fn error_message(&self, at: &Pointer) -> Option<ErrorMessage> {
        let Some(message) = &self.definition.error_message else {
            return Some(ErrorMessage::default());
        };
        let first_of = self.paths(&at.key("first_of"), &message.first_of);
        let fields = message.fields.as_ref().map(|fields| {
            let at = at.key("fields");
            let each = self.checks.path(&at.key("each"), &fields.each);
            let text = self.checks.path(&at.key("message"), &fields.message);
            let field = fields
                .field
                .as_ref()
                .map(|path| self.checks.path(&at.key("field"), path));
            Some(ErrorFields {
                each: each?,
                message: text?,
                field: match field {
                    Some(field) => Some(field?),
                    None => None,
                },
            })
        });
        Some(ErrorMessage {
            first_of: first_of?,
            fields: match fields {
                Some(fields) => Some(fields?),
                None => None,
            },
        })
    }

    /// A polled job.
    pub(super) fn job(&self, at: &Pointer, job: &definition::Job) -> Option<Job> {
        let id = self.checks.path(&at.key("id"), &job.id);
        let poll = self.request(
            &at.key("poll"),
            job.poll.words(),
            Sight::new(Place::JobPoll, &self.names),
        );
        let state = self.checks.path(&at.key("state").key("from"), &job.state.from);
        let results = self.checks.path(&at.key("results"), &job.results);
        let result = {
            let at = at.key("result");
            let key = self.checks.path(&at.key("key"), &job.result.key);
            let failed_when = self.checks.path(&at.key("failed_when"), &job.result.failed_when);
            let index = job
                .result
                .index
                .as_ref()
                .map(|path| self.checks.path(&at.key("index"), path));
            let message = job.result.message.as_ref().map_or(Some(Vec::new()), |message| {
                self.paths(&at.key("message").key("first_of"), &message.first_of)
            });
            (key, failed_when, index, message)
        };
        let (key, failed_when, index, message) = result;
        let every = job
            .every
            .as_ref()
            .map_or(Duration::from_secs(2), definition::DurationText::duration);
        if every.is_zero() {
            self.checks.error(Code::BadRate, &at.key("every"), |report| {
                report
                    .message("a job that is asked after without a pause would spend the limits")
                    .hint("write `every: 2s`")
            });
        }
        Some(Job {
            id: id?,
            poll: poll?,
            every,
            give_up_after: job
                .give_up_after
                .as_ref()
                .map_or(Duration::from_secs(900), definition::DurationText::duration),
            state: state?,
            running: job.state.running.to_vec(),
            done: job.state.done.to_vec(),
            failed: job
                .state
                .failed
                .as_ref()
                .map(|failed| failed.to_vec())
                .unwrap_or_default(),
            results: results?,
            result: JobResult {
                index: match index {
                    Some(index) => Some(index?),
                    None => None,
                },
                key: key?,
                failed_when: failed_when?,
                message: message?,
            },
        })
    }

    /// A list of paths.
    pub(super) fn paths(&self, at: &Pointer, paths: &[PathText]) -> Option<Vec<Path>> {
        let compiled: Vec<_> = paths
            .iter()
            .enumerate()
            .map(|(position, path)| self.checks.path(&at.index(position), path))
            .collect();
        compiled.into_iter().collect()
    }
}

fn range(pattern: StatusPattern) -> (u16, u16) {
    match pattern {
        StatusPattern::Code(code) => (code, code),
        StatusPattern::Class(first) => (u16::from(first) * 100, u16::from(first) * 100 + 99),
    }
}
