//! Connections: a connector's file found and compiled with one account's settings and sign-in.

use std::cell::RefCell;
use std::path::{Path as FilePath, PathBuf};

use indexmap::IndexMap;
use secrecy::SecretString;
use serde_json::Value as Json;

use super::CompileOptions;
use super::checks::Checks;
use super::compiled::{AuthSetting, Connection, ConnectionAuth};
use super::connector::{ConnectorChecks, available, candidates, compile_http};
use super::files::Files;
use super::pointer::Pointer;
use super::record_files::{RecordFiles, digest};
use super::setting::{kind, typed};
use super::sight::{Names, Sight};
use super::stream_facts::StreamFacts;
use crate::definition::Place;
use crate::definition::{self, Literal, Setting, is_template};
use crate::diagnostic::{Code, Diagnostics, Severity, list};
use crate::document::{Document, Parsed};
use crate::expression::{Map, Scope, Value};

/// A connector file that was read.
pub(super) struct ConnectorFile {
    path: PathBuf,
    document: Document,
    parsed: Parsed<definition::Connector>,
}

/// The connector files that a pipeline names, each read once.
#[derive(Default)]
pub(super) struct ConnectorFiles {
    /// By the name that connections use; `None` where there is none or it cannot be read.
    files: IndexMap<String, Option<ConnectorFile>>,
}

/// A connection and what is known of its streams.
pub(super) struct ConnectionFacts {
    /// Its name.
    pub(super) name: String,
    /// Its streams; `None` where the connector is not known.
    pub(super) streams: Option<Vec<StreamFacts>>,
    /// The connection, if nothing in it is wrong.
    pub(super) compiled: Option<Connection>,
}

impl ConnectorFiles {
    /// Reads the connector files of all connections.
    pub(super) fn read(
        checks: &Checks<'_>,
        path: &FilePath,
        pipeline: &definition::Pipeline,
        options: &CompileOptions<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let beside = path
            .parent()
            .map_or_else(PathBuf::new, FilePath::to_owned)
            .join("connectors");
        let folders: Vec<PathBuf> = std::iter::once(beside)
            .chain(options.connector_paths.iter().cloned())
            .collect();
        let mut files: IndexMap<String, Option<ConnectorFile>> = IndexMap::new();
        for (name, connection) in &pipeline.connections {
            let connector = &connection.connector;
            let at = Pointer::root().key("connections").key(name).key("connector");
            if connector == "file" {
                continue;
            }
            if files.get(connector).is_some_and(Option::is_some) {
                continue;
            }
            let is_name =
                !connector.is_empty() && !connector.contains(['/', '\\']) && !connector.starts_with('.');
            let found = candidates(connector, &folders)
                .into_iter()
                .find(|path| is_name && path.is_file());
            let Some(found) = found else {
                let known = available(&folders);
                checks.error(Code::UnknownConnector, &at, |report| {
                    report
                        .message(format!("there is no connector `{connector}`"))
                        .did_you_mean(connector, known.iter().map(String::as_str))
                        .note(format!(
                            "it is searched as `{connector}.yaml` in {}",
                            list(folders.iter().filter_map(|folder| folder.to_str()))
                        ))
                        .note(format!(
                            "those that are there: {}",
                            list(known.iter().map(String::as_str))
                        ))
                        .hint(format!(
                            "put `{connector}.yaml` there, or name its folder with `--connectors`"
                        ))
                });
                files.insert(connector.clone(), None);
                continue;
            };
            files.insert(connector.clone(), read_connector_file(&found, diagnostics));
        }
        ConnectorFiles { files }
    }

    /// The names of a connection's settings; `None` where its connector is not known.
    pub(super) fn settings(&self, connection: &definition::Connection) -> Option<Vec<String>> {
        if connection.connector == "file" {
            return Some(vec!["directory".to_owned()]);
        }
        let file = self.files.get(&connection.connector)?.as_ref()?;
        Some(file.parsed.definition.settings.keys().cloned().collect())
    }

    /// Name and digest of every file that was read; the name is that below the folder of connectors.
    pub(super) fn sources(&self) -> Vec<(String, String)> {
        let files = self.files.values().flatten();
        files
            .map(|file| {
                let name = file
                    .path
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                (format!("connectors/{name}"), digest(file.document.text()))
            })
            .collect()
    }
}

/// Reads one connector file.
pub(super) fn read_connector_file(path: &FilePath, diagnostics: &mut Diagnostics) -> Option<ConnectorFile> {
    let document = Document::read(path, diagnostics)?;
    let parsed = definition::read_connector(&document, diagnostics)?;
    Some(ConnectorFile {
        path: path.to_owned(),
        document,
        parsed,
    })
}

