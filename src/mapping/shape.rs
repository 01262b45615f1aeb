//! [`evaluate_shape`]: JSON with templates in its leaves becomes a value.
//!
//! Rows use it for what `then` and `as` make, connectors for request bodies.

use crate::compile::compiled::Shape;
use crate::expression::{EvaluateError, Map, Scope, Value};

/// The value of a shape. A path in it selects from `value`: one node, or a list where it may select several. A template's null stays a null member; an `each` over null is an empty list.
///
/// # Errors
/// When a template cannot be computed, or an `each` goes over something that is no list.
pub fn evaluate_shape(shape: &Shape, scope: &Scope<'_>) -> Result<Value<'static>, EvaluateError> {
    match shape {
        Shape::Const(value) => Ok(value.clone()),
        Shape::Template(template) => template.evaluate(scope),
        Shape::Select(path) => {
            let nodes = scope
                .get("value")
                .map(|value| path.all(value))
                .unwrap_or_default();
            let mut nodes = nodes.into_iter().map(|node| node.clone().into_owned());
            Ok(if path.is_singular() {
                nodes.next().unwrap_or_default()
            } else {
                Value::List(nodes.collect())
            })
        }
        Shape::List(shapes) => {
            let items: Result<Vec<_>, _> = shapes.iter().map(|shape| evaluate_shape(shape, scope)).collect();
            Ok(Value::List(items?))
        }
        Shape::Map(members) => {
            let mut map = Map::default();
            for (name, shape) in members {
                map.insert(name.clone(), evaluate_shape(shape, scope)?);
            }
            Ok(Value::Map(map))
        }
        Shape::Each { items, shape } => match items.evaluate(scope)? {
            Value::Null => Ok(Value::List(Vec::new())),
            Value::List(values) => {
                let made = values
                    .into_iter()
                    .map(|item| evaluate_shape(shape, &scope.child().with_owned("item", item)));
                Ok(Value::List(made.collect::<Result<_, _>>()?))
            }
            other => Err(EvaluateError {
                expression: items.source().to_owned(),
                message: format!("gives {} where a list is needed", other.kind()),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Template, parse_json};

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn leaves_are_computed_and_lists_gone_through() {
        let actions = Shape::Each {
            items: template("{{ fields.custom | items }}"),
            shape: Box::new(Shape::Map(vec![
                ("action".to_owned(), Shape::Const(Value::text("set"))),
                ("name".to_owned(), Shape::Template(template("{{ item[0] }}"))),
                ("value".to_owned(), Shape::Template(template("{{ item[1] }}"))),
            ])),
        };
        let shape = Shape::Map(vec![
            (
                "version".to_owned(),
                Shape::Template(template("{{ before.version }}")),
            ),
            ("actions".to_owned(), actions),
        ]);
        let fields = parse_json(br#"{"custom":{"a":1,"b":null}}"#).unwrap();
        let before = parse_json(br#"{"version":7}"#).unwrap();
        let scope = Scope::new().with("fields", &fields).with("before", &before);
        assert_eq!(
            evaluate_shape(&shape, &scope).unwrap().to_json(),
            r#"{"version":7,"actions":[{"action":"set","name":"a","value":1},{"action":"set","name":"b","value":null}]}"#
        );
    }

    #[test]
    fn going_through_what_is_no_list_is_an_error() {
        let shape = Shape::Each {
            items: template("{{ value }}"),
            shape: Box::new(Shape::Template(template("{{ item }}"))),
        };
        let evaluate = |value: Value<'_>| evaluate_shape(&shape, &Scope::new().with("value", &value));
        assert_eq!(evaluate(Value::Null).unwrap().to_json(), "[]");
        assert!(
            evaluate(Value::text("x"))
                .unwrap_err()
                .message
                .contains("a list is needed")
        );
    }
}
