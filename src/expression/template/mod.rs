//! [`Template`]: text with `{{ expressions }}`, compiled once.
//!
//! A template that is one single expression keeps its type; text around expressions makes a text, and null anywhere in
//! it makes the whole null. There are no blocks: a template computes one value. The engine is minijinja; what it does
//! not check before the first evaluation (names of filters and tests) is checked here, and an expression that is only a
//! name with filters never goes through it, so that numbers keep their digits.

mod engine;
mod expression;
mod syntax;

use std::borrow::Cow;

use super::path::SyntaxError;
use super::scope::Scope;
use super::value::Value;
use expression::Expression;

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    form: Form,
    variables: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
enum Form {
    Literal(String),
    Single(Expression),
    Mixed(Vec<Piece>),
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Expression(Expression),
}

/// Why a template gives no value. It never shows the values it was given, which may be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}` cannot be computed: {message}")]
pub struct EvaluateError {
    /// The expression.
    pub expression: String,
    /// What went wrong.
    pub message: String,
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// When the syntax is wrong, or a filter, test or function does not exist; says where.
    pub fn parse(text: &str) -> Result<Template, SyntaxError> {
        let mut pieces = Vec::new();
        for piece in syntax::split(text)? {
            pieces.push(match piece {
                syntax::Piece::Literal(literal) => Piece::Literal(literal.to_owned()),
                syntax::Piece::Expression { source, offset } => {
                    Piece::Expression(Expression::parse(source, offset)?)
                }
            });
        }
        let mut variables: Vec<Vec<String>> = Vec::new();
        for piece in &pieces {
            if let Piece::Expression(expression) = piece {
                for variable in expression.variables() {
                    if !variables.contains(variable) {
                        variables.push(variable.clone());
                    }
                }
            }
        }
        Ok(Template {
            source: text.to_owned(),
            form: form(pieces),
            variables,
        })
    }

    /// A template that is this text, whatever it looks like.
    pub fn literal(text: &str) -> Template {
        Template {
            source: text.to_owned(),
            form: Form::Literal(text.to_owned()),
            variables: Vec::new(),
        }
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text, if there is no expression in it.
    pub fn is_literal(&self) -> Option<&str> {
        match &self.form {
            Form::Literal(text) => Some(text),
            Form::Single(_) | Form::Mixed(_) => None,
        }
    }

    /// Whether it is one single expression, which keeps its type.
    pub fn is_single(&self) -> bool {
        matches!(self.form, Form::Single(_))
    }

    /// The chain of names, if that is the only expression and has no filter, with the texts before and after it.
    pub fn around_chain(&self) -> Option<(&str, &[String], &str)> {
        let pieces = match &self.form {
            Form::Literal(_) => return None,
            Form::Single(expression) => return Some(("", expression.chain()?, "")),
            Form::Mixed(pieces) => pieces.as_slice(),
        };
        match pieces {
            [Piece::Literal(before), Piece::Expression(only)] => Some((before, only.chain()?, "")),
            [Piece::Expression(only), Piece::Literal(after)] => Some(("", only.chain()?, after)),
            [
                Piece::Literal(before),
                Piece::Expression(only),
                Piece::Literal(after),
            ] => Some((before, only.chain()?, after)),
            _ => None,
        }
    }

    /// The values it reads, as dotted chains: `[["record", "requester", "role"], ["params", "x"]]`.
    pub fn variables(&self) -> &[Vec<String>] {
        &self.variables
    }

    /// The value. What a chain does not find is null.
    ///
    /// # Errors
    /// When an expression cannot be computed from what it was given.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value<'static>, EvaluateError> {
        match &self.form {
            Form::Literal(text) => Ok(Value::Text(Cow::Owned(text.clone()))),
            Form::Single(expression) => expression.evaluate(scope),
            Form::Mixed(pieces) => Ok(mixed(pieces, scope, None)?.map_or(Value::Null, Value::from)),
        }
    }

    /// The value where it stands in the scope, if the template is only its name.
    pub fn select<'s>(&self, scope: &'s Scope<'_>) -> Option<&'s Value<'s>> {
        match &self.form {
            Form::Single(expression) => scope.find(expression.chain()?),
            Form::Literal(_) | Form::Mixed(_) => None,
        }
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn is_true(&self, scope: &Scope<'_>) -> Result<bool, EvaluateError> {
        if let Some(value) = self.select(scope) {
            return Ok(value.is_true());
        }
        self.evaluate(scope).map(|value| value.is_true())
    }

    /// The value as text; `None` for null, JSON for lists and objects.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn render(&self, scope: &Scope<'_>) -> Result<Option<String>, EvaluateError> {
        self.rendered(scope, None)
    }

    /// As [`Template::render`], with what expressions insert (not the text around them) passed through `encode`.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn render_encoded(
        &self,
        scope: &Scope<'_>,
        encode: &dyn Fn(&str) -> String,
    ) -> Result<Option<String>, EvaluateError> {
        self.rendered(scope, Some(encode))
    }

    fn rendered(
        &self,
        scope: &Scope<'_>,
        encode: Option<&dyn Fn(&str) -> String>,
    ) -> Result<Option<String>, EvaluateError> {
        match &self.form {
            Form::Literal(text) => Ok(Some(text.clone())),
            Form::Single(expression) => {
                let mut text = String::new();
                let some = append(&expression.evaluate(scope)?, encode, &mut text);
                Ok(some.then_some(text))
            }
            Form::Mixed(pieces) => mixed(pieces, scope, encode),
        }
    }
}

/// One expression with nothing but white space around it is single.
fn form(mut pieces: Vec<Piece>) -> Form {
    let blank = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.trim().is_empty());
    let expressions = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Expression(_)))
        .count();
    if expressions == 1
        && pieces
            .iter()
            .all(|piece| blank(piece) || matches!(piece, Piece::Expression(_)))
    {
        pieces.retain(|piece| matches!(piece, Piece::Expression(_)));
    }
    match pieces.pop() {
        Some(Piece::Expression(expression)) if pieces.is_empty() => Form::Single(expression),
        Some(Piece::Literal(text)) if pieces.is_empty() => Form::Literal(text),
        None => Form::Literal(String::new()),
        Some(last) => {
            pieces.push(last);
            Form::Mixed(pieces)
        }
    }
}

/// The joined text, or `None` when any expression is null.
fn mixed(
    pieces: &[Piece],
    scope: &Scope<'_>,
    encode: Option<&dyn Fn(&str) -> String>,
) -> Result<Option<String>, EvaluateError> {
    let mut text = String::new();
    let mut whole = true;
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Expression(expression) => whole &= append(&expression.evaluate(scope)?, encode, &mut text),
        }
    }
    Ok(whole.then_some(text))
}

/// Appends a value's text; false for null.
fn append(value: &Value<'_>, encode: Option<&dyn Fn(&str) -> String>, out: &mut String) -> bool {
    if value.is_null() {
        return false;
    }
    let text = value.scalar_text().unwrap_or_else(|| Cow::Owned(value.to_json()));
    match encode {
        Some(encode) => out.push_str(&encode(&text)),
        None => out.push_str(&text),
    }
    true
}

#[cfg(test)]
mod tests;