impl ConnectorFile {
    /// Compiles the connector for one connection, or with no settings alone.
    pub(super) fn compile(
        &self,
        settings: Option<&Value<'static>>,
        records: &RecordFiles,
        diagnostics: &RefCell<Diagnostics>,
    ) -> (Option<super::compiled::Connector>, Vec<StreamFacts>) {
        let omitted = |pointer: &str| self.parsed.is_omitted(pointer);
        let checks = Checks::new(&self.document, &omitted);
        let definition = &self.parsed.definition;
        let names = Names {
            settings: definition.settings.keys().cloned().collect(),
            ..Names::default()
        };
        let result = compile_http(&ConnectorChecks {
            checks: &checks,
            definition,
            names,
            settings,
            records,
            path: &self.path,
        });
        diagnostics.borrow_mut().append(checks.take());
        if self.parsed.is_complete() {
            result
        } else {
            (None, result.1)
        }
    }
}

/// What connections are compiled with.
pub(super) struct Connections<'c, 'd> {
    /// The pipeline file.
    pub(super) checks: &'c Checks<'d>,
    /// Its path.
    pub(super) path: &'c FilePath,
    /// What was asked for.
    pub(super) options: &'c CompileOptions<'c>,
    /// The connector files.
    pub(super) files: &'c ConnectorFiles,
    /// The pipeline's names.
    pub(super) names: &'c Names,
    /// The values of the pipeline's params.
    pub(super) params: &'c Value<'static>,
    /// Reads record schemas.
    pub(super) records: &'c RecordFiles,
    /// Where what is wrong with connector files goes.
    pub(super) diagnostics: &'c RefCell<Diagnostics>,
}

/// The values of some settings.
struct Given {
    values: IndexMap<String, Json>,
    /// Those that came from `secret.*` or are declared secret.
    secret: Vec<String>,
}

impl Connections<'_, '_> {
    /// Compiles one connection.
    pub(super) fn connection(
        &self,
        at: &Pointer,
        name: &str,
        connection: &definition::Connection,
    ) -> ConnectionFacts {
        if connection.connector == "file" {
            return self.file_connection(at, name, connection);
        }
        for (stream, _) in &connection.streams {
            self.checks.error(Code::FileStream, &at.key("streams").key(stream), |report| {
                report.message("a connection has streams of its own only with `connector: file`; other connectors bring theirs").at_key()
            });
        }
        let Some(Some(file)) = self.files.files.get(&connection.connector) else {
            return ConnectionFacts {
                name: name.to_owned(),
                streams: None,
                compiled: None,
            };
        };
        let definition = &file.parsed.definition;
        let given = self.settings(at, name, connection, definition);
        let settings = Value::from(Json::Object(given.values.into_iter().collect()));
        let auth = self.auth(&at.key("auth"), name, connection, file);
        let (connector, streams) = file.compile(Some(&settings), self.records, self.diagnostics);
        let compiled = connector.zip(auth).map(|(connector, auth)| Connection {
            name: name.to_owned(),
            connector_name: definition.connector.clone(),
            connector,
            settings,
            auth,
            use_at_most: connection.use_at_most.map_or(1.0, |share| share.0 / 100.0),
        });
        ConnectionFacts {
            name: name.to_owned(),
            streams: Some(streams),
            compiled,
        }
    }

    fn file_connection(
        &self,
        at: &Pointer,
        name: &str,
        connection: &definition::Connection,
    ) -> ConnectionFacts {
        for (setting, _) in connection
            .settings
            .iter()
            .filter(|(setting, _)| *setting != "directory")
        {
            self.unknown_setting(&at.key("settings").key(setting), setting, &["directory"]);
        }
        if connection.auth.is_some() {
            self.checks.error(Code::UnknownAuth, &at.key("auth"), |report| {
                report.message("files need no sign-in").at_key()
            });
        }
        let directory = self
            .override_of(name, "file", "directory")
            .map(Json::String)
            .or_else(|| {
                let at = at.key("settings").key("directory");
                connection
                    .settings
                    .get("directory")
                    .and_then(|value| self.evaluate(&at, &value.0, true).map(|(value, _)| value))
            });
        if let Some(value) = directory
            .as_ref()
            .filter(|value| !value.is_string() && !value.is_null())
        {
            self.checks.error(
                Code::SettingType,
                &at.key("settings").key("directory"),
                |report| report.message(format!("a directory is text, found {}", kind(value))),
            );
        }
        let files = Files {
            checks: self.checks,
            path: self.path,
            names: self.names,
            params: self.params,
            environment: self.options.environment,
            records: self.records,
        };
        let (connector, streams) = files.connector(at, connection, directory.as_ref().and_then(Json::as_str));
        let compiled = connector.map(|connector| Connection {
            name: name.to_owned(),
            connector_name: "file".to_owned(),
            connector,
            settings: Value::from(serde_json::json!({"directory": directory})),
            auth: None,
            use_at_most: connection.use_at_most.map_or(1.0, |share| share.0 / 100.0),
        });
        ConnectionFacts {
            name: name.to_owned(),
            streams: Some(streams),
            compiled,
        }
    }

