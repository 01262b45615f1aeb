//! What is known of the records that paths and templates read: a stream's schema and what is joined to its records.
//!
//! Paths and templates are checked against it step by step. Where a schema allows members that it does not list, or
//! where none is known, everything may be there.

use std::sync::Arc;

use super::compiled::{FieldSchema, RecordSchema};

/// One step into a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member.
    Name(String),
    /// Any element of a list.
    Element,
}

/// What may stand in a record.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordView {
    schema: Option<Arc<RecordSchema>>,
    joined: Vec<(String, RecordView)>,
    /// What stands at the top of `schema` here: `requester` shows that member as a record of its own.
    prefix: String,
}

/// A step that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nowhere {
    /// Which step.
    pub(super) step: usize,
    /// Why, as a sentence.
    pub(super) reason: String,
    /// What may stand there.
    pub(super) known: Vec<String>,
}

impl RecordView {
    /// Records of a stream.
    pub(super) fn new(schema: Option<Arc<RecordSchema>>) -> Self {
        RecordView {
            schema,
            ..Self::default()
        }
    }

    /// The same with something joined under a name.
    pub(super) fn join(&mut self, name: &str, view: RecordView) {
        self.joined.retain(|(other, _)| other != name);
        self.joined.push((name.to_owned(), view));
    }

    /// The part of the records that stands at these steps, as a record of its own; `None` if nothing is known of it.
    pub(super) fn part(&self, steps: &[Step]) -> Option<RecordView> {
        if let Some((view, rest)) = self.joined_at(steps) {
            return view.part(rest);
        }
        let name = join_names(&self.prefix, steps);
        let known = name.is_empty() || self.schema.as_ref()?.fields.contains_key(&name);
        known.then(|| RecordView {
            schema: self.schema.clone(),
            joined: if steps.is_empty() {
                self.joined.clone()
            } else {
                Vec::new()
            },
            prefix: name,
        })
    }

    /// The field at these steps, `None` where the schema does not list it but allows it.
    pub(super) fn field(&self, steps: &[Step]) -> Result<Option<&FieldSchema>, Nowhere> {
        if let Some((view, rest)) = self.joined_at(steps) {
            return view.field(rest).map_err(|nowhere| Nowhere {
                step: nowhere.step + 1,
                ..nowhere
            });
        }
        let Some(schema) = &self.schema else {
            return Ok(None);
        };
        let mut name = self.prefix.clone();
        let mut found = schema.fields.get(&name);
        for (position, step) in steps.iter().enumerate() {
            let next = match step {
                Step::Name(member) if name.is_empty() => member.clone(),
                Step::Name(member) => format!("{name}.{member}"),
                Step::Element => format!("{name}[]"),
            };
            match schema.fields.get(&next) {
                Some(field) => {
                    name = next;
                    found = Some(field);
                }
                None if found.map_or(name.is_empty() && schema.open, |field| field.open) => return Ok(None),
                None => return Err(self.nowhere(schema, &name, found, position, step)),
            }
        }
        Ok(found)
    }

    fn joined_at<'s, 'p>(&'s self, steps: &'p [Step]) -> Option<(&'s RecordView, &'p [Step])> {
        let (Step::Name(first), rest) = steps.split_first()? else {
            return None;
        };
        let (_, view) = self.joined.iter().find(|(name, _)| name == first)?;
        Some((view, rest))
    }

    fn nowhere(
        &self,
        schema: &RecordSchema,
        name: &str,
        field: Option<&FieldSchema>,
        position: usize,
        step: &Step,
    ) -> Nowhere {
        let kinds = field.map(|field| field.types.join("` or `")).unwrap_or_default();
        let is = |kind: &str| field.is_some_and(|field| field.types.iter().any(|other| other == kind));
        let reason = match step {
            Step::Name(member) if is("array") && !is("object") => {
                format!(
                    "`{name}` is a list: write `{name}[*].{member}` for every element's, `{name}[0].{member}` for the first one's"
                )
            }
            Step::Name(_) if field.is_some() && !is("object") => {
                format!("`{name}` is `{kinds}`, so nothing stands below it")
            }
            Step::Name(member) if name.is_empty() => format!("the record has no `{member}`"),
            Step::Name(member) => format!("`{name}` has no `{member}`"),
            Step::Element => format!("`{name}` is `{kinds}`, not a list"),
        };
        let mut known = Vec::new();
        if matches!(step, Step::Name(_)) {
            let prefix = if name.is_empty() {
                String::new()
            } else {
                format!("{name}.")
            };
            let members = schema
                .fields
                .keys()
                .filter_map(|field| field.strip_prefix(&prefix));
            known.extend(
                members
                    .filter(|member| !member.contains(['.', '[']))
                    .map(str::to_owned),
            );
            if name == self.prefix {
                known.extend(self.joined.iter().map(|(name, _)| name.clone()));
            }
        }
        Nowhere {
            step: position,
            reason,
            known,
        }
    }
}

