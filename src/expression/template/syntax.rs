//! The syntax around and inside `{{ }}`: finding the expressions in a text, and the names that an expression uses.
//!
//! The engine reports an unknown filter or test only when it meets it, so the tokens of every expression are read here
//! once more. Refused besides: blocks, comments, functions, methods and named arguments (there are none), `~` (it would
//! write the word `none`; `words` or text around `{{ }}` joins), and `== none` (absent and null are one thing: `is none`).

use crate::expression::filters::{FILTERS, Filter, TESTS};
use crate::expression::path::SyntaxError;

/// A piece of a template's text.
pub(super) enum Piece<'t> {
    Literal(&'t str),
    /// What stands between `{{` and `}}`, and where.
    Expression {
        source: &'t str,
        offset: usize,
    },
}

/// Takes a text apart.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, SyntaxError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(start) = find_brace(text, at)? {
        if start > at {
            pieces.push(Piece::Literal(text.get(at..start).unwrap_or_default()));
        }
        let inner = start + 2;
        let end = end_of_expression(text, inner).ok_or_else(|| SyntaxError {
            offset: start,
            length: 2,
            message: "`{{` is not closed by `}}`".to_owned(),
        })?;
        let source = text.get(inner..end).unwrap_or_default();
        let trimmed = source.trim();
        let control = |offset: usize| SyntaxError {
            offset,
            length: 1,
            message: "`{{-` and `-}}` are not needed here: write `{{` and `}}`".to_owned(),
        };
        if source.starts_with('-') {
            return Err(control(inner));
        }
        if source.ends_with('-') {
            return Err(control(end - 1));
        }
        if trimmed.is_empty() {
            return Err(SyntaxError {
                offset: start,
                length: end + 2 - start,
                message: "there is no expression between `{{` and `}}`".to_owned(),
            });
        }
        let leading = source.len() - source.trim_start().len();
        pieces.push(Piece::Expression {
            source: trimmed,
            offset: inner + leading,
        });
        at = end + 2;
    }
    if at < text.len() || pieces.is_empty() {
        pieces.push(Piece::Literal(text.get(at..).unwrap_or_default()));
    }
    Ok(pieces)
}

/// The next `{{` from `from` on.
fn find_brace(text: &str, from: usize) -> Result<Option<usize>, SyntaxError> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(pair) = bytes.get(at..at + 2) {
        let refused = match pair {
            b"{{" => return Ok(Some(at)),
            b"{%" => "blocks are not supported: compute with `{{ … if … else … }}`, choose rows with `when`",
            b"{#" => "comments inside templates are not supported: use a YAML comment",
            b"}}" => "`}}` closes nothing: `{{` is missing",
            _ => {
                at += 1;
                continue;
            }
        };
        return Err(SyntaxError {
            offset: at,
            length: 2,
            message: refused.to_owned(),
        });
    }
    Ok(None)
}

/// Where the `}}` stands that closes an expression; quotes and braces inside count.
fn end_of_expression(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut depth = 0usize;
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if *byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

/// One token of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    Name(&'t str),
    /// The text between the quotes, escapes and all.
    Text(&'t str),
    Number(&'t str),
    /// An operator or bracket.
    Sign(&'t str),
}

/// Two-character operators.
const PAIRS: [&str; 6] = ["==", "!=", "<=", ">=", "//", "**"];

/// Takes an expression that the engine accepted apart.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = source.get(at..).unwrap_or_default();
        let count =
            |fits: &dyn Fn(char) -> bool| rest.chars().take_while(|c| fits(*c)).map(char::len_utf8).sum();
        let length: usize = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => quoted_length(rest),
            c if c.is_ascii_digit() => number_length(rest),
            c if c.is_ascii_alphabetic() || c == '_' => count(&|c| c.is_ascii_alphanumeric() || c == '_'),
            _ if PAIRS.iter().any(|pair| rest.starts_with(pair)) => 2,
            c => c.len_utf8(),
        };
        let text = rest.get(..length).unwrap_or_default();
        let kind = match first {
            '"' | '\'' => Kind::Text(text.get(1..text.len().saturating_sub(1)).unwrap_or_default()),
            c if c.is_ascii_digit() => Kind::Number(text),
            c if c.is_ascii_alphabetic() || c == '_' => Kind::Name(text),
            _ => Kind::Sign(text),
        };
        tokens.push(Token {
            kind,
            offset: at,
            length,
        });
        at += length.max(1);
    }
    tokens
}

fn quoted_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if Some(byte) == bytes.first() => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let continues = byte.is_ascii_alphanumeric()
            || *byte == b'_'
            || (*byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
        if !continues {
            break;
        }
        at += 1;
    }
    at
}

/// Words that are no names.
const KEYWORDS: [&str; 12] = [
    "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False",
];

