//! The plan file: what was planned, for a later run that does exactly that.
//!
//! Lines of JSON: a head with the version and what the plan rests on, one decision a line, and an end with the number of
//! decisions and a keyed digest of everything before it. The file shows values as people may see them and is readable by
//! its owner only; what is compared are the keyed digests of the decisions.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Plan;
use super::basis::PlanBasis;
use super::exact::exact;
use super::item::{PlanItem, PlanKind};
use crate::compile::compiled::FlowId;
use crate::mapping::Reject;
use crate::run::Stop;
use crate::run::batch::{Decision, Planned};
use crate::run::context::Context;

/// Version of the form of plan files.
pub(super) const VERSION: u32 = 1;
/// So many differences between a plan and what would be done now are named.
const DIFFERENCES_NAMED: usize = 5;
/// The code of a record that a run under a plan left for the next one.
const NOT_PLANNED: &str = "not_planned";

#[derive(Serialize, Deserialize)]
struct Head {
    crosswalk_plan: u32,
    basis: PlanBasis,
}

#[derive(Serialize, Deserialize)]
struct End {
    items: u64,
    digest: String,
}

/// Why a plan file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The plan did not come to its end.
    #[error("the plan is not complete, so that no run could keep to it: {reason}")]
    Incomplete {
        /// Why.
        reason: String,
    },
    /// An interrupted run left writes open.
    #[error(
        "{count} writes of an interrupted run are open: nobody knows whether they were carried out; `crosswalk run` settles them, then make the plan"
    )]
    Unsettled {
        /// How many.
        count: u64,
    },
    /// A flow writes a file.
    #[error(
        "the plan cannot be kept to: it writes `{to}`, and a file is written whole, whatever its rows are then"
    )]
    WholeFile {
        /// The stream.
        to: String,
    },
    /// The file cannot be written.
    #[error("cannot write the plan to `{path}`")]
    Write {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What was collected cannot be read back.
    #[error("the plan cannot be read back: {0}")]
    Collected(String),
}

/// Writes a plan to a file that only its owner may read, whole or not at all.
pub(super) fn write(plan: &Plan, path: &Path) -> Result<(), PlanFileError> {
    if !plan.report.complete {
        let reason = plan.report.message.clone().unwrap_or_default();
        return Err(PlanFileError::Incomplete { reason });
    }
    if plan.report.basis.unsettled > 0 {
        let count = plan.report.basis.unsettled;
        return Err(PlanFileError::Unsettled { count });
    }
    let failed = |source| PlanFileError::Write {
        path: path.display().to_string(),
        source,
    };
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    // A temporary file is readable by its owner only, and stays so under its new name.
    let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut hasher = blake3::Hasher::new_keyed(&plan.key);
    let mut line = |text: &str| {
        let text = format!("{text}\n");
        hasher.update(text.as_bytes());
        file.write_all(text.as_bytes())
    };
    let head = Head {
        crosswalk_plan: VERSION,
        basis: plan.report.basis.clone(),
    };
    let text = |error: serde_json::Error| PlanFileError::Collected(error.to_string());
    line(&serde_json::to_string(&head).map_err(text)?).map_err(failed)?;
    let mut items = 0;
    let read = |stop: Stop| PlanFileError::Collected(stop.to_string());
    for item in plan.lines.texts().map_err(read)? {
        let item = item.map_err(read)?;
        // Only such a decision has no digest.
        if let (true, Ok(whole)) = (item.ends_with("\"digest\":\"\"}"), super::lines::parse(&item)) {
            return Err(PlanFileError::WholeFile { to: whole.to });
        }
        line(&item).map_err(failed)?;
        items += 1;
    }
    let end = End {
        items,
        digest: hasher.finalize().to_hex().to_string(),
    };
    let end = serde_json::to_string(&end).map_err(text)?;
    writeln!(file, "{end}").map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A plan that a run keeps to.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What it rests on.
    pub(crate) basis: PlanBasis,
    /// What is decided, by flow or direction and source key.
    decisions: BTreeMap<(String, String), Vec<(PlanKind, String)>>,
}

/// A decision as it is compared: flow or direction, source key, kind, digest.
type Compared = (String, String, PlanKind, String);

impl Kept {
    /// Reads a plan file; `key` is that of the state's digests.
    pub(crate) fn read(path: &Path, key: &[u8; 32]) -> Result<Self, Stop> {
        let refused =
            |why: String| Stop::Refused(format!("the plan `{}` cannot be executed: {why}", path.display()));
        let file = File::open(path).map_err(|error| refused(error.to_string()))?;
        let mut lines = BufReader::new(file).lines();
        let mut hasher = blake3::Hasher::new_keyed(key);
        let Some(Ok(first)) = lines.next() else {
            return Err(refused("it is not a plan of crosswalk".to_owned()));
        };
        let head = head(&first).map_err(refused)?;
        let mut kept = Kept {
            basis: head.basis,
            decisions: BTreeMap::new(),
        };
        let broken = || refused("it is damaged or was changed by somebody; make a new one".to_owned());
        hasher.update(format!("{first}\n").as_bytes());
        let mut count = 0;
        let mut end: Option<End> = None;
        for line in lines {
            let line = line.map_err(|_| broken())?;
            if end.is_some() {
                return Err(broken());
            }
            if let Ok(item) = serde_json::from_str::<PlanItem>(&line) {
                hasher.update(format!("{line}\n").as_bytes());
                count += 1;
                let (flow, key, kind, digest) = compared(item);
                kept.decisions
                    .entry((flow, key))
                    .or_default()
                    .push((kind, digest));
            } else {
                end = Some(serde_json::from_str(&line).map_err(|_| broken())?);
            }
        }
        let whole = hasher.finalize().to_hex();
        match end {
            Some(end) if end.items == count && end.digest == whole.as_str() => Ok(kept),
            // With another state's key nothing fits; which state it was says more.
            Some(_) | None if kept.basis.state != state_of(key) => {
                Err(refused("it was made with another state file".to_owned()))
            }
            Some(_) | None => Err(broken()),
        }
    }

