//! Local stand-ins of business systems, for rehearsal, demonstrations and tests.
//!
//! [`Sandbox::start`] serves imitations of Zendesk Support and of the Oro back-office JSON:API on loopback, filled with
//! a data set that depends on nothing but [`SandboxOptions::seed`] and [`SandboxOptions::tickets`]. They are strict where
//! the vendors are strict (paging, limits, error bodies, media types, refused filters), because the whole engine is
//! tested against them, and they keep what is written to them, so that a second run finds what the first one wrote.
//!
//! Reading order: `server` takes requests and applies `faults` (injected by the `control` endpoint), `zendesk` and `oro`
//! answer them from the state that `store` keeps, `dataset` makes that state. This is the one place in the program that
//! names vendors, and nothing but `cli` and tests may reach it.

mod activity;
mod chronicle;
mod clock;
mod control;
mod dataset;
mod faults;
mod limit;
mod message;
mod oro;
mod server;
mod store;
mod token;
mod zendesk;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chronicle::Chronicle;
use clock::Clock;
use oro::Oro;
use server::Server;
use zendesk::Zendesk;

/// What a [`Sandbox`] serves, and where.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where the systems keep what is written to them; `None` keeps it in memory only.
    pub directory: Option<PathBuf>,
    /// Chooses the generated data; ignored for a system that `directory` already holds.
    pub seed: u64,
    /// How many tickets to generate; ignored for a system that `directory` already holds.
    pub tickets: usize,
    /// How much faster than real time limits refill and fresh changes reach exports: 60.0 makes a minute last a second.
    pub time_scale: f64,
    /// Loopback port of the Zendesk stand-in; 0 takes any free one.
    pub zendesk_port: u16,
    /// Loopback port of the Oro stand-in; 0 takes any free one.
    pub oro_port: u16,
    /// How long an OAuth access token is accepted, in real time, unless the request for it asks for less.
    pub token_lifetime: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            directory: None,
            seed: 1,
            tickets: 120,
            time_scale: 1.0,
            zendesk_port: 0,
            oro_port: 0,
            token_lifetime: Duration::from_secs(1800),
        }
    }
}

impl SandboxOptions {
    /// Asks for the port on which the stand-in for the connector of that name is served; `false` if it has none.
    pub fn set_port(&mut self, connector: &str, port: u16) -> bool {
        match connector {
            Zendesk::NAME => self.zendesk_port = port,
            Oro::NAME => self.oro_port = port,
            _ => return false,
        }
        true
    }
}

/// Why a sandbox could not start, or could not keep what was written to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The directory or a file in it cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Storage {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A stored state is not one that this version wrote.
    #[error("cannot understand `{}`: remove it to generate the data anew", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where it stopped making sense.
        #[source]
        source: serde_json::Error,
    },
    /// Another sandbox uses the same directory.
    #[error("`{}` is in use by another sandbox: stop it, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The port is taken or forbidden.
    #[error("cannot listen on `{address}`: choose another port, or 0 for any")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A time scale that is zero, negative or not a number.
    #[error("time scale `{time_scale}` is not a number above 0")]
    TimeScale {
        /// The value that was given.
        time_scale: f64,
    },
}

/// The running stand-ins; they stop when it is dropped, and flush to disk when it is [stopped](Sandbox::stop).
#[derive(Debug)]
pub struct Sandbox {
    zendesk: Server<Zendesk>,
    oro: Server<Oro>,
}

