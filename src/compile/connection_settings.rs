//! The values of a connection's settings: what it says, what overrides it, what is read from the environment, defaults.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::connections::Connections;
use super::pointer::Pointer;
use super::setting::{kind, typed};
use super::sight::Sight;
use crate::definition::{self, Literal, Place, Setting, is_template};
use crate::diagnostic::{Code, Severity, list};
use crate::expression::{Map, Scope, Value};

/// The values of some settings.
pub(super) struct Given {
    pub(super) values: IndexMap<String, Json>,
    /// Those that came from `secret.*` or are declared secret.
    pub(super) secret: Vec<String>,
}

impl Connections<'_, '_> {
    pub(super) fn override_of(&self, connection: &str, connector: &str, setting: &str) -> Option<String> {
        let overrides = self.options.connection_overrides.iter().rev();
        let found = overrides
            .filter(|(name, _, _)| name == connection || name == connector)
            .find(|(_, name, _)| name == setting);
        found.map(|(_, _, value)| value.clone())
    }

    pub(super) fn unknown_setting(&self, at: &Pointer, setting: &str, known: &[&str]) {
        self.checks.error(Code::UnknownSetting, at, |report| {
            report
                .message(format!("there is no setting `{setting}`"))
                .at_key()
                .did_you_mean(setting, known.iter().copied())
                .note(format!("settings are {}", list(known.iter().copied())))
        });
    }

    pub(super) fn settings(
        &self,
        at: &Pointer,
        name: &str,
        connection: &definition::Connection,
        connector: &definition::Connector,
    ) -> Given {
        let at_settings = at.key("settings");
        let given = self.given(
            &at_settings,
            at,
            (name, &connection.connector),
            &connection.settings,
            &connector.settings,
        );
        for secret in &given.secret {
            self.checks.error(Code::SecretOutsideAuth, &at_settings.key(secret), |report| {
                report
                    .message(format!("the setting `{secret}` reads a secret, and only settings below `auth` are kept secret"))
                    .hint("read it from `env`, or give the connector's sign-in a setting for it")
            });
        }
        given
    }

    /// The values of declared settings: what the connection says, overrides, defaults.
    pub(super) fn given(
        &self,
        at: &Pointer,
        whole: &Pointer,
        (name, connector): (&str, &str),
        written: &IndexMap<String, Literal>,
        declared: &IndexMap<String, Setting>,
    ) -> Given {
        let known: Vec<&str> = declared.keys().map(String::as_str).collect();
        for setting in written.keys().filter(|setting| !declared.contains_key(*setting)) {
            self.unknown_setting(&at.key(setting), setting, &known);
        }
        let mut given = Given {
            values: IndexMap::new(),
            secret: Vec::new(),
        };
        let mut defaults = Vec::new();
        for (setting, declaration) in declared {
            let at = at.key(setting);
            let required = declaration.required == Some(true);
            let value = if let Some(value) = self.override_of(name, connector, setting) {
                Some(Json::String(value))
            } else if let Some(value) = written.get(setting) {
                match self.evaluate(&at, &value.0, required) {
                    Some((value, from_secret)) => {
                        if from_secret {
                            given.secret.push(setting.clone());
                        }
                        Some(value)
                    }
                    None => Some(Json::Null),
                }
            } else {
                None
            };
            if declaration.secret == Some(true) && !given.secret.contains(setting) {
                given.secret.push(setting.clone());
            }
            match value {
                Some(value) => {
                    let value = typed(&declaration.value_type, &value).unwrap_or_else(|expected| {
                        self.checks.error(Code::SettingType, &at, |report| {
                            report.message(format!(
                                "the setting `{setting}` must be {expected}, found {}",
                                kind(&value)
                            ))
                        });
                        Json::Null
                    });
                    given.values.insert(setting.clone(), value);
                }
                None if required => {
                    let help = declaration.help.clone();
                    self.checks.error(Code::MissingSetting, whole, |report| {
                        report
                            .message(format!(
                                "the setting `{setting}` of connector `{connector}` is required"
                            ))
                            .at_key()
                            .hint(format!(
                                "add `{setting}: …`{}",
                                help.map(|help| format!(" ({help})")).unwrap_or_default()
                            ))
                    });
                    given.values.insert(setting.clone(), Json::Null);
                }
                None => defaults.push((setting, declaration)),
            }
        }
        fill_defaults(&mut given.values, defaults);
        given
    }

