//! One expression: a chain of names with filters is applied directly, anything else by the engine.

use std::sync::Arc;

use super::EvaluateError;
use super::engine::{self, Reads};
use super::syntax::{self, Kind, Token};
use crate::expression::filters::{FILTERS, Filter};
use crate::expression::number::Number;
use crate::expression::path::SyntaxError;
use crate::expression::scope::Scope;
use crate::expression::value::Value;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    source: String,
    variables: Vec<Vec<String>>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// A chain of names, then filters with constant arguments.
    Pipe {
        chain: Vec<String>,
        filters: Vec<(&'static Filter, Vec<Value<'static>>)>,
    },
    /// Everything else.
    Engine {
        compiled: Arc<minijinja::Expression<'static, 'static>>,
        reads: Reads,
    },
}

impl Expression {
    /// Compiles what stands at `offset` of a template.
    pub(super) fn parse(source: &str, offset: usize) -> Result<Expression, SyntaxError> {
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
                filters
                    .iter()
                    .try_fold(value, |value, (filter, arguments)| filter.apply(value, arguments))
            }
            Form::Engine { compiled, reads } => engine::evaluate(compiled, reads, scope),
        };
        result.map_err(|message| EvaluateError {
            expression: self.source.clone(),
            message,
        })
    }
}

/// `chain | filter(constant, …) | …`, if the expression is only that.
type Pipe = (Vec<String>, Vec<(&'static Filter, Vec<Value<'static>>)>);

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
                let (argument, next) = constant(&tokens, at)?;
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

/// A constant argument and the token behind it.
fn constant(tokens: &[Token<'_>], at: usize) -> Option<(Value<'static>, usize)> {
    let kind = |index: usize| tokens.get(index).map(|token| token.kind);
    let number = |digits: &str| Number::parse(digits.to_owned()).map(Value::Number);
    match (kind(at)?, kind(at + 1)) {
        (Kind::Text(text), _) if !text.contains('\\') => Some((Value::from(text), at + 1)),
        (Kind::Number(digits), _) => Some((number(digits)?, at + 1)),
        (Kind::Sign("-"), Some(Kind::Number(digits))) => Some((number(&format!("-{digits}"))?, at + 2)),
        (Kind::Name("true"), _) => Some((Value::Bool(true), at + 1)),
        (Kind::Name("false"), _) => Some((Value::Bool(false), at + 1)),
        _ => None,
    }
}