impl Sandbox {
    /// Loads or generates the data and serves it on loopback until the value is stopped or dropped.
    ///
    /// # Errors
    /// When the directory cannot be used, holds files of something else, or a port is taken.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        if !(options.time_scale.is_finite() && options.time_scale > 0.0) {
            return Err(SandboxError::TimeScale {
                time_scale: options.time_scale,
            });
        }
        let clock = Arc::new(Clock::new(options.time_scale));
        let directory = options.directory.as_deref();
        // Both systems' data are made together, and only if one of them has none yet.
        let mut oro_data = None;
        let (zendesk_store, zendesk_state) = store::Store::open(directory, Zendesk::NAME, || {
            let data = dataset::generate(options.seed, options.tickets);
            oro_data = Some(data.oro);
            data.zendesk
        })?;
        let (oro_store, oro_state) = store::Store::open(directory, Oro::NAME, || {
            oro_data.unwrap_or_else(|| dataset::generate(options.seed, options.tickets).oro)
        })?;
        clock.leave_behind(zendesk_state.latest());
        clock.leave_behind(oro_state.latest());
        let zendesk = Zendesk::new(zendesk_state, Arc::clone(&clock), options.token_lifetime);
        let oro = Oro::new(oro_state, Arc::clone(&clock), options.token_lifetime);
        let shared = (clock, Arc::new(Chronicle::default()));
        Ok(Self {
            zendesk: Server::start(zendesk, zendesk_store, options.zendesk_port, &shared).await?,
            oro: Server::start(oro, oro_store, options.oro_port, &shared).await?,
        })
    }

    /// The names of the connectors that have a stand-in.
    #[must_use]
    pub fn connectors() -> &'static [&'static str] {
        &[Zendesk::NAME, Oro::NAME]
    }

    /// The base address (`http://127.0.0.1:PORT`) of the stand-in for the connector of that name, if there is one.
    #[must_use]
    pub fn address(&self, connector: &str) -> Option<String> {
        match connector {
            Zendesk::NAME => Some(self.zendesk.address()),
            Oro::NAME => Some(self.oro.address()),
            _ => None,
        }
    }

    /// The connection settings that lead this connector to its stand-in; empty for an unknown connector.
    #[must_use]
    pub fn settings(&self, connector: &str) -> Vec<(&'static str, String)> {
        match (connector, self.address(connector)) {
            (Zendesk::NAME, Some(address)) => {
                vec![
                    ("subdomain", "sandbox".to_owned()),
                    ("base_url", address),
                    ("requests_per_minute", zendesk::REQUESTS_A_MINUTE.to_string()),
                ]
            }
            (_, Some(address)) => vec![("base_url", address)],
            (_, None) => Vec::new(),
        }
    }

    /// Values of every auth setting that this connector's stand-in accepts, whichever scheme the connection chose;
    /// empty for an unknown connector.
    #[must_use]
    pub fn credentials(&self, connector: &str) -> Vec<(&'static str, String)> {
        let client = [
            ("client_id", token::CLIENT_ID.to_owned()),
            ("client_secret", token::CLIENT_SECRET.to_owned()),
        ];
        match connector {
            Zendesk::NAME => client
                .into_iter()
                .chain([
                    ("email", zendesk::ACCOUNT_EMAIL.to_owned()),
                    ("api_token", zendesk::ACCOUNT_TOKEN.to_owned()),
                ])
                .collect(),
            Oro::NAME => client.to_vec(),
            _ => Vec::new(),
        }
    }

    /// Environment variables by which a pipeline can reach the stand-ins: `CONNECTOR_SETTING` in upper case for every
    /// setting and credential, with `CONNECTOR_URL` for the base address.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        Self::connectors()
            .iter()
            .flat_map(|connector| {
                self.settings(connector)
                    .into_iter()
                    .chain(self.credentials(connector))
                    .map(move |(setting, value)| {
                        let setting = if setting == "base_url" { "url" } else { setting };
                        (format!("{connector}_{setting}").to_uppercase(), value)
                    })
            })
            .collect()
    }

    /// Stops serving and writes what is not yet on disk.
    ///
    /// # Errors
    /// When a state file cannot be written.
    pub async fn stop(self) -> Result<(), SandboxError> {
        self.zendesk.stop().await?;
        self.oro.stop().await
    }
}

/// The path of a system's state file in a sandbox directory.
fn state_file(directory: &Path, system: &str) -> PathBuf {
    directory.join(format!("{system}.json"))
}

#[cfg(test)]
mod tests;