    /// Fills in what a value reads from the environment; `None` where something is missing, which was then reported.
    /// The flag says whether a secret was read.
    pub(super) fn evaluate(&self, at: &Pointer, value: &Json, filled: bool) -> Option<(Json, bool)> {
        match value {
            Json::String(text) if is_template(text) => self.evaluate_text(at, text, filled),
            Json::Array(items) => {
                let items: Option<Vec<_>> = items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| self.evaluate(&at.index(position), item, filled))
                    .collect();
                let (items, secrets): (Vec<_>, Vec<_>) = items?.into_iter().unzip();
                Some((Json::Array(items), secrets.contains(&true)))
            }
            Json::Object(members) => {
                let mut secret = false;
                let mut filled_in = serde_json::Map::new();
                for (name, member) in members {
                    let (value, from_secret) = self.evaluate(&at.key(name), member, filled)?;
                    secret |= from_secret;
                    filled_in.insert(name.clone(), value);
                }
                Some((Json::Object(filled_in), secret))
            }
            constant => Some((constant.clone(), false)),
        }
    }

    fn evaluate_text(&self, at: &Pointer, text: &str, filled: bool) -> Option<(Json, bool)> {
        let template = self
            .checks
            .template(at, text, Sight::new(Place::ConnectionSetting, self.names))?;
        let mut variables = Map::default();
        let mut secrets = Map::default();
        let mut missing = false;
        for chain in template.variables() {
            let [holder, name, ..] = chain.as_slice() else {
                self.checks.error(Code::UnknownVariable, at, |report| {
                    report
                        .message(format!("`{text}` names no variable"))
                        .hint("write `{{ env.NAME }}` or `{{ secret.NAME }}`")
                });
                return None;
            };
            match self
                .options
                .environment
                .get(name)
                .filter(|value| !(filled && value.is_empty()))
            {
                Some(value) if holder == "env" => variables.insert(name.clone(), Value::text(value)),
                Some(value) => secrets.insert(name.clone(), Value::text(value)),
                None => {
                    missing = true;
                    self.missing(at, text, holder, name);
                }
            }
        }
        if missing {
            return None;
        }
        let from_secret = !secrets.0.is_empty();
        let scope = Scope::new()
            .with_owned("env", Value::Map(variables))
            .with_owned("secret", Value::Map(secrets));
        match template.evaluate(&scope) {
            Ok(value) => Some((Json::from(value), from_secret)),
            Err(error) => {
                // The error may quote the value, which may be a secret.
                let reason = if from_secret {
                    "it cannot be computed".to_owned()
                } else {
                    error.to_string()
                };
                self.checks.error(Code::BadTemplate, at, |report| {
                    report.message(format!("`{text}`: {reason}"))
                });
                None
            }
        }
    }

    fn missing(&self, at: &Pointer, text: &str, holder: &str, name: &str) {
        let severity = if self.options.require_environment {
            Severity::Error
        } else {
            Severity::Warning
        };
        let (offset, length) = super::sight::position(text, &[holder.to_owned(), name.to_owned()]);
        let what = if holder == "secret" {
            "secret"
        } else {
            "environment variable"
        };
        let problem = self.options.environment.problem(name);
        let state = if self.options.environment.get(name).is_some() {
            "empty"
        } else {
            "not set"
        };
        self.checks
            .report(severity, Code::MissingEnvironment, at, |report| {
                let report = report
                    .message(format!("the {what} `{name}` is {state}"))
                    .inside(offset, length)
                    .hint(format!(
                        "set `{name}`, or `{name}_FILE` to the path of a file that holds it"
                    ));
                match problem {
                    Some(problem) => report.note(problem),
                    None => report,
                }
            });
    }
}

/// Adds defaults, those that read other settings once these are known.
fn fill_defaults(values: &mut IndexMap<String, Json>, mut waiting: Vec<(&String, &Setting)>) {
    while !waiting.is_empty() {
        let before = waiting.len();
        let names: Vec<String> = waiting.iter().map(|(name, _)| (*name).clone()).collect();
        waiting.retain(|(name, declaration)| {
            let Some(default) = &declaration.default else {
                values.insert((*name).clone(), Json::Null);
                return false;
            };
            match default_value(default, values, &names) {
                Some(value) => {
                    let value = typed(&declaration.value_type, &value).unwrap_or(Json::Null);
                    values.insert((*name).clone(), value);
                    false
                }
                None => true,
            }
        });
        if waiting.len() == before {
            // They wait for each other; what they read is null.
            for (name, _) in waiting.drain(..) {
                values.insert(name.clone(), Json::Null);
            }
        }
    }
}

/// A default's value, once all settings that it reads are known.
fn default_value(
    default: &definition::ValueTemplate,
    values: &IndexMap<String, Json>,
    waiting: &[String],
) -> Option<Json> {
    let Json::String(text) = &default.0 else {
        return Some(default.0.clone());
    };
    if !is_template(text) {
        return Some(default.0.clone());
    }
    let template = crate::expression::Template::parse(text).ok()?;
    let waits = template.variables().iter().any(|chain| {
        chain
            .get(1)
            .is_some_and(|name| waiting.contains(name) && !values.contains_key(name))
    });
    if waits {
        return None;
    }
    let settings = Value::from(Json::Object(
        values
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ));
    let value = template
        .evaluate(&Scope::new().with("settings", &settings))
        .unwrap_or(Value::Null);
    Some(Json::from(value))
}
