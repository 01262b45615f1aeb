//! [`Path`]: JSONPath (RFC 9535), compiled once.
//!
//! A plain chain of names and indexes is lowered to steps and walks a value without allocating; everything else goes
//! through the general evaluator (`query.rs`). Both give the same answers. What the general evaluator is known to get
//! wrong is refused when the path is parsed, so that a path that compiles is right.

use super::query::{Query, QueryPart};
use super::value::{Map, Value, position};

/// A compiled JSONPath.
#[derive(Clone, Debug)]
pub struct Path {
    source: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Steps(Box<[Step]>),
    Query(Box<Query>),
}

/// One step of a path that is a plain chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member.
    Name(String),
    /// An element; negative ones count from the end.
    Index(i64),
}

/// Where a path's or template's text is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Byte offset in the text.
    pub offset: usize,
    /// Length in bytes of what is wrong.
    pub length: usize,
    /// What is wrong.
    pub message: String,
}

/// What becomes of a node that [`Path::edit`] showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays, perhaps changed.
    Keep,
    /// It is taken out of its list or object; the root becomes null.
    Remove,
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// When the text is not RFC 9535, or asks for what the evaluator cannot answer rightly; says where.
    pub fn parse(text: &str) -> Result<Path, SyntaxError> {
        let query = Query::parse(text)?;
        let steps: Option<Vec<Step>> = query
            .parts()
            .map(|part| match part {
                QueryPart::Name(name) => Some(Step::Name(name.to_owned())),
                QueryPart::Index(index) => Some(Step::Index(index)),
                QueryPart::Other => None,
            })
            .collect();
        Ok(Path {
            source: text.to_owned(),
            form: match steps {
                Some(steps) => Form::Steps(steps.into()),
                None => Form::Query(Box::new(query)),
            },
        })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it selects at most one node.
    pub fn is_singular(&self) -> bool {
        matches!(self.form, Form::Steps(_))
    }

    /// The steps of a plain chain.
    pub fn steps(&self) -> Option<&[Step]> {
        match &self.form {
            Form::Steps(steps) => Some(steps),
            Form::Query(_) => None,
        }
    }

    /// Whether it is `$`.
    pub fn is_root(&self) -> bool {
        self.steps().is_some_and(<[Step]>::is_empty)
    }

    /// The first member it names: `assignee` of `$.assignee.email`.
    pub fn first_name(&self) -> Option<&str> {
        self.leading_names().next()
    }

    /// The names it starts with, up to the first step of another kind.
    pub(crate) fn leading_names(&self) -> impl Iterator<Item = &str> {
        let (steps, query) = match &self.form {
            Form::Steps(steps) => (Some(steps), None),
            Form::Query(query) => (None, Some(query)),
        };
        let steps = steps
            .into_iter()
            .flat_map(|steps| steps.iter())
            .map(|step| match step {
                Step::Name(name) => QueryPart::Name(name),
                Step::Index(index) => QueryPart::Index(*index),
            });
        let parts = query.into_iter().flat_map(|query| query.parts());
        steps.chain(parts).map_while(|part| match part {
            QueryPart::Name(name) => Some(name),
            QueryPart::Index(_) | QueryPart::Other => None,
        })
    }

    /// Whether a filter in it looks at the whole document.
    pub(crate) fn reads_root(&self) -> bool {
        match &self.form {
            Form::Steps(_) => false,
            Form::Query(query) => query.reads_root(),
        }
    }

    /// The first node.
    pub fn one<'v, 'a>(&self, root: &'v Value<'a>) -> Option<&'v Value<'a>> {
        match &self.form {
            Form::Steps(steps) => walk(steps, root),
            Form::Query(query) => query.all(root).into_iter().next(),
        }
    }

    /// All nodes, in document order.
    pub fn all<'v, 'a>(&self, root: &'v Value<'a>) -> Vec<&'v Value<'a>> {
        match &self.form {
            Form::Steps(steps) => walk(steps, root).into_iter().collect(),
            Form::Query(query) => query.all(root),
        }
    }

    /// Puts a value where a plain chain points, making objects on the way. False when a step meets something that is
    /// neither null nor fits it, an index that does not exist, or when the path is no plain chain.
    pub fn set(&self, root: &mut Value<'static>, value: Value<'static>) -> bool {
        let Some(steps) = self.steps() else {
            return false;
        };
        let mut at = root;
        for step in steps {
            if let (Value::Null, Step::Name(_)) = (&*at, step) {
                *at = Value::Map(Map::new());
            }
            let next = match (at, step) {
                (Value::Map(map), Step::Name(name)) => {
                    if map.get(name).is_none() {
                        map.insert(name.clone(), Value::Null);
                    }
                    map.get_mut(name)
                }
                (Value::List(items), Step::Index(index)) => {
                    position(*index, items.len()).and_then(|at| items.get_mut(at))
                }
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return false,
            }
        }
        *at = value;
        true
    }

    /// Shows every node to `edit`, inner ones first, and removes those for which it says so.
    pub fn edit<'a>(&self, root: &mut Value<'a>, edit: &mut dyn FnMut(&mut Value<'a>) -> Edit) {
        match &self.form {
            Form::Steps(steps) => edit_at(steps, root, edit),
            Form::Query(query) => {
                // Nodes keep their addresses until all of them were shown: nothing is removed before.
                let mut nodes: Vec<usize> = query.all(root).into_iter().map(address).collect();
                nodes.sort_unstable();
                if !nodes.is_empty() {
                    let removed = edit_nodes(&nodes, root, edit);
                    if removed {
                        *root = Value::Null;
                    }
                }
            }
        }
    }
}