    /// Fails unless the same would be done now.
    pub(crate) fn equals(&self, now: &Plan) -> Result<(), Stop> {
        let mut left: HashMap<Compared, u64> = HashMap::new();
        for ((flow, key), decisions) in &self.decisions {
            for (kind, digest) in decisions {
                let compared = (flow.clone(), key.clone(), *kind, digest.clone());
                *left.entry(compared).or_default() += 1;
            }
        }
        let mut differences = Vec::new();
        for line in now.lines.texts()? {
            let item = compared(super::lines::parse(&line?)?);
            match left.get_mut(&item) {
                Some(count) if *count > 0 => *count -= 1,
                _ => differences.push(self.difference(&item)),
            }
        }
        let mut gone: Vec<&Compared> = left
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(item, _)| item)
            .filter(|(flow, key, ..)| {
                let named = format!("`{flow}` {key}:");
                !differences
                    .iter()
                    .any(|difference| difference.starts_with(&named))
            })
            .collect();
        gone.sort();
        for (flow, key, kind, _) in gone {
            differences.push(format!(
                "`{flow}` {key}: was to {}, and nothing is to be done now",
                words(*kind)
            ));
        }
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(DIFFERENCES_NAMED);
        differences.truncate(DIFFERENCES_NAMED);
        let and_more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Err(Stop::Refused(format!(
            "the systems have moved since the plan was made: {}{and_more}; nothing was written; make a new plan",
            differences.join("; ")
        )))
    }

    fn difference(&self, (flow, key, kind, _): &Compared) -> String {
        let then = self.decisions.get(&(flow.clone(), key.clone()));
        match then.and_then(|then| then.first()) {
            Some((then, _)) if then == kind => {
                format!("`{flow}` {key}: is still to {}, with other values", words(*kind))
            }
            Some((then, _)) => format!(
                "`{flow}` {key}: was to {}, and now to {}",
                words(*then),
                words(*kind)
            ),
            None => format!("`{flow}` {key}: is to {}, which was not planned", words(*kind)),
        }
    }

    /// Leaves what was not planned to the next run: what somebody changed after the plan was compared.
    pub(crate) fn keep_to(&self, context: &Context, flow: FlowId, planned: &mut Planned) {
        if !planned.decision.writes() || self.holds(context, flow, planned) {
            return;
        }
        planned.decision = Decision::Waiting(Reject::new(
            "plan",
            NOT_PLANNED,
            "it changed while the plan was executed, which has nothing like it; the next run decides about it".to_owned(),
        ));
    }

    fn holds(&self, context: &Context, flow: FlowId, planned: &Planned) -> bool {
        let name = context.pipeline.flows[flow].name.clone();
        let Some(decisions) = self.decisions.get(&(name, planned.item.key.clone())) else {
            return false;
        };
        let digest = exact(
            context,
            flow,
            &planned.item.key,
            &planned.decision,
            planned.mapped(),
        );
        decisions.iter().any(|(kind, known)| match kind {
            // What depends on a record that the plan creates is decided when that exists.
            PlanKind::Unknown => matches!(planned.decision, Decision::Create),
            _ => *known == digest,
        })
    }
}

/// What identifies a state file in a plan.
pub(super) fn state_of(key: &[u8; 32]) -> String {
    let crate::state::Digest(digest) = crate::state::Digester::new(*key).digest(b"state");
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn head(line: &str) -> Result<Head, String> {
    #[derive(Deserialize)]
    struct Version {
        crosswalk_plan: u32,
    }
    match serde_json::from_str::<Version>(line) {
        Ok(version) if version.crosswalk_plan == VERSION => serde_json::from_str(line)
            .map_err(|_| "its head is damaged or was changed by somebody; make a new one".to_owned()),
        Ok(version) => Err(format!(
            "it has version {}, and this program knows version {VERSION}; make a new one",
            version.crosswalk_plan
        )),
        Err(_) => Err("it is not a plan of crosswalk".to_owned()),
    }
}

fn compared(item: PlanItem) -> Compared {
    let flow = match item.direction {
        Some(direction) => format!("{}.{direction}", item.flow),
        None => item.flow,
    };
    // Which of several records needs a reference first is chance.
    let key = match item.kind {
        PlanKind::CreateReference => item.to,
        _ => item.key,
    };
    (flow, key, item.kind, item.digest)
}

/// What is to be done, in a sentence.
fn words(kind: PlanKind) -> String {
    match kind {
        PlanKind::CreateReference => "be created for a lookup".to_owned(),
        PlanKind::Create => "be created".to_owned(),
        PlanKind::Update => "be changed".to_owned(),
        PlanKind::Delete => "be deleted".to_owned(),
        PlanKind::Unlink => "be unlinked".to_owned(),
        PlanKind::Link => "be linked".to_owned(),
        PlanKind::NotCarried => "stay as it is".to_owned(),
        PlanKind::Unknown => "be decided later".to_owned(),
        PlanKind::Reject => "be rejected".to_owned(),
        PlanKind::Hold => "be held".to_owned(),
        PlanKind::Wait => "wait".to_owned(),
        PlanKind::Skip => "be skipped".to_owned(),
    }
}
