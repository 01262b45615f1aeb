//! `pair`: the field of a side's record that holds the other record's key.

use super::Parts;
use crate::compile::compiled::{Match, MatchKey, MatchValue, PairKey, Row, Side, StoredKey};
use crate::compile::pipeline_checks::PipelineChecks;
use crate::compile::pointer::Pointer;
use crate::compile::record_view::{Step, path_steps};
use crate::compile::rows::RowPlace;
use crate::compile::sight::Sight;
use crate::compile::target::parse_target;
use crate::definition::{OneKey, Rule, Source, TemplateText};
use crate::diagnostic::Code;
use crate::expression::{Path, Template};

impl PipelineChecks<'_, '_> {
    /// The row that writes a side's memory of the other, the memory, and the match that finds a record by it.
    pub(super) fn pair(
        &self,
        parts: &Parts<'_>,
        to: Side,
        pair: &OneKey<String, TemplateText>,
        place: RowPlace<'_>,
    ) -> Option<(Row, PairKey, Option<Match>)> {
        let from = to.other();
        let at = parts.at.key("pair").key(to.name()).key(&pair.key);
        let sight = Sight::new(place.place, self.names).of(place.view);
        let template = self.checks.text(&at, &pair.value, sight)?;
        let key = parts.facts(from).and_then(|facts| facts.key.clone());
        if !self.holds_key(&at, &template, from, key.as_deref()) {
            return None;
        }
        let rule = Rule {
            value: Source::new(pair.value.as_str()).ok(),
            write: Some(crate::definition::Write::OnCreate),
            required: Some(true),
            ..Rule::default()
        };
        let row = self.row(&at, &pair.key, &rule, place)?;
        let path = path_of(&pair.key)?;
        let sink = parts.facts(to)?;
        let find = sink.find.iter().position(|(by, _)| by == path.source());
        let found = find.map(|find| Match {
            keys: vec![MatchKey {
                theirs: path.clone(),
                ours: MatchValue::Compute(template.clone()),
                find: Some(find),
            }],
        });
        if found.is_none() && parts.direction.writes(to) {
            self.checks.warning(Code::NotFindable, &at, |report| {
                report
                    .message(format!(
                        "`{}` cannot be found by `{}`; it can by {}",
                        parts.stream(to),
                        path.source(),
                        crate::compile::lookups::found_by(sink)
                    ))
                    .note("a record that remembers its counterpart so is recognised only when it is read itself")
            });
        }
        let pair = PairKey {
            path,
            stored: stored(&template, from, key.as_deref()),
            template,
            row: 0,
            matching: None,
        };
        Some((row, pair, found))
    }

    /// Whether a template holds the key of the other side's record, so that two records never share a text.
    fn holds_key(&self, at: &Pointer, template: &Template, from: Side, key: Option<&str>) -> bool {
        let Some(chain) = key.and_then(|key| key_chain(from, key)) else {
            return true;
        };
        if template
            .variables()
            .iter()
            .any(|read| chain.starts_with(read) && !read.is_empty())
        {
            return true;
        }
        self.checks.error(Code::BadPair, at, |report| {
            report
                .message(format!(
                    "this text does not hold the {} record's key, so it could belong to any of them",
                    from.name()
                ))
                .hint(format!(
                    "write its key into it: `\"{{{{ {} }}}}\"`",
                    chain.join(".")
                ))
        });
        false
    }
}

/// A key's path as a template names it: `$.id` of the remote record is `remote.id`.
fn key_chain(side: Side, key: &str) -> Option<Vec<String>> {
    let (steps, is_whole) = path_steps(key);
    let mut chain = vec![side.name().to_owned()];
    for (step, _) in steps {
        match step {
            Step::Name(name) => chain.push(name),
            Step::Element => return None,
        }
    }
    is_whole.then_some(chain)
}

/// The texts around the key, where the template is only that.
fn stored(template: &Template, from: Side, key: Option<&str>) -> Option<StoredKey> {
    let (before, chain, after) = template.around_chain()?;
    (key_chain(from, key?)? == chain).then(|| StoredKey {
        before: before.to_owned(),
        after: after.to_owned(),
    })
}

/// The path that reads a target field.
fn path_of(target: &str) -> Option<Path> {
    let mut text = "$".to_owned();
    for segment in parse_target(target)?.segments {
        let is_plain = segment
            .chars()
            .all(|character| character.is_alphanumeric() || character == '_')
            && !segment.starts_with(|first: char| first.is_numeric());
        if is_plain {
            text.push('.');
            text.push_str(&segment);
        } else {
            text.push_str(&format!(
                "['{}']",
                segment.replace('\\', "\\\\").replace('\'', "\\'")
            ));
        }
    }
    Path::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_between_texts_is_read_back() {
        let stored = |text: &str| stored(&Template::parse(text).unwrap(), Side::Remote, Some("$.id"));
        let found = stored("zd:{{ remote.id }}!").unwrap();
        assert_eq!((found.before.as_str(), found.after.as_str()), ("zd:", "!"));
        assert_eq!(found.key("zd:12!"), Some("12"));
        assert!(stored("{{ remote.id }}").is_some());
        for text in [
            "{{ remote.id | upper }}",
            "{{ remote.id }}{{ remote.id }}",
            "{{ remote.number }}",
            "x",
        ] {
            assert!(stored(text).is_none(), "{text}");
        }
    }

    #[test]
    fn targets_are_read_by_paths() {
        let path = |target: &str| path_of(target).unwrap().source().to_owned();
        assert_eq!(path("externalId"), "$.externalId");
        assert_eq!(path("custom.helpdesk_id"), "$.custom.helpdesk_id");
        assert_eq!(path("['a.b'].c"), "$['a.b'].c");
    }
}