fn walk<'v, 'a>(steps: &[Step], root: &'v Value<'a>) -> Option<&'v Value<'a>> {
    steps.iter().try_fold(root, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.element(*index),
    })
}

fn edit_at<'a>(steps: &[Step], value: &mut Value<'a>, edit: &mut dyn FnMut(&mut Value<'a>) -> Edit) {
    let Some((step, rest)) = steps.split_first() else {
        if edit(value) == Edit::Remove {
            *value = Value::Null;
        }
        return;
    };
    match (value, step) {
        (Value::Map(map), Step::Name(name)) => {
            let Some(member) = map.get_mut(name) else {
                return;
            };
            if !rest.is_empty() {
                edit_at(rest, member, edit);
            } else if edit(member) == Edit::Remove {
                map.remove(name);
            }
        }
        (Value::List(items), Step::Index(index)) => {
            let Some(at) = position(*index, items.len()) else {
                return;
            };
            let Some(item) = items.get_mut(at) else {
                return;
            };
            if !rest.is_empty() {
                edit_at(rest, item, edit);
            } else if edit(item) == Edit::Remove {
                items.remove(at);
            }
        }
        _ => {}
    }
}

fn address(value: &Value<'_>) -> usize {
    std::ptr::from_ref(value).addr()
}

/// Shows the nodes below and at `value`; whether `value` itself is to be removed.
fn edit_nodes<'a>(
    nodes: &[usize],
    value: &mut Value<'a>,
    edit: &mut dyn FnMut(&mut Value<'a>) -> Edit,
) -> bool {
    let hit = nodes.binary_search(&address(value)).is_ok();
    match value {
        Value::List(items) => {
            let removed: Vec<bool> = items
                .iter_mut()
                .map(|item| edit_nodes(nodes, item, edit))
                .collect();
            let mut removed = removed.into_iter();
            items.retain(|_| !removed.next().unwrap_or(false));
        }
        Value::Map(map) => {
            let removed: Vec<bool> = map
                .0
                .iter_mut()
                .map(|(_, member)| edit_nodes(nodes, member, edit))
                .collect();
            let mut removed = removed.into_iter();
            map.0.retain(|_| !removed.next().unwrap_or(false));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Time(_) => {}
    }
    hit && edit(value) == Edit::Remove
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::json::parse_json;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn plain_chains_are_lowered() {
        for (text, steps) in [
            ("$", vec![]),
            ("$.a.b", vec![Step::Name("a".into()), Step::Name("b".into())]),
            ("$['a.b'][0]", vec![Step::Name("a.b".into()), Step::Index(0)]),
            (
                "$[\"caf\\u00e9\"][-1]",
                vec![Step::Name("café".into()), Step::Index(-1)],
            ),
            (
                "$.items.values",
                vec![Step::Name("items".into()), Step::Name("values".into())],
            ),
        ] {
            assert_eq!(path(text).steps(), Some(&*steps), "{text}");
        }
        for general in ["$.a[*]", "$..a", "$['a','b']", "$.a[0:2]", "$.a[?@.b]"] {
            assert!(path(general).steps().is_none(), "{general}");
        }
        assert_eq!(path("$.assignee.email").first_name(), Some("assignee"));
        assert_eq!(path("$.emails[*].email").first_name(), Some("emails"));
        assert_eq!(path("$[0].a").first_name(), None);
    }

    #[test]
    fn values_are_set_through_missing_objects() {
        let mut root = Value::Null;
        assert!(path("$.a.b").set(&mut root, Value::from(1)));
        assert!(path("$.a.c").set(&mut root, Value::List(vec![Value::Null])));
        assert!(path("$.a.c[-1]").set(&mut root, Value::from(2)));
        assert!(!path("$.a.b.c").set(&mut root, Value::from(3)));
        assert!(!path("$.a.c[5]").set(&mut root, Value::from(3)));
        assert_eq!(root.to_json(), r#"{"a":{"b":1,"c":[2]}}"#);
    }

    #[test]
    fn nodes_are_edited_and_removed() {
        let text = br#"{"a":{"m":1},"list":[{"m":1,"n":2},{"m":3},4,{"m":[{"m":9}]}]}"#;
        let apply = |path_text: &str, edit: &mut dyn FnMut(&mut Value<'_>) -> Edit| {
            let mut root = parse_json(text).unwrap();
            path(path_text).edit(&mut root, &mut |value| edit(value));
            root.to_json()
        };
        let mut mask = |value: &mut Value<'_>| {
            *value = Value::text("***");
            Edit::Keep
        };
        assert_eq!(
            apply("$..m", &mut mask),
            r#"{"a":{"m":"***"},"list":[{"m":"***","n":2},{"m":"***"},4,{"m":"***"}]}"#
        );
        assert_eq!(
            apply("$.list[*].m", &mut |_| Edit::Remove),
            r#"{"a":{"m":1},"list":[{"n":2},{},4,{}]}"#
        );
        assert_eq!(
            apply("$.list[1]", &mut |_| Edit::Remove),
            r#"{"a":{"m":1},"list":[{"m":1,"n":2},4,{"m":[{"m":9}]}]}"#
        );
        assert_eq!(
            apply("$.a.m", &mut |_| Edit::Remove),
            r#"{"a":{},"list":[{"m":1,"n":2},{"m":3},4,{"m":[{"m":9}]}]}"#
        );
        assert_eq!(apply("$", &mut |_| Edit::Remove), "null");
    }
}