fn join_names(prefix: &str, steps: &[Step]) -> String {
    let mut name = prefix.to_owned();
    for step in steps {
        match step {
            Step::Name(member) => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(member);
            }
            Step::Element => name.push_str("[]"),
        }
    }
    name
}

/// The steps at the start of a JSONPath that are names, indexes or `[*]`, each with its place in the text, and whether
/// that is the whole path. The path is one that [`crate::expression::Path`] accepts.
pub(super) fn path_steps(path: &str) -> (Vec<(Step, std::ops::Range<usize>)>, bool) {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    loop {
        let start = path.len() - rest.len();
        let (step, length) = if let Some(name) = rest
            .strip_prefix('.')
            .filter(|name| !name.starts_with(['.', '*']))
        {
            let length = name.find(['.', '[', ' ']).unwrap_or(name.len());
            (Step::Name(name[..length].to_owned()), length + 1)
        } else if rest.starts_with("[*]") {
            (Step::Element, 3)
        } else if let Some((step, length)) = rest.strip_prefix('[').and_then(bracket) {
            (step, length + 2)
        } else {
            return (steps, rest.trim().is_empty());
        };
        steps.push((step, start..start + length));
        rest = &rest[length..];
    }
}

/// A name in quotes or an index between brackets, and the length of that text.
fn bracket(text: &str) -> Option<(Step, usize)> {
    let inner = text.get(..text.find(']')?)?;
    let number = inner.strip_prefix('-').unwrap_or(inner);
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((Step::Element, inner.len()));
    }
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let name = text.get(1..)?;
    let end = name.find(quote)?;
    let name = name.get(..end)?;
    (!name.contains('\\') && text.get(end + 2..)?.starts_with(']'))
        .then(|| (Step::Name(name.to_owned()), end + 2))
}

/// The steps of names alone, as templates have them.
pub(super) fn name_steps(names: &[String]) -> Vec<Step> {
    names.iter().cloned().map(Step::Name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> (Vec<Step>, bool) {
        let (steps, whole) = path_steps(path);
        (steps.into_iter().map(|(step, _)| step).collect(), whole)
    }

    fn view() -> RecordView {
        let text = |types: &str| FieldSchema {
            types: vec![types.to_owned()],
            ..FieldSchema::default()
        };
        let fields = [
            ("subject", text("string")),
            (
                "custom",
                FieldSchema {
                    open: true,
                    ..text("object")
                },
            ),
            ("emails", text("array")),
            ("emails[]", text("object")),
            ("emails[].email", text("string")),
            ("owner", text("object")),
            ("owner.id", text("string")),
        ];
        let fields = fields
            .into_iter()
            .map(|(name, field)| (name.to_owned(), field))
            .collect();
        let mut view = RecordView::new(Some(Arc::new(RecordSchema { fields, open: false })));
        view.join("order", RecordView::default());
        view
    }

    #[test]
    fn paths_are_taken_apart_as_far_as_they_are_plain() {
        let name = |text: &str| Step::Name(text.to_owned());
        assert_eq!(names("$"), (vec![], true));
        assert_eq!(
            names("$.a['b c'][0].d[*]"),
            (
                vec![name("a"), name("b c"), Step::Element, name("d"), Step::Element],
                true
            )
        );
        assert_eq!(names("$.a[?@.b == 1].c"), (vec![name("a")], false));
        assert_eq!(names("$..a"), (vec![], false));
        assert_eq!(names("$.*"), (vec![], false));
        let (steps, _) = path_steps("$.ab.cd");
        assert_eq!(steps[1].1, 4..7);
    }

    #[test]
    fn what_a_closed_schema_does_not_list_leads_nowhere() {
        let view = view();
        let at = |path: &str| view.field(&names(path).0);
        assert!(at("$.subject").unwrap().is_some());
        assert!(at("$.custom.anything.below").unwrap().is_none());
        assert!(at("$.order.anything").unwrap().is_none());
        assert!(at("$.emails[0].email").unwrap().is_some());
        let nowhere = at("$.owner.idd").unwrap_err();
        assert_eq!((nowhere.step, nowhere.known), (1, vec!["id".to_owned()]));
        let nowhere = at("$.subjet").unwrap_err();
        assert!(nowhere.known.contains(&"subject".to_owned()) && nowhere.known.contains(&"order".to_owned()));
        assert!(
            at("$.emails.email")
                .unwrap_err()
                .reason
                .contains("emails[*].email")
        );
        assert!(
            at("$.subject.x")
                .unwrap_err()
                .reason
                .contains("nothing stands below")
        );
    }

    #[test]
    fn a_part_is_checked_like_a_record() {
        let part = view().part(&[Step::Name("owner".into())]).unwrap();
        assert!(part.field(&[Step::Name("id".into())]).unwrap().is_some());
        assert!(part.field(&[Step::Name("name".into())]).is_err());
        assert!(view().part(&[Step::Name("nothing".into())]).is_none());
    }
}
