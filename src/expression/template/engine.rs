//! The template engine: minijinja with this program's own filters and tests, and values converted only where read.
//!
//! Null and absent both enter as undefined, so that `in`, `and`, `if` and chains meet one kind of nothing. A number
//! enters as an integer, or as a float where that loses nothing; any other must be selected with a path.

use std::sync::{Arc, LazyLock};

use minijinja::value::{Enumerator, Object, ObjectRepr, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as EngineValue};

use crate::expression::filters::{FILTERS, TESTS};
use crate::expression::number::Number;
use crate::expression::path::SyntaxError;
use crate::expression::scope::Scope;
use crate::expression::value::{Map, Value, position};

/// Instructions that one evaluation may take.
const FUEL: u64 = 50_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    for filter in FILTERS {
        environment.add_filter(
            filter.name,
            move |value: EngineValue, arguments: Rest<EngineValue>| {
                let arguments = arguments
                    .iter()
                    .map(leave)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(failed)?;
                let value = leave(&value).map_err(failed)?;
                filter
                    .apply(value, &arguments)
                    .map(|value| enter(&value))
                    .map_err(failed)
            },
        );
    }
    for test in TESTS {
        environment.add_test(
            test.name,
            move |value: EngineValue, arguments: Rest<EngineValue>| {
                let arguments = arguments
                    .iter()
                    .map(leave)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(failed)?;
                let value = leave(&value).map_err(failed)?;
                Ok::<bool, Error>((test.holds)(&value, &arguments))
            },
        );
    }
    environment
});

fn failed(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Compiles an expression; offsets are inside it.
pub(super) fn compile(source: &str) -> Result<minijinja::Expression<'static, 'static>, SyntaxError> {
    ENVIRONMENT
        .compile_expression_owned(source.to_owned())
        .map_err(|error| {
            let range = error.range().unwrap_or(0..source.len());
            let offset = range.start.min(source.len());
            SyntaxError {
                offset,
                length: range.end.saturating_sub(range.start).max(1),
                message: error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned),
            }
        })
}

/// Evaluates an expression with what it reads of a scope.
pub(super) fn evaluate(
    expression: &minijinja::Expression<'static, 'static>,
    reads: &Reads,
    scope: &Scope<'_>,
) -> Result<Value<'static>, String> {
    let names = reads
        .children
        .iter()
        .map(|child| (Arc::clone(&child.name), child.enter(scope.get(&child.name))))
        .collect();
    let result = expression
        .eval(EngineValue::from_object(Names(names)))
        .map_err(|error| describe(&error))?;
    leave(&result)
}

fn describe(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// What an expression reads, as a trie of names.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    name: Arc<str>,
    /// All of it, or only the children.
    whole: bool,
    children: Vec<Reads>,
}

impl Reads {
    pub(super) fn new(chains: &[Vec<String>]) -> Reads {
        let mut root = Reads {
            name: "".into(),
            whole: false,
            children: Vec::new(),
        };
        for chain in chains {
            root.add(chain);
        }
        root
    }

    fn add(&mut self, chain: &[String]) {
        let Some((name, rest)) = chain.split_first() else {
            self.whole = true;
            return;
        };
        match self.children.iter_mut().find(|child| *child.name == **name) {
            Some(child) => child.add(rest),
            None => {
                let mut child = Reads {
                    name: name.as_str().into(),
                    whole: false,
                    children: Vec::new(),
                };
                child.add(rest);
                self.children.push(child);
            }
        }
    }

    fn enter(&self, value: Option<&Value<'_>>) -> EngineValue {
        match value {
            None => EngineValue::UNDEFINED,
            Some(value) if self.whole => enter(value),
            Some(value) => EngineValue::from_object(Names(
                self.children
                    .iter()
                    .map(|child| (Arc::clone(&child.name), child.enter(value.get(&child.name))))
                    .collect(),
            )),
        }
    }
}

/// The part of a scope or object that an expression reads.
#[derive(Debug)]
struct Names(Vec<(Arc<str>, EngineValue)>);

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<EngineValue> {
        self.0
            .iter()
            .find(|(name, _)| **name == *key)
            .map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// A list or object inside the engine; what is not touched comes out as it went in.
#[derive(Debug)]
struct Node(Value<'static>);

impl Object for Node {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.0 {
            Value::List(_) => ObjectRepr::Seq,
            _ => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        match &self.0 {
            Value::Map(map) => map.get(key.as_str()?).map(enter),
            Value::List(items) => items.get(position(key.as_i64()?, items.len())?).map(enter),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.0 {
            Value::List(items) => Enumerator::Seq(items.len()),
            Value::Map(map) => {
                let names: Vec<EngineValue> = map.iter().map(|(name, _)| EngineValue::from(name)).collect();
                Enumerator::Values(names)
            }
            _ => Enumerator::NonEnumerable,
        }
    }
}

/// A value as the engine sees it.
fn enter(value: &Value<'_>) -> EngineValue {
    match value {
        Value::Null => EngineValue::UNDEFINED,
        Value::Bool(value) => EngineValue::from(*value),
        Value::Text(text) => EngineValue::from(text.as_ref()),
        Value::Time(time) => EngineValue::from(time.to_string()),
        Value::Number(number) => enter_number(number),
        Value::List(_) | Value::Map(_) => EngineValue::from_object(Node(value.clone().into_owned())),
    }
}

fn enter_number(number: &Number<'_>) -> EngineValue {
    if let Some(integer) = number.as_i64() {
        return EngineValue::from(integer);
    }
    let canonical = number.canonical();
    if let Ok(integer) = canonical.parse::<i128>() {
        return EngineValue::from(integer);
    }
    match number.as_f64() {
        Some(float) if Number::from_f64(float).is_some_and(|nearest| nearest == *number) => {
            EngineValue::from(float)
        }
        _ => EngineValue::from(failed(
            "a number has more digits than a template can compute with: select it with a path instead"
                .to_owned(),
        )),
    }
}

/// A value as it leaves the engine.
fn leave(value: &EngineValue) -> Result<Value<'static>, String> {
    if let Some(node) = value.downcast_object_ref::<Node>() {
        return Ok(node.0.clone());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number if value.is_integer() => Ok(Value::Number(Number::from_digits(value.to_string()))),
        ValueKind::Number => f64::try_from(value.clone())
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| "the result is not a number".to_owned()),
        ValueKind::String => Ok(Value::from(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .map_err(|error| describe(&error))?
            .checked()
            .map(|item| {
                item.map_err(|error| describe(&error))
                    .and_then(|item| leave(&item))
            })
            .collect::<Result<_, _>>()
            .map(Value::List),
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|error| describe(&error))?.checked() {
                let key = key.map_err(|error| describe(&error))?;
                let member = value.get_item(&key).map_err(|error| describe(&error))?;
                map.insert(key.to_string(), leave(&member)?);
            }
            Ok(Value::Map(map))
        }
        ValueKind::Invalid => match value.clone().reverse() {
            Err(error) => Err(describe(&error)),
            Ok(_) => Err("the value cannot be used".to_owned()),
        },
        _ => Err("the result is no JSON value".to_owned()),
    }
}
