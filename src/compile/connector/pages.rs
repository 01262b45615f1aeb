//! Paging, and the checks that the order of a listing fits it.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::ConnectorChecks;
use crate::compile::compiled::{PageStop, Pages};
use crate::compile::pointer::Pointer;
use crate::compile::record_view::{RecordView, Step, path_steps};
use crate::compile::sight::Sight;
use crate::definition::Place;
use crate::definition::{self, KeyPages, KeyQuery, ValueTemplate};
use crate::diagnostic::{Code, list};
use crate::expression::{Path, Template};

const STYLES: [&str; 6] = ["next_url", "link", "token", "number", "offset", "after_key"];

impl ConnectorChecks<'_, '_> {
    /// Compiles paging; `query` are the parameters of the request that is paged.
    pub(super) fn pages(
        &self,
        at: &Pointer,
        pages: &definition::Pages,
        query: &IndexMap<String, ValueTemplate>,
        view: &RecordView,
    ) -> Option<Pages> {
        let more = self.optional_path(&at.key("more"), pages.more.as_ref());
        let mut styles: Vec<Option<Pages>> = Vec::new();
        let stop = match pages.stop {
            Some(definition::PageStop::ShorterThan(count)) => {
                PageStop::Short(usize::try_from(count).unwrap_or(usize::MAX))
            }
            Some(definition::PageStop::Empty) | None => PageStop::Empty,
        };
        if let Some(next) = &pages.next_url {
            let next = self.checks.path(&at.key("next_url"), next);
            styles.push(
                next.zip(more.clone())
                    .map(|(next, more)| Pages::NextUrl { next, more }),
            );
        }
        if pages.link.is_some() {
            styles.push(Some(Pages::LinkHeader));
        }
        if let Some(token) = &pages.token {
            let path = self.checks.path(&at.key("token").key("at"), &token.at);
            let query = token.query.clone();
            styles.push(
                path.zip(more.clone())
                    .map(|(token, more)| Pages::Token { query, token, more }),
            );
        }
        if let Some(number) = &pages.number {
            styles.push(Some(Pages::Number {
                query: number.query.clone(),
                first: number.first.unwrap_or(1),
                stop,
            }));
        }
        if let Some(parameter) = &pages.offset {
            styles.push(Some(Pages::Offset {
                query: parameter.clone(),
                stop,
            }));
        }
        if let Some(keys) = &pages.after_key {
            styles.push(self.after_key(&at.key("after_key"), keys, query, view, stop));
        }
        let count = styles.len();
        if count != 1 {
            self.checks.error(Code::WrongPaging, at, |report| {
                report
                    .message(format!(
                        "the next page is found in one way of {}, found {count}",
                        list(STYLES)
                    ))
                    .at_key()
            });
            return None;
        }
        let counted = pages.number.is_some() || pages.offset.is_some() || pages.after_key.is_some();
        if pages.more.is_some() && pages.next_url.is_none() && pages.token.is_none() {
            self.checks.error(Code::WrongPaging, &at.key("more"), |report| {
                report
                    .message("`more` goes with `next_url` and `token` only")
                    .hint("say with `stop` when this listing ends")
            });
        }
        if pages.stop.is_some() && !counted {
            self.checks.error(Code::WrongPaging, &at.key("stop"), |report| {
                report
                    .message("`stop` goes with `number`, `offset` and `after_key` only")
                    .hint("say with `more` whether there is a next page")
            });
        }
        styles.pop().flatten()
    }

    fn after_key(
        &self,
        at: &Pointer,
        keys: &KeyPages,
        query: &IndexMap<String, ValueTemplate>,
        view: &RecordView,
        stop: PageStop,
    ) -> Option<Pages> {
        let key = self.checks.path_into(&at.key("key"), &keys.key, view)?;
        self.check_order(at, key.source(), query);
        let at = at.key("query");
        let parameters = match &*keys.query {
            KeyQuery::Parameter(name) => Some(vec![(name.clone(), self.last_key(&at, &key)?)]),
            KeyQuery::Parameters(parameters) => {
                self.query(&at, parameters, Sight::new(Place::Page, &self.names).of(view))
            }
        };
        Some(Pages::AfterKey {
            query: parameters?,
            key,
            stop,
        })
    }

    /// The template that gives the last record's key.
    fn last_key(&self, at: &Pointer, key: &Path) -> Option<Template> {
        self.member_template(at, "last", key)
    }

    /// A template that reads a path of plain names.
    pub(super) fn member_template(&self, at: &Pointer, root: &str, path: &Path) -> Option<Template> {
        let (steps, whole) = path_steps(path.source());
        let mut text = root.to_owned();
        for (step, _) in &steps {
            match step {
                Step::Name(name) if !name.contains(['\'', '\\']) => text.push_str(&format!("['{name}']")),
                Step::Name(_) | Step::Element => text.clear(),
            }
        }
        let template =
            (whole && text.starts_with(root)).then(|| Template::parse(&format!("{{{{ {text} }}}}")).ok());
        if let Some(Some(template)) = template {
            return Some(template);
        }
        self.checks.error(Code::WrongPaging, at, |report| {
            report
                .message(format!(
                    "the key `{}` is no plain chain of names, so it cannot be sent as one parameter",
                    path.source()
                ))
                .hint("write the parameters out as a map of templates")
        });
        None
    }

    /// A keyset listing must be sorted by its key, ascending: else records between two pages are lost.
    fn check_order(&self, at: &Pointer, key: &str, query: &IndexMap<String, ValueTemplate>) {
        let Some((parameter, value)) = query.iter().find(|(name, _)| {
            matches!(
                name.as_str(),
                "sort" | "sort_by" | "sortBy" | "order" | "order_by" | "orderBy" | "$orderby"
            )
        }) else {
            return;
        };
        let first = match &value.0 {
            Json::String(text) => text.split(',').next().unwrap_or_default().to_owned(),
            Json::Array(items) => items
                .first()
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return,
        };
        if definition::is_template(&first) {
            return;
        }
        let words: Vec<&str> = first.split_whitespace().collect();
        let field = words.first().copied().unwrap_or_default();
        let descending =
            field.starts_with('-') || words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("desc"));
        let name = key
            .rsplit(['.', '\'', '"', '['])
            .find(|part| !part.is_empty() && *part != "]")
            .unwrap_or(key);
        let field = field.trim_start_matches(['-', '+']);
        if field == name && !descending {
            return;
        }
        self.checks.error(Code::WrongPaging, &at.key("key"), |report| {
            let problem = if descending {
                "in descending order"
            } else {
                "first"
            };
            report
                .message(format!(
                    "pages go on after `{key}`, but the request sorts by `{field}` {problem}"
                ))
                .caption("records between two pages would be lost")
                .hint(format!("sort by `{name}` in ascending order (`{parameter}`)"))
        });
    }
}
