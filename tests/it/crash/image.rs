//! An image: a folder and two systems as they stand before a run, from which as many rigs are made as there are attempts.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crosswalk::sandbox::SandboxOptions;
use serde_json::Value;
use tempfile::TempDir;

use super::situation::Situation;
use super::standing::{Known, Standing};
use crate::rig::{Ran, Rig, copy};

/// The trace of a run, beside its pipeline.
const TRACE: &str = "trace.txt";

/// What stands before a run.
pub(super) struct Image {
    pub(super) situation: &'static Situation,
    folder: TempDir,
    systems: TempDir,
    known: Known,
}

/// A rig of its own, made from an image.
pub(super) struct Copied {
    pub(super) rig: Rig,
    _systems: TempDir,
}

fn served(directory: &Path, tickets: usize) -> Rig {
    Rig::with(SandboxOptions {
        directory: Some(directory.to_owned()),
        tickets,
        time_scale: 600.0,
        ..SandboxOptions::default()
    })
}

impl Image {
    pub(super) fn of(situation: &'static Situation) -> Image {
        let (folder, systems) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rig = served(systems.path(), situation.tickets);
        (situation.set_up)(&rig);
        for system in ["zendesk", "oro"] {
            rig.control(system, "POST", "flush", &Value::Null);
        }
        copy(&rig.path(""), folder.path());
        let known = Known::of(&rig);
        Image {
            situation,
            folder,
            systems,
            known,
        }
    }

    pub(super) fn copied(&self) -> Copied {
        let systems = tempfile::tempdir().unwrap();
        copy(self.systems.path(), systems.path());
        let rig = served(systems.path(), self.situation.tickets);
        copy(self.folder.path(), &rig.path(""));
        Copied {
            rig,
            _systems: systems,
        }
    }

    pub(super) fn standing(&self, rig: &Rig) -> Standing {
        Standing::of(rig, self.situation, &self.known)
    }

    fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["run", self.situation.pipeline];
        arguments.extend(self.situation.options);
        arguments
    }

    /// A run that nobody kills.
    pub(super) fn run(&self, rig: &Rig) -> Ran {
        Ran::new(rig.command(&self.arguments()).output().unwrap(), Value::Null)
    }

    /// A run that is killed when it meets a point for the n-th time; whether it was.
    pub(super) fn killed(&self, rig: &Rig, point: &str, hit: usize) -> bool {
        let mut command = rig.command(&self.arguments());
        command.env("CROSSWALK_CRASH_AT", format!("{point}:{hit}"));
        let output = command.output().unwrap();
        let killed = output.status.signal() == Some(9);
        if !killed {
            let ran = Ran::new(output, Value::Null);
            assert!(matches!(ran.code, 0 | 3), "{}{}", ran.stdout, ran.stderr);
        }
        killed
    }

    /// What was there before, where the situation begins with a kill.
    pub(super) fn begin(&self, rig: &Rig) {
        if let Some((point, hit)) = self.situation.after_kill {
            assert!(self.killed(rig, point, hit), "`{point}` was not met");
        }
    }

    /// The points that a run meets, in order.
    pub(super) fn traced(&self, rig: &Rig) -> Vec<String> {
        let mut command = rig.command(&self.arguments());
        command.env("CROSSWALK_CRASH_TRACE", rig.path(TRACE));
        let ran = Ran::new(command.output().unwrap(), Value::Null);
        assert!(
            matches!(ran.code, 0 | 3),
            "{}: {}{}",
            self.situation.name,
            ran.stdout,
            ran.stderr
        );
        rig.read(TRACE).lines().map(str::to_owned).collect()
    }
}

/// Stamps count in seconds, and the export of the helpdesk lags behind by a minute.
pub(super) fn later(rig: &Rig) {
    for system in ["zendesk", "oro"] {
        rig.control(
            system,
            "POST",
            "clock",
            &serde_json::json!({"advance_seconds": 90}),
        );
    }
}
