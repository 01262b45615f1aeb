//! Where `env.NAME` and `secret.NAME` of a connection get their values.
//!
//! A secret may stand in a file instead of the environment (`NAME_FILE` names the file, as container platforms mount
//! them), so that it shows in no process listing. The sandbox lays its own values over the environment with [`Overrides`].

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Values by the names that `env.NAME` and `secret.NAME` use.
pub trait Environment {
    /// The value of a name; `None` if it is not set.
    fn get(&self, name: &str) -> Option<String>;

    /// Why a name that seems to be set gives no value, such as a file that cannot be read.
    fn problem(&self, _name: &str) -> Option<String> {
        None
    }
}

/// The process's environment: `NAME`, else the content of the file that `NAME_FILE` names, without the line break at
/// its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl ProcessEnvironment {
    fn file(name: &str) -> Option<PathBuf> {
        std::env::var_os(format!("{name}_FILE")).map(PathBuf::from)
    }
}

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        if let Ok(value) = std::env::var(name) {
            return Some(value);
        }
        let mut content = std::fs::read_to_string(Self::file(name)?).ok()?;
        while content.ends_with(['\n', '\r']) {
            content.pop();
        }
        Some(content)
    }

    fn problem(&self, name: &str) -> Option<String> {
        if std::env::var(name).is_ok() {
            return None;
        }
        let path = Self::file(name)?;
        let error = std::fs::read_to_string(&path).err()?;
        Some(format!("`{name}_FILE` names `{}`: {error}", path.display()))
    }
}

/// Values laid over another environment.
pub struct Overrides<'a> {
    values: BTreeMap<String, String>,
    below: &'a dyn Environment,
}

impl std::fmt::Debug for Overrides<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        formatter
            .debug_struct("Overrides")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

impl<'a> Overrides<'a> {
    /// Lays values over `below`.
    pub fn new(values: impl IntoIterator<Item = (String, String)>, below: &'a dyn Environment) -> Self {
        Overrides {
            values: values.into_iter().collect(),
            below,
        }
    }
}

impl Environment for Overrides<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned().or_else(|| self.below.get(name))
    }

    fn problem(&self, name: &str) -> Option<String> {
        if self.values.contains_key(name) {
            None
        } else {
            self.below.problem(name)
        }
    }
}

/// An environment in which nothing is set; what tests and `validate --no-env` start from.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyEnvironment;

impl Environment for EmptyEnvironment {
    fn get(&self, _name: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_hides_what_lies_below() {
        let below = Overrides::new(
            [("A".into(), "1".into()), ("B".into(), "2".into())],
            &EmptyEnvironment,
        );
        let above = Overrides::new([("A".into(), "3".into())], &below);
        assert_eq!(above.get("A").as_deref(), Some("3"));
        assert_eq!(above.get("B").as_deref(), Some("2"));
        assert_eq!(above.get("C"), None);
    }

    #[test]
    fn overrides_never_print_values() {
        let overrides = Overrides::new([("TOKEN".into(), "hunter2".into())], &EmptyEnvironment);
        assert!(!format!("{overrides:?}").contains("hunter2"));
    }
}
