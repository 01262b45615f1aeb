//! Private values: masked, hashed or left out wherever a record is kept or shown.
//!
//! One redactor serves snapshots, queue, logs and previews of a flow. A record in which no private member occurs costs
//! one search for the members' names; where a plain path leads to the value only its bytes are replaced, so that the rest
//! stays as received.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::memmem::Finder;

use super::trace::MASK;
use crate::compile::compiled::{Privacy, PrivacyKind};
use crate::expression::{Edit, Path, Step, Value, parse_json};

/// What a flow keeps private, and the key of its digests.
#[derive(Clone, Debug)]
pub struct Redactor {
    rules: Vec<Rule>,
    targets: HashMap<String, PrivacyKind>,
    key: DigestKey,
}

#[derive(Clone, Debug)]
struct Rule {
    path: Path,
    kind: PrivacyKind,
    /// Finds the first member's name in quotes; `None` when the path does not start with a name.
    first: Option<Finder<'static>>,
}

/// The key of digests; never printed.
#[derive(Clone)]
struct DigestKey([u8; 32]);

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DigestKey(***)")
    }
}

/// What the search in the text says of one rule.
enum Hit<'t> {
    Absent,
    /// The value's text.
    At(&'t str),
    /// Only a parse can tell.
    Unclear,
}

impl Redactor {
    /// A redactor for a flow's private members and targets, with the key of its digests.
    pub fn new(privacy: &[Privacy], targets: &[(String, PrivacyKind)], key: [u8; 32]) -> Self {
        Redactor {
            rules: privacy
                .iter()
                .filter(|rule| rule.kind != PrivacyKind::Keep)
                .map(|rule| Rule {
                    path: rule.path.clone(),
                    kind: rule.kind,
                    first: rule
                        .path
                        .first_name()
                        .map(|name| Finder::new(&quoted(name)).into_owned()),
                })
                .collect(),
            targets: targets.iter().cloned().collect(),
            key: DigestKey(key),
        }
    }

    /// Whether records of the flow hold private members at all.
    pub fn applies(&self) -> bool {
        !self.rules.is_empty()
    }

    /// What is done with a target field.
    pub fn target(&self, name: &str) -> PrivacyKind {
        self.targets.get(name).copied().unwrap_or(PrivacyKind::Keep)
    }

