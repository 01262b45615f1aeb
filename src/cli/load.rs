//! From a pipeline file to a compiled pipeline, with what is wrong said on standard error.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::anyhow;
use clap::Args;
use secrecy::ExposeSecret;

use super::Context;
use super::arguments::LogFormatArgument;
use super::exit::Failure;
use super::rehearsal::Rehearsal;
use crate::compile::compiled::{AuthSetting, Pipeline};
use crate::compile::environment::ProcessEnvironment;
use crate::compile::{CompileOptions, compile_pipeline};
use crate::diagnostic::{self, Diagnostics};

/// The options with which a pipeline is compiled.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Settings {
    /// Set a param of the pipeline; may be given several times
    #[arg(long, value_name = "PARAM=VALUE")]
    set: Vec<Setting>,
    /// Search connectors here, too, after `connectors/` beside the pipeline; may be given several times
    #[arg(long, value_name = "FOLDER")]
    pub(super) connectors: Vec<PathBuf>,
}

/// `PARAM=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    param: String,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((param, value)) if !param.trim().is_empty() => Ok(Setting {
                param: param.trim().to_owned(),
                value: value.to_owned(),
            }),
            Some(_) | None => Err("expected PARAM=VALUE, such as `start=2026-01-01`".to_owned()),
        }
    }
}

impl Settings {
    /// Params and their values, as texts.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.set
            .iter()
            .map(|setting| (setting.param.clone(), setting.value.clone()))
            .collect()
    }
}

/// Compiles a pipeline file. What is wrong with it is said on standard error; its secrets are kept out of the logs.
///
/// # Errors
/// It cannot be run.
pub(super) fn pipeline(
    context: &Context,
    path: &Path,
    settings: &Settings,
    rehearsal: Option<&Rehearsal>,
) -> Result<Pipeline, Failure> {
    let set = settings.pairs();
    let overrides = rehearsal.map(Rehearsal::overrides).unwrap_or_default();
    let options = CompileOptions {
        environment: match rehearsal {
            Some(rehearsal) => rehearsal,
            None => &ProcessEnvironment,
        },
        set: &set,
        connector_paths: settings.connectors.clone(),
        connection_overrides: &overrides,
        require_environment: true,
    };
    let compiled = compile_pipeline(path, &options);
    say(context, path, &compiled.diagnostics);
    let Some(pipeline) = compiled.pipeline else {
        return Err(Failure::usage(anyhow!(
            "`{}` cannot be run: {}",
            path.display(),
            diagnostic::summary(&compiled.diagnostics)
        )));
    };
    for connection in &pipeline.connections {
        for setting in connection.auth.iter().flat_map(|auth| auth.settings.values()) {
            if let AuthSetting::Secret(secret) = setting {
                context.secrets.add(secret.expose_secret());
            }
        }
    }
    if let Some(rehearsal) = rehearsal {
        rehearsal.check(&pipeline)?;
    }
    Ok(pipeline)
}

/// Says on standard error what is wrong. Warnings alone are only counted: who runs a pipeline every hour has seen them.
pub(super) fn say(context: &Context, path: &Path, diagnostics: &Diagnostics) {
    if !diagnostics.has_errors() {
        if !diagnostics.is_empty() {
            tracing::info!(
                "`{}` has {}: `crosswalk validate` shows them",
                path.display(),
                diagnostic::summary(diagnostics)
            );
        }
        return;
    }
    let text = match context.global.log_format {
        LogFormatArgument::Json => diagnostic::json_lines(diagnostics),
        LogFormatArgument::Text => {
            let color = context.global.color.applies(std::io::stderr().is_terminal());
            diagnostic::text(diagnostics, color)
        }
    };
    context.screen.write(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_equals_signs_and_nothing() {
        let setting = |param: &str, value: &str| Setting {
            param: param.into(),
            value: value.into(),
        };
        assert_eq!("a=b=c".parse(), Ok(setting("a", "b=c")));
        assert_eq!("a=".parse(), Ok(setting("a", "")));
        assert!("a".parse::<Setting>().is_err());
        assert!("=b".parse::<Setting>().is_err());
    }
}
