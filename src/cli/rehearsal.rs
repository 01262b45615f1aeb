//! `--sandbox`: a rehearsal against local stand-ins, with a state and snapshots of its own and no real credential.
//!
//! Nothing of the process's environment reaches the pipeline: every `env.NAME` and `secret.NAME` is answered with a
//! made-up value. A connection to a system without a stand-in is refused, and one whose addresses would not lead to
//! its stand-in is, too, so that a rehearsal cannot reach anything outside this machine.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::anyhow;

use super::exit::{Exit, Failure};
use super::location::{SANDBOX_DATA, SANDBOX_SNAPSHOTS, SANDBOX_STATE};
use crate::compile::compiled::{AuthScheme, AuthSetting, Connection, ConnectorKind, HttpConnector, Pipeline};
use crate::compile::environment::Environment;
use crate::expression::{Scope, Template, Value};
use crate::run::Ending;
use crate::sandbox::{Sandbox, SandboxOptions};

/// What a variable of which the stand-ins know nothing is: a text, and an address that leads nowhere (RFC 2606).
const MADE_UP: &str = "https://sandbox.invalid";

/// Running stand-ins, and what makes a pipeline use them.
#[derive(Debug)]
pub(super) struct Rehearsal {
    sandbox: Sandbox,
}

impl Rehearsal {
    /// Starts the stand-ins; they find what earlier rehearsals wrote.
    pub(super) async fn start(tickets: Option<usize>) -> Result<Self, Failure> {
        let defaults = SandboxOptions::default();
        let options = SandboxOptions {
            directory: Some(PathBuf::from(SANDBOX_DATA)),
            tickets: tickets.unwrap_or(defaults.tickets),
            ..defaults
        };
        let sandbox = Sandbox::start(options)
            .await
            .map_err(|error| Failure::storage(error.into()))?;
        Ok(Rehearsal { sandbox })
    }

    /// What a person is told before the run.
    pub(super) fn introduction(&self) -> String {
        let mut text = "rehearsing against local stand-ins; real credentials are not read\n".to_owned();
        for connector in Sandbox::connectors() {
            if let Some(address) = self.sandbox.address(connector) {
                let _ = writeln!(text, "  {connector:<10} {address}");
            }
        }
        let _ = writeln!(text, "  {:<10} {SANDBOX_DATA}", "their data");
        let _ = writeln!(text, "  {:<10} {SANDBOX_STATE}", "state");
        let _ = writeln!(text, "  {:<10} {SANDBOX_SNAPSHOTS}", "snapshots");
        text
    }

    /// Settings and credentials that lead connectors to their stand-ins: connector, setting, value.
    pub(super) fn overrides(&self) -> Vec<(String, String, String)> {
        Sandbox::connectors()
            .iter()
            .flat_map(|connector| {
                self.sandbox
                    .settings(connector)
                    .into_iter()
                    .chain(self.sandbox.credentials(connector))
                    .map(|(setting, value)| ((*connector).to_owned(), setting.to_owned(), value))
            })
            .collect()
    }

    /// Makes sure that no connection leads elsewhere.
    ///
    /// # Errors
    /// One has no stand-in, or its requests would not reach it.
    pub(super) fn check(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        match pipeline
            .connections
            .iter()
            .find_map(|connection| self.reason_against(connection))
        {
            Some(reason) => Err(Failure::new(Exit::Ended(Ending::Refused), anyhow!(reason))),
            None => Ok(()),
        }
    }

    fn reason_against(&self, connection: &Connection) -> Option<String> {
        let ConnectorKind::Http(http) = &connection.connector.kind else {
            return None;
        };
        let name = &connection.name;
        let connector = connection.connector_name.as_str();
        let Some(address) = self.sandbox.address(connector) else {
            return Some(format!(
                "the sandbox has no stand-in for connector `{connector}`, which connection `{name}` uses: it has those for {}",
                Sandbox::connectors().join(", ")
            ));
        };
        let settings = visible_settings(connection);
        addresses(http, connection).into_iter().find_map(|(what, template)| {
            let leads_to = template
                .render(&Scope::new().with("settings", &settings))
                .ok()
                .flatten()
                .unwrap_or_default();
            let rest = leads_to.strip_prefix(&address);
            let inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            (!inside).then(|| {
                format!(
                    "connection `{name}` cannot be rehearsed: `{what}` of connector `{connector}` leads to `{leads_to}` \
                     instead of its stand-in: build it from the setting `base_url`"
                )
            })
        })
    }

    /// Stops the stand-ins when what was written to them is on disk.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.sandbox
            .stop()
            .await
            .map_err(|error| Failure::storage(error.into()))
    }
}

impl Environment for Rehearsal {
    fn get(&self, name: &str) -> Option<String> {
        let known = self.sandbox.environment();
        let value = known.into_iter().find(|(variable, _)| variable == name);
        Some(value.map_or_else(|| MADE_UP.to_owned(), |(_, value)| value))
    }
}

/// Every address to which a connection sends requests.
fn addresses<'c>(http: &'c HttpConnector, connection: &Connection) -> Vec<(&'static str, &'c Template)> {
    let scheme = connection
        .auth
        .as_ref()
        .and_then(|auth| http.auth.get(&auth.variant))
        .map(|variant| &variant.scheme);
    let mut addresses = vec![("base_url", &http.base_url)];
    match scheme {
        Some(AuthScheme::OauthClientCredentials { token_url, .. }) => {
            addresses.push(("token_url", token_url))
        }
        Some(AuthScheme::Basic { .. } | AuthScheme::Bearer(_) | AuthScheme::Headers(_)) | None => {}
    }
    addresses
}

/// What an address template sees as `settings`; secrets are no part of an address.
fn visible_settings(connection: &Connection) -> Value<'static> {
    let mut settings = connection.settings.clone();
    if let Value::Map(map) = &mut settings {
        for (name, value) in connection.auth.iter().flat_map(|auth| &auth.settings) {
            if let AuthSetting::Plain(value) = value {
                map.insert(name.clone(), Value::text(value.clone()));
            }
        }
    }
    settings
}