    /// A record's JSON text without its private values; borrowed when there are none. A text that is not JSON is replaced
    /// as a whole, because nobody can tell what is in it.
    pub fn redact_json<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if self.rules.is_empty() {
            return Cow::Borrowed(text);
        }
        // A name may be written with escapes; then only a parse can tell.
        let escaped = memchr::memmem::find(text, b"\\u").is_some();
        let maybe =
            |rule: &Rule| escaped || rule.first.as_ref().is_none_or(|first| first.find(text).is_some());
        if !self.rules.iter().any(maybe) {
            return Cow::Borrowed(text);
        }
        if !escaped && let Some(spliced) = self.splice(text) {
            return spliced;
        }
        match parse_json(text) {
            Ok(mut value) => {
                if !self.edit(&mut value) {
                    return Cow::Borrowed(text);
                }
                Cow::Owned(value.to_json().into_bytes())
            }
            Err(_) => Cow::Owned(format!("\"{MASK}\"").into_bytes()),
        }
    }

    /// A value without its private members.
    pub fn redact_value(&self, value: &Value<'_>) -> Value<'static> {
        let mut value = value.clone().into_owned();
        self.edit(&mut value);
        value
    }

    /// A target's value as it may be kept or shown.
    pub fn redact_target(&self, name: &str, value: &Value<'_>) -> Value<'static> {
        match self.target(name) {
            PrivacyKind::Keep => value.clone().into_owned(),
            kind => self.redacted(kind, value),
        }
    }

    /// Replaces the values in place; whether there were any.
    fn edit(&self, value: &mut Value<'_>) -> bool {
        let mut any = false;
        for rule in &self.rules {
            rule.path.edit(value, &mut |node| {
                any = true;
                if rule.kind == PrivacyKind::Drop {
                    return Edit::Remove;
                }
                *node = self.redacted(rule.kind, node);
                Edit::Keep
            });
        }
        any
    }

    /// Replaces the bytes of private values, if every rule's place can be found by searching alone.
    fn splice<'t>(&self, text: &'t [u8]) -> Option<Cow<'t, [u8]>> {
        let whole = std::str::from_utf8(text).ok()?;
        let mut places: Vec<(usize, usize, String)> = Vec::new();
        for rule in &self.rules {
            match hit(&rule.path, whole) {
                Hit::Absent => {}
                Hit::Unclear => return None,
                Hit::At(_) if rule.kind == PrivacyKind::Drop => return None,
                Hit::At(found) => {
                    let start = (found.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
                    let value = parse_json(found.as_bytes()).ok()?;
                    places.push((
                        start,
                        start + found.len(),
                        self.redacted(rule.kind, &value).to_json(),
                    ));
                }
            }
        }
        if places.is_empty() {
            return Some(Cow::Borrowed(text));
        }
        places.sort_unstable();
        let mut redacted = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end, replacement) in places {
            // Of a member and one inside it the outer one counts.
            if start < at {
                continue;
            }
            redacted.extend_from_slice(text.get(at..start)?);
            redacted.extend_from_slice(replacement.as_bytes());
            at = end;
        }
        redacted.extend_from_slice(text.get(at..)?);
        Some(Cow::Owned(redacted))
    }

    fn redacted(&self, kind: PrivacyKind, value: &Value<'_>) -> Value<'static> {
        match kind {
            _ if value.is_null() => Value::Null,
            PrivacyKind::Keep => value.clone().into_owned(),
            PrivacyKind::Drop => Value::Null,
            PrivacyKind::Mask => Value::text(match value {
                Value::Null | Value::Text(_) => MASK,
                Value::Bool(_) => "*** boolean",
                Value::Number(_) => "*** number",
                Value::Time(_) => "*** time",
                Value::List(_) => "*** list",
                Value::Map(_) => "*** object",
            }),
            PrivacyKind::Hash => {
                let mut canonical = Vec::new();
                value.canonical(&mut canonical);
                let hash = blake3::keyed_hash(&self.key.0, &canonical).to_hex();
                Value::from(hash.as_str().get(..16).unwrap_or_default())
            }
        }
    }
}

fn quoted(name: &str) -> Vec<u8> {
    Value::text(name).to_json().into_bytes()
}

/// Where a plain path of names leads, when each name occurs at most once where it is looked for.
fn hit<'t>(path: &Path, whole: &'t str) -> Hit<'t> {
    let Some(steps) = path.steps() else {
        return Hit::Unclear;
    };
    let mut slice = whole;
    for step in steps {
        let Step::Name(name) = step else {
            return Hit::Unclear;
        };
        let quoted = quoted(name);
        match memchr::memmem::find_iter(slice.as_bytes(), &quoted)
            .take(2)
            .count()
        {
            0 => return Hit::Absent,
            1 => {}
            _ => return Hit::Unclear,
        }
        let Ok(member) = Path::parse(&format!("$[{}]", Value::text(name.as_str()).to_json())) else {
            return Hit::Unclear;
        };
        match select_in(slice, &member) {
            Ok(Some(found)) => slice = found,
            Ok(None) => return Hit::Absent,
            Err(()) => return Hit::Unclear,
        }
    }
    if slice == "null" {
        Hit::Absent
    } else {
        Hit::At(slice)
    }
}

