//! One expression: a chain of names with filters is applied directly, anything else by the engine.

use std::fmt;
use std::sync::Arc;

use super::EvaluateError;
use super::engine::{self, Reads};
use super::syntax::{self, Kind, Token};
use crate::expression::filters::{FILTERS, Filter};
use crate::expression::number::Number;
use crate::expression::path::SyntaxError;
use crate::expression::scope::Scope;
use crate::expression::value::Value;

/// Words and signs of the longest expression.
const LONGEST: usize = 500;

/// A compiled expression.
#[derive(Clone)]
pub(super) struct Expression {
    source: String,
    variables: Vec<Vec<String>>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// A chain of names, then filters.
    Pipe {
        chain: Vec<String>,
        filters: Vec<(&'static Filter, Vec<Argument>)>,
    },
    /// Everything else.
    Engine {
        compiled: Arc<minijinja::Expression<'static, 'static>>,
        reads: Reads,
    },
}

/// A filter's argument that needs no engine.
#[derive(Clone)]
enum Argument {
    Constant(Value<'static>),
    Chain(Vec<String>),
    /// A chain with a minus sign before it.
    Negative(Vec<String>),
}

impl Argument {
    fn evaluate(&self, scope: &Scope<'_>) -> Result<Value<'static>, String> {
        let find = |chain: &[String]| {
            scope
                .find(chain)
                .map_or(Value::Null, |value| value.clone().into_owned())
        };
        match self {
            Argument::Constant(value) => Ok(value.clone()),
            Argument::Chain(chain) => Ok(find(chain)),
            Argument::Negative(chain) => match find(chain) {
                Value::Number(number) => Ok(Value::Number(number.negated())),
                other => Err(format!("a minus sign stands before {}", other.kind())),
            },
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Expression {
    /// Compiles what stands at `offset` of a template.
    pub(super) fn parse(source: &str, offset: usize) -> Result<Expression, SyntaxError> {
        // The engine compiles recursively: what is too long for it is refused before it can exhaust the stack.
        if syntax::tokens(source).len() > LONGEST {
            return Err(SyntaxError {
                offset,
                length: source.len(),
                message: format!(
                    "the expression has more than {LONGEST} words and signs: compute it in several rows"
                ),
            });
        }
        let compiled = engine::compile(source).map_err(|error| SyntaxError {
            offset: offset + error.offset,
            ..error
        })?;
        let mut variables = syntax::names(source).map_err(|error| SyntaxError {
            offset: offset + error.offset,
            ..error
        })?;
        // What the engine itself says it reads, should it ever see more than the tokens show.
        for name in compiled.undeclared_variables(true) {
            let chain: Vec<String> = name.split('.').map(str::to_owned).collect();
            if !variables
                .iter()
                .any(|known| known.iter().zip(&chain).all(|(left, right)| left == right))
            {
                variables.push(chain);
            }
        }
        let form = match pipe(source) {
            Some((chain, filters)) => Form::Pipe { chain, filters },
            None => Form::Engine {
                reads: Reads::new(&variables),
                compiled: Arc::new(compiled),
            },
        };
        Ok(Expression {
            source: source.to_owned(),
            variables,
            form,
        })
    }

    /// The chains it reads.
    pub(super) fn variables(&self) -> &[Vec<String>] {
        &self.variables
    }

    /// The chain, if there is nothing else.
    pub(super) fn chain(&self) -> Option<&[String]> {
        match &self.form {
            Form::Pipe { chain, filters } if filters.is_empty() => Some(chain),
            Form::Pipe { .. } | Form::Engine { .. } => None,
        }
    }

    /// The value.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value<'static>, EvaluateError> {
        let result = match &self.form {
            Form::Pipe { chain, filters } => {
                let value = scope
                    .find(chain)
                    .map_or(Value::Null, |value| value.clone().into_owned());
                filters.iter().try_fold(value, |value, (filter, arguments)| {
                    let arguments: Vec<_> = arguments
                        .iter()
                        .map(|argument| argument.evaluate(scope))
                        .collect::<Result<_, _>>()?;
                    filter.apply(value, &arguments)
                })
            }
            Form::Engine { compiled, reads } => engine::evaluate(compiled, reads, scope),
        };
        result.map_err(|message| EvaluateError {
            expression: self.source.clone(),
            message,
        })
    }
}

/// `chain | filter(argument, …) | …`, if the expression is only that.
type Pipe = (Vec<String>, Vec<(&'static Filter, Vec<Argument>)>);

fn pipe(source: &str) -> Option<Pipe> {
    let tokens = syntax::tokens(source);
    let kind = |index: usize| tokens.get(index).map(|token| token.kind);
    let Some(Kind::Name(first)) = kind(0) else {
        return None;
    };
    if matches!(first, "not" | "true" | "false" | "none" | "True" | "False") {
        return None;
    }
    let (chain, mut at) = syntax::chain(&tokens, 0);
    let mut filters = Vec::new();
    while at < tokens.len() {
        let (Some(Kind::Sign("|")), Some(Kind::Name(name))) = (kind(at), kind(at + 1)) else {
            return None;
        };
        let filter = FILTERS.iter().find(|filter| filter.name == name)?;
        at += 2;
        let mut arguments = Vec::new();
        if kind(at) == Some(Kind::Sign("(")) {
            at += 1;
            while kind(at) != Some(Kind::Sign(")")) {
                let (argument, next) = argument(&tokens, at)?;
                arguments.push(argument);
                at = match kind(next) {
                    Some(Kind::Sign(",")) => next + 1,
                    Some(Kind::Sign(")")) => next,
                    _ => return None,
                };
            }
            at += 1;
        }
        filters.push((filter, arguments));
    }
    Some((chain, filters))
}

/// An argument that is a constant or a chain, and the token behind it.
fn argument(tokens: &[Token<'_>], at: usize) -> Option<(Argument, usize)> {
    let kind = |index: usize| tokens.get(index).map(|token| token.kind);
    let number = |digits: &str| Number::parse(digits.to_owned()).map(Value::Number);
    let is_name = |name: &str| !matches!(name, "not" | "none" | "True" | "False");
    let (argument, next) = match (kind(at)?, kind(at + 1)) {
        (Kind::Text(text), _) if !text.contains('\\') => (Argument::Constant(Value::from(text)), at + 1),
        (Kind::Number(digits), _) => (Argument::Constant(number(digits)?), at + 1),
        (Kind::Sign("-"), Some(Kind::Number(digits))) => {
            (Argument::Constant(number(&format!("-{digits}"))?), at + 2)
        }
        (Kind::Name("true"), _) => (Argument::Constant(Value::Bool(true)), at + 1),
        (Kind::Name("false"), _) => (Argument::Constant(Value::Bool(false)), at + 1),
        (Kind::Sign("-"), Some(Kind::Name(name))) if is_name(name) => {
            let (chain, next) = syntax::chain(tokens, at + 1);
            (Argument::Negative(chain), next)
        }
        (Kind::Name(name), _) if is_name(name) => {
            let (chain, next) = syntax::chain(tokens, at);
            (Argument::Chain(chain), next)
        }
        _ => return None,
    };
    Some((argument, next))
}
