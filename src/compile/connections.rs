//! Connections: a connector compiled with one account's settings and sign-in.

use std::cell::RefCell;
use std::path::Path as FilePath;

use secrecy::SecretString;
use serde_json::Value as Json;

use super::CompileOptions;
use super::checks::Checks;
use super::compiled::{AuthSetting, Connection, ConnectionAuth};
use super::connector_files::{ConnectorFile, ConnectorFiles};
use super::files::Files;
use super::pointer::Pointer;
use super::record_files::RecordFiles;
use super::setting::kind;
use super::sight::Names;
use super::stream_facts::StreamFacts;
use crate::definition;
use crate::diagnostic::{Code, Diagnostics, list};
use crate::expression::Value;

/// A connection and what is known of its streams.
pub(super) struct ConnectionFacts {
    /// Its name.
    pub(super) name: String,
    /// Its streams; `None` where the connector is not known.
    pub(super) streams: Option<Vec<StreamFacts>>,
    /// The connection, if nothing in it is wrong.
    pub(super) compiled: Option<Connection>,
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
        let Some(file) = self.files.get(&connection.connector) else {
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
}