fn select_in<'t>(text: &'t str, path: &Path) -> Result<Option<&'t str>, ()> {
    crate::expression::select_text(text.as_bytes(), path).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(rules: &[(&str, PrivacyKind)]) -> Redactor {
        let privacy: Vec<Privacy> = rules
            .iter()
            .map(|(path, kind)| Privacy {
                path: Path::parse(path).unwrap(),
                kind: *kind,
            })
            .collect();
        Redactor::new(&privacy, &[("email".to_owned(), PrivacyKind::Hash)], [7; 32])
    }

    fn redact(rules: &[(&str, PrivacyKind)], text: &str) -> String {
        String::from_utf8(redactor(rules).redact_json(text.as_bytes()).into_owned()).unwrap()
    }

    use PrivacyKind::{Drop, Hash, Keep, Mask};

    #[test]
    fn only_the_private_bytes_change() {
        let text = r#"{ "id": 1.10,  "email":"a@b", "user": {"name" : "x", "n":2} }"#;
        assert_eq!(
            redact(&[("$.email", Mask), ("$.user.name", Mask)], text),
            r#"{ "id": 1.10,  "email":"***", "user": {"name" : "***", "n":2} }"#
        );
        assert_eq!(
            redact(&[("$.user", Mask), ("$.user.n", Mask)], text),
            r#"{ "id": 1.10,  "email":"a@b", "user": "*** object" }"#
        );
        assert_eq!(
            redact(&[("$.email", Drop)], text),
            r#"{"id":1.10,"user":{"name":"x","n":2}}"#
        );
        assert_eq!(redact(&[("$.email", Keep)], text), text);
        assert!(matches!(
            redactor(&[("$.phone", Mask)]).redact_json(text.as_bytes()),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn names_cannot_hide() {
        for text in [
            r#"{"email":"secret","email":"secret2"}"#,
            r#"{"\u0065mail":"secret"}"#,
            r#"{"list":[{"email":"secret"}],"email":"secret"}"#,
            r#"{"note":"\"email\"","email":"secret"}"#,
            r#"{"email":"secret""#,
            r#"not json "email" secret"#,
        ] {
            let shown = redact(&[("$..email", Mask)], text);
            assert!(!shown.contains("secret"), "{text}: {shown}");
            let shown = redact(&[("$.email", Mask)], text);
            assert!(
                !shown.contains("secret") || text.contains("list"),
                "{text}: {shown}"
            );
        }
    }

    #[test]
    fn equal_values_have_equal_digests_under_one_key() {
        let first = redactor(&[]).redact_target("email", &Value::text("a@b"));
        assert_eq!(first, redactor(&[]).redact_target("email", &Value::text("a@b")));
        assert_ne!(first, redactor(&[]).redact_target("email", &Value::text("a@c")));
        assert_ne!(
            first,
            Redactor::new(&[], &[("email".to_owned(), Hash)], [8; 32])
                .redact_target("email", &Value::text("a@b"))
        );
        assert_eq!(first.as_text().unwrap().len(), 16);
        assert_eq!(redactor(&[]).redact_target("email", &Value::Null), Value::Null);
        assert!(!format!("{:?}", redactor(&[])).contains('7'));
    }

    proptest! {
        /// Splicing and parsing agree, whatever stands around the private member.
        #[test]
        fn splicing_is_as_good_as_parsing(before in "[a-z\"{}:,\\\\]{0,12}", secret in "[A-Z]{4,8}", nested: bool) {
            let before = Value::text(before).to_json();
            let text = if nested {
                format!(r#"{{"b": {before}, "u": {{"email": "{secret}"}}}}"#)
            } else {
                format!(r#"{{"b": {before}, "email": "{secret}", "u": {{}}}}"#)
            };
            let rules = [("$.email", Mask), ("$.u.email", Mask)];
            let spliced = redact(&rules, &text);
            let parsed = redactor(&rules).redact_value(&parse_json(text.as_bytes()).unwrap());
            prop_assert!(!spliced.contains(&secret));
            prop_assert_eq!(parse_json(spliced.as_bytes()).unwrap(), parsed);
        }
    }
}