    fn override_of(&self, connection: &str, connector: &str, setting: &str) -> Option<String> {
        let overrides = self.options.connection_overrides.iter().rev();
        let found = overrides
            .filter(|(name, _, _)| name == connection || name == connector)
            .find(|(_, name, _)| name == setting);
        found.map(|(_, _, value)| value.clone())
    }

    fn unknown_setting(&self, at: &Pointer, setting: &str, known: &[&str]) {
        self.checks.error(Code::UnknownSetting, at, |report| {
            report
                .message(format!("there is no setting `{setting}`"))
                .at_key()
                .did_you_mean(setting, known.iter().copied())
                .note(format!("settings are {}", list(known.iter().copied())))
        });
    }

    fn settings(
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
    fn given(
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

    fn auth(
        &self,
        at: &Pointer,
        name: &str,
        connection: &definition::Connection,
        file: &ConnectorFile,
    ) -> Option<Option<ConnectionAuth>> {
        let connector = &file.parsed.definition;
        let known: Vec<&str> = connector.auth.keys().map(String::as_str).collect();
        let Some(chosen) = &connection.auth else {
            if known.is_empty() {
                return Some(None);
            }
            self.checks.error(
                Code::MissingAuth,
                &Pointer::root().key("connections").key(name),
                |report| {
                    report
                        .message(format!("the connection `{name}` does not say how to sign in"))
                        .at_key()
                        .hint(format!(
                            "add `auth: {{{}: {{…}}}}`",
                            known.first().copied().unwrap_or_default()
                        ))
                        .note(format!(
                            "the connector can sign in by {}",
                            list(known.iter().copied())
                        ))
                },
            );
            return None;
        };
        let at = at.key(&chosen.key);
        let Some(variant) = connector.auth.get(&chosen.key) else {
            if !file
                .parsed
                .is_omitted(Pointer::root().key("auth").key(&chosen.key).as_str())
            {
                self.checks.error(Code::UnknownAuth, &at, |report| {
                    report
                        .message(format!(
                            "the connector `{}` cannot sign in by `{}`",
                            connection.connector, chosen.key
                        ))
                        .at_key()
                        .did_you_mean(&chosen.key, known.iter().copied())
                        .note(match known.as_slice() {
                            [] => "it signs in by nothing: leave `auth` out".to_owned(),
                            known => format!("it can sign in by {}", list(known.iter().copied())),
                        })
                });
            }
            return None;
        };
        if let Some(reason) = &variant.deprecated {
            self.checks.warning(Code::Deprecated, &at, |report| {
                report
                    .message(format!("`{}` should no longer be used: {reason}", chosen.key))
                    .at_key()
                    .label_in(
                        &file.document,
                        Pointer::root()
                            .key("auth")
                            .key(&chosen.key)
                            .key("deprecated")
                            .as_str(),
                        "said here",
                    )
            });
        }
        let given = self.given(
            &at,
            &at,
            (name, &connection.connector),
            &chosen.value,
            &variant.settings,
        );
        let settings = given
            .values
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(setting, value)| {
                let text = super::record_schema::json_text(&value);
                let secret = given.secret.contains(&setting);
                (
                    setting,
                    if secret {
                        AuthSetting::Secret(SecretString::from(text))
                    } else {
                        AuthSetting::Plain(text)
                    },
                )
            })
            .collect();
        Some(Some(ConnectionAuth {
            variant: chosen.key.clone(),
            settings,
        }))
    }

    /// Fills in what a value reads from the environment; `None` where something is missing, which was then reported.
    /// The flag says whether a secret was read.
    fn evaluate(&self, at: &Pointer, value: &Json, filled: bool) -> Option<(Json, bool)> {
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
