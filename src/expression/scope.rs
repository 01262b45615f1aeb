//! [`Scope`]: the names that a template sees.
//!
//! Building one costs a short vector; a value is converted for the template engine only where a template reads it.

use super::value::Value;

/// The names a template sees, with their values; a child sees its parent's names behind its own.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    parent: Option<&'a Scope<'a>>,
    names: Vec<(&'static str, Held<'a>)>,
}

#[derive(Clone, Debug)]
enum Held<'a> {
    Borrowed(&'a Value<'a>),
    Owned(Value<'static>),
}

impl<'a> Scope<'a> {
    /// No names.
    pub fn new() -> Self {
        Scope::default()
    }

    /// The same names and one more, which hides an equal one.
    pub fn with(mut self, name: &'static str, value: &'a Value<'a>) -> Self {
        self.names.push((name, Held::Borrowed(value)));
        self
    }

    /// As [`Scope::with`], with a value that the scope keeps.
    pub fn with_owned(mut self, name: &'static str, value: Value<'static>) -> Self {
        self.names.push((name, Held::Owned(value)));
        self
    }

    /// A scope that sees these names and can be given more.
    pub fn child(&'a self) -> Scope<'a> {
        Scope {
            parent: Some(self),
            names: Vec::new(),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value<'_>> {
        let own = self.names.iter().rev().find(|(other, _)| *other == name);
        match own {
            Some((_, Held::Borrowed(value))) => Some(value),
            Some((_, Held::Owned(value))) => Some(value),
            None => self.parent.and_then(|parent| parent.get(name)),
        }
    }

    /// The value at a dotted chain, its first part a name.
    pub(crate) fn find(&self, chain: &[String]) -> Option<&Value<'_>> {
        let (name, rest) = chain.split_first()?;
        rest.iter()
            .try_fold(self.get(name)?, |value, part| value.get(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_hides_and_inherits() {
        let (one, two, three) = (Value::from(1), Value::from(2), Value::from(3));
        let scope = Scope::new().with("a", &one).with("b", &two);
        let child = scope
            .child()
            .with("a", &three)
            .with_owned("c", Value::text("own"));
        assert_eq!(child.get("a"), Some(&three));
        assert_eq!(child.get("b"), Some(&two));
        assert_eq!(child.get("c"), Some(&Value::text("own")));
        assert_eq!(scope.get("c"), None);
    }
}