/// The dotted chains that an expression reads.
///
/// # Errors
/// When it uses a filter, test, function or operator that there is not.
pub(super) fn names(source: &str) -> Result<Vec<Vec<String>>, SyntaxError> {
    let tokens = tokens(source);
    let kind = |index: Option<usize>| index.and_then(|index| tokens.get(index)).map(|token| token.kind);
    let mut chains = Vec::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let before = kind(index.checked_sub(1));
        let after = kind(Some(index + 1));
        let refusal = |message: String| SyntaxError {
            offset: token.offset,
            length: token.length,
            message,
        };
        match token.kind {
            Kind::Sign("~") => {
                return Err(refusal(
                    "`~` is not supported: write text around `{{ }}`, or join with `[a, b] | words`"
                        .to_owned(),
                ));
            }
            Kind::Sign("(") if matches!(before, Some(Kind::Sign(")" | "]"))) => {
                return Err(refusal("a value cannot be called".to_owned()));
            }
            Kind::Sign("==" | "!=") if is_none(before) || is_none(after) => {
                return Err(refusal(
                    "absent and null are one thing: write `is none` or `is not none`".to_owned(),
                ));
            }
            Kind::Name(name) if before == Some(Kind::Sign("|")) => {
                let arguments = count_arguments(&tokens, index + 1);
                check_filter(name, arguments).map_err(refusal)?;
            }
            Kind::Name(name) if is_test_position(&tokens, index) => {
                let test = TESTS.iter().find(|test| test.name == name);
                if test.is_none() {
                    let known: Vec<&str> = TESTS.iter().map(|test| test.name).collect();
                    return Err(refusal(format!(
                        "there is no test `{name}`: expected one of {}",
                        known.join(", ")
                    )));
                }
            }
            Kind::Name(name) if after == Some(Kind::Sign("(")) && !KEYWORDS.contains(&name) => {
                return Err(refusal(if before == Some(Kind::Sign(".")) {
                    format!("values have no methods such as `{name}`: use a filter, `value | {name}`")
                } else {
                    format!("there are no functions such as `{name}`: use a filter, `value | {name}`")
                }));
            }
            Kind::Name(_) if before == Some(Kind::Sign(".")) => {}
            Kind::Name(name) if after == Some(Kind::Sign("=")) => {
                return Err(refusal(format!(
                    "filters take no named arguments such as `{name}`"
                )));
            }
            Kind::Name(name) if !KEYWORDS.contains(&name) => {
                let (chain, next) = chain(&tokens, index);
                chains.push(chain);
                index = next;
                continue;
            }
            Kind::Name(_) | Kind::Text(_) | Kind::Number(_) | Kind::Sign(_) => {}
        }
        index += 1;
    }
    Ok(chains)
}

fn is_none(kind: Option<Kind<'_>>) -> bool {
    matches!(kind, Some(Kind::Name("none")))
}

/// Whether a name stands after `is` or `is not`.
fn is_test_position(tokens: &[Token<'_>], index: usize) -> bool {
    let kind = |back: usize| {
        index
            .checked_sub(back)
            .and_then(|index| tokens.get(index))
            .map(|token| token.kind)
    };
    let attribute = |back: usize| kind(back) == Some(Kind::Sign("."));
    let name = tokens.get(index).map(|token| token.kind);
    match kind(1) {
        Some(Kind::Name("is")) => !attribute(2) && name != Some(Kind::Name("not")),
        Some(Kind::Name("not")) => kind(2) == Some(Kind::Name("is")) && !attribute(3),
        _ => false,
    }
}

/// The chain that starts at a name, and the first token behind it.
pub(super) fn chain(tokens: &[Token<'_>], start: usize) -> (Vec<String>, usize) {
    let kind = |index: usize| tokens.get(index).map(|token| token.kind);
    let mut parts = Vec::new();
    if let Some(Kind::Name(name)) = kind(start) {
        parts.push(name.to_owned());
    }
    let mut at = start + 1;
    loop {
        match (kind(at), kind(at + 1), kind(at + 2)) {
            // A method's name is no part of the chain: it is refused where it stands.
            (Some(Kind::Sign(".")), Some(Kind::Name(name)), after) if after != Some(Kind::Sign("(")) => {
                parts.push(name.to_owned());
                at += 2;
            }
            (Some(Kind::Sign("[")), Some(Kind::Text(name)), Some(Kind::Sign("]")))
                if !name.contains('\\') =>
            {
                parts.push(name.to_owned());
                at += 3;
            }
            _ => return (parts, at),
        }
    }
}

/// How many arguments follow a filter's name.
fn count_arguments(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    let mut count = 0;
    let mut any = false;
    for token in tokens.get(open..).unwrap_or_default() {
        match token.kind {
            Kind::Sign("(" | "[" | "{") => {
                any |= depth > 0;
                depth += 1;
            }
            Kind::Sign(")" | "]" | "}") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            Kind::Sign(",") if depth == 1 => {
                count += usize::from(any);
                any = false;
            }
            _ if depth == 0 => return 0,
            _ => any = true,
        }
    }
    count + usize::from(any)
}

fn check_filter(name: &str, arguments: usize) -> Result<(), String> {
    let Some(filter) = FILTERS.iter().find(|filter| filter.name == name) else {
        let known: Vec<&str> = FILTERS.iter().map(|filter| filter.name).collect();
        return Err(format!(
            "there is no filter `{name}`: expected one of {}",
            known.join(", ")
        ));
    };
    let Filter {
        least,
        most,
        signature,
        ..
    } = filter;
    if arguments < *least || arguments > *most {
        return Err(format!(
            "`{name}` is written `{signature}`, found {arguments} arguments"
        ));
    }
    Ok(())
}
