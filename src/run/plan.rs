//! Plan: what is to be done about each record of a batch.
//!
//! Links and baselines of the batch come from state in one question each. A record whose mapped values equal those of
//! its last load needs nothing. The others are read from the sink by key, or searched for by the flow's match, in batched
//! requests; then every field is compared.

use std::collections::HashMap;

use super::batch::{Decision, Item, ItemOutcome, MappedItem, Planned, Update};
use super::context::Context;
use super::counterpart::{Counterparts, Keyed};
use super::require::refusal;
use super::{Stop, decide};
use crate::compile::compiled::{Flow, FlowId, Mode, OnDelete, OnFrozen, OnMany, OnNone, Stream};
use crate::expression::{Scope, Value};
use crate::mapping::Reject;
use crate::state::{Baseline, Link};

/// Plans the items of a batch.
pub(crate) struct Planner<'c> {
    context: &'c Context,
    flow: &'c Flow,
    sink: &'c Stream,
    counterparts: Counterparts<'c>,
}

/// What state knows of the batch's records.
struct Known {
    links: HashMap<String, Link>,
    baselines: HashMap<String, Baseline>,
}

impl<'c> Planner<'c> {
    /// A planner of one flow.
    pub(crate) fn new(context: &'c Context, flow: FlowId) -> Self {
        let flow = &context.pipeline.flows[flow];
        let sink = context.stream(flow.to);
        Planner {
            context,
            flow,
            sink,
            counterparts: Counterparts::new(context, flow),
        }
    }

    /// Decides about every item. `again` plans records anew whose counterpart turned out to be another than expected.
    pub(crate) async fn plan(&self, items: Vec<Item>) -> Result<Vec<Planned>, Stop> {
        let known = self.known(&items)?;
        let mut decisions: Vec<Option<Decision>> =
            items.iter().map(|item| self.at_once(item, &known)).collect();
        let before = self.read_linked(&items, &known, &mut decisions).await?;
        let found = self.search(&items, &known, &mut decisions).await?;
        for (position, item) in items.iter().enumerate() {
            if decisions[position].is_some() {
                continue;
            }
            let ItemOutcome::Mapped(mapped) = &item.outcome else {
                return Err(Stop::Internal(format!(
                    "record `{}` was left without a decision",
                    item.key
                )));
            };
            let decision = if let Some(record) = before.get(&item.key) {
                let baseline = known.baselines.get(&item.key);
                self.compare(item, mapped, baseline, &[record])?
            } else {
                self.decide_found(item, mapped, found.get(&position).map_or(&[], Vec::as_slice))?
            };
            decisions[position] = Some(decision);
        }
        Ok(items
            .into_iter()
            .zip(decisions)
            .filter_map(|(item, decision)| decision.map(|decision| Planned::new(item, decision)))
            .collect())
    }

    /// Decides anew about one record whose write met a record that exists, or one that changed meanwhile.
    pub(crate) async fn plan_again(&self, planned: &Planned) -> Result<Decision, Stop> {
        let Some(mapped) = planned.mapped() else {
            return Ok(planned.decision.clone());
        };
        let item = &planned.item;
        let targets: Vec<String> = match &planned.decision {
            Decision::Update(update) => vec![update.target.clone()],
            Decision::UpdateAll(updates) => updates.iter().map(|update| update.target.clone()).collect(),
            _ => Vec::new(),
        };
        if targets.is_empty() {
            let items = std::slice::from_ref(item);
            let known = Known {
                links: HashMap::new(),
                baselines: HashMap::new(),
            };
            let mut decisions = vec![None];
            let found = self.search(items, &known, &mut decisions).await?;
            return match decisions.pop().flatten() {
                Some(decision) => Ok(decision),
                None => match found.get(&0) {
                    Some(found) => self.decide_found(item, mapped, found),
                    None => Ok(Decision::Rejected(Reject::new(
                        "match",
                        "exists_unfound",
                        "the sink says that the record exists, but the flow's match does not find it"
                            .to_owned(),
                    ))),
                },
            };
        }
        let baselines = self
            .context
            .state
            .baselines(self.context.flow_ref(self.flow), &[item.key.as_str()])?;
        let counterparts: Vec<Keyed> = self.counterparts.read(&targets).await?.into_iter().collect();
        match (counterparts.as_slice(), targets.first()) {
            ([], Some(_)) => Ok(Decision::Unlink {
                reason: "deleted in the sink",
            }),
            (found, _) => {
                let found: Vec<&Keyed> = found.iter().collect();
                self.compare(item, mapped, baselines.get(&item.key), &found)
            }
        }
    }

    fn known(&self, items: &[Item]) -> Result<Known, Stop> {
        let keys: Vec<&str> = items
            .iter()
            .filter(|item| matches!(item.outcome, ItemOutcome::Mapped(_) | ItemOutcome::Deleted))
            .map(|item| item.key.as_str())
            .collect();
        let flow = self.context.flow_ref(self.flow);
        Ok(Known {
            links: self.context.state.links(flow, &keys)?,
            baselines: self.context.state.baselines(flow, &keys)?,
        })
    }

    /// Decisions that need no request.
    fn at_once(&self, item: &Item, known: &Known) -> Option<Decision> {
        let link = known.links.get(&item.key);
        let mapped = match &item.outcome {
            ItemOutcome::Mapped(mapped) => mapped,
            ItemOutcome::Deleted => return Some(self.deleted(link)),
            ItemOutcome::Filtered => return Some(Decision::Filtered),
            ItemOutcome::Duplicate => return Some(Decision::Duplicate),
            ItemOutcome::Skipped(reject) => return Some(Decision::Skipped(reject.clone())),
            ItemOutcome::Rejected(reject) => return Some(Decision::Rejected(reject.clone())),
            ItemOutcome::Held(reject) => return Some(Decision::Held(reject.clone())),
            ItemOutcome::Waiting(reject) => return Some(Decision::Waiting(reject.clone())),
        };
        match link {
            Some(link) if link.tombstone => Some(Decision::Skipped(Reject::new(
                "link",
                "link_ended",
                "the link to the sink's record has ended, so that nothing is brought back".to_owned(),
            ))),
            Some(_) if self.flow.mode == Mode::Insert => Some(Decision::Unchanged {
                link: None,
                baseline: false,
            }),
            Some(_) => known
                .baselines
                .get(&item.key)
                .filter(|baseline| {
                    baseline.whole == mapped.whole
                        && self.flow.mode != Mode::Mirror
                        && mapped.pending.is_empty()
                })
                .map(|_| Decision::Unchanged {
                    link: None,
                    baseline: false,
                }),
            None if self.flow.mode == Mode::Insert && known.baselines.contains_key(&item.key) => {
                Some(Decision::Unchanged {
                    link: None,
                    baseline: false,
                })
            }
            None if self.flow.matches.is_empty() => Some(match self.flow.mode {
                Mode::Update => Decision::Skipped(no_counterpart()),
                Mode::Insert | Mode::Upsert | Mode::Mirror => Decision::Create,
            }),
            None => None,
        }
    }

    fn deleted(&self, link: Option<&Link>) -> Decision {
        let Some(target) = link
            .filter(|link| !link.tombstone)
            .and_then(|link| link.target.clone())
        else {
            return Decision::Filtered;
        };
        match self.flow.on_delete {
            OnDelete::Keep => Decision::Unchanged {
                link: None,
                baseline: false,
            },
            OnDelete::Unlink => Decision::Unlink {
                reason: "deleted in the source",
            },
            OnDelete::Delete => Decision::Delete { target },
        }
    }

    /// Reads the sink's records of linked items. An absent one was deleted in the sink: the link ends.
    async fn read_linked(
        &self,
        items: &[Item],
        known: &Known,
        decisions: &mut [Option<Decision>],
    ) -> Result<HashMap<String, Keyed>, Stop> {
        let mut wanted = Vec::new();
        for (item, decision) in items.iter().zip(decisions.iter()) {
            if let (None, Some(target)) = (
                decision,
                known.links.get(&item.key).and_then(|link| link.target.clone()),
            ) {
                wanted.push(target);
            }
        }
        let by_key = self.counterparts.read(&wanted).await?;
        let mut before = HashMap::new();
        for (item, decision) in items.iter().zip(decisions.iter_mut()) {
            if decision.is_some() {
                continue;
            }
            let Some(target) = known.links.get(&item.key).and_then(|link| link.target.clone()) else {
                continue;
            };
            match by_key.get(&target) {
                Some(record) => {
                    before.insert(item.key.clone(), (target, record.clone()));
                }
                None => {
                    *decision = Some(Decision::Unlink {
                        reason: "deleted in the sink",
                    });
                }
            }
        }
        Ok(before)
    }

    /// Searches the sink for the counterparts of items without a link.
    async fn search(
        &self,
        items: &[Item],
        known: &Known,
        decisions: &mut [Option<Decision>],
    ) -> Result<HashMap<usize, Vec<Keyed>>, Stop> {
        let open = |position: usize| {
            decisions.get(position).is_some_and(Option::is_none)
                && items
                    .get(position)
                    .is_some_and(|item| !known.links.contains_key(&item.key))
        };
        let mut found = self.counterparts.search(items, open).await?;
        self.refuse_taken(items, &mut found, decisions)?;
        Ok(found)
    }

    /// A sink record that is linked to another source record is never linked again.
    fn refuse_taken(
        &self,
        items: &[Item],
        found: &mut HashMap<usize, Vec<Keyed>>,
        decisions: &mut [Option<Decision>],
    ) -> Result<(), Stop> {
        let targets: Vec<&str> = found
            .values()
            .flatten()
            .map(|(target, _)| target.as_str())
            .collect();
        if targets.is_empty() || self.flow.on_many == OnMany::All {
            return Ok(());
        }
        let sources = self
            .context
            .state
            .linked_sources(self.context.flow_ref(self.flow), &targets)?;
        let mut claimed: HashMap<String, String> = sources;
        let mut positions: Vec<usize> = found.keys().copied().collect();
        positions.sort_unstable();
        for position in positions {
            let (Some([(target, _)]), Some(item)) =
                (found.get(&position).map(Vec::as_slice), items.get(position))
            else {
                continue;
            };
            match claimed.get(target) {
                Some(other) if *other != item.key => {
                    decisions[position] = Some(Decision::Held(Reject::new(
                        "match",
                        "match_taken",
                        format!(
                            "the sink's record `{target}` fits, but is linked to source record `{other}` already"
                        ),
                    )));
                    found.remove(&position);
                }
                _ => {
                    claimed.insert(target.clone(), item.key.clone());
                }
            }
        }
        Ok(())
    }

    /// Decides about an item that has no link, by what the search found.
    fn decide_found(&self, item: &Item, mapped: &MappedItem, found: &[Keyed]) -> Result<Decision, Stop> {
        match found {
            [] => self.not_found(item, mapped),
            [(target, _), ..] if self.flow.mode == Mode::Insert => Ok(Decision::Unchanged {
                link: Some(target.clone()),
                baseline: false,
            }),
            [one] => self.compare(item, mapped, None, &[one]),
            [first, ..] => match self.flow.on_many {
                OnMany::First => self.compare(item, mapped, None, &[first]),
                OnMany::All => {
                    let all: Vec<&Keyed> = found.iter().collect();
                    self.compare(item, mapped, None, &all)
                }
                action => {
                    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
                    let reject = Reject::new(
                        "match",
                        "match_ambiguous",
                        format!("{} records of the sink fit: `{}`", found.len(), keys.join("`, `")),
                    );
                    Ok(match action {
                        OnMany::Hold => Decision::Held(reject),
                        OnMany::Skip | OnMany::Keep => Decision::Skipped(reject),
                        OnMany::Reject | OnMany::First | OnMany::All => Decision::Rejected(reject),
                    })
                }
            },
        }
    }

    fn not_found(&self, item: &Item, mapped: &MappedItem) -> Result<Decision, Stop> {
        if self.flow.mode != Mode::Update {
            return self.required(item, mapped, None, Decision::Create);
        }
        let reject = no_counterpart();
        Ok(match &self.flow.on_none {
            OnNone::Reject => Decision::Rejected(reject),
            OnNone::Hold => Decision::Held(reject),
            OnNone::Wait => Decision::Waiting(reject),
            OnNone::Keep
            | OnNone::Clear
            | OnNone::Skip
            | OnNone::Instead(_)
            | OnNone::Create(_)
            | OnNone::Const(_) => Decision::Skipped(reject),
        })
    }

    /// Compares an item with its counterparts, which were just read.
    pub(crate) fn compare(
        &self,
        item: &Item,
        mapped: &MappedItem,
        baseline: Option<&Baseline>,
        counterparts: &[&Keyed],
    ) -> Result<Decision, Stop> {
        let mut updates = Vec::new();
        let mut link = None;
        for (target, record) in counterparts {
            let view = match record.value() {
                Ok(view) => view,
                Err(error) => {
                    return Ok(Decision::Rejected(Reject::new(
                        "sink",
                        "sink_record_malformed",
                        format!("the sink's record `{target}` cannot be read: {error}"),
                    )));
                }
            };
            if baseline.is_none() {
                link = Some(target.clone());
            }
            let changed_since = |row: usize| match (baseline, self.flow.mode) {
                (Some(baseline), Mode::Insert | Mode::Update | Mode::Upsert) => {
                    let name = self.flow.rows.get(row).map_or("", |row| row.target.name.as_str());
                    baseline.row(name).is_none_or(|old| {
                        old.digest.is_none() || old.digest != mapped.digests.get(row).copied().flatten()
                    })
                }
                (None, _) | (_, Mode::Mirror) => true,
            };
            let changes = decide::changes(&self.flow.rows, &mapped.cells, &view, changed_since);
            if changes.is_empty() {
                continue;
            }
            if let Some(refusal) = self.frozen(target, &view) {
                return Ok(refusal);
            }
            let update = Update {
                target: target.clone(),
                before: view.into_owned(),
                changes,
            };
            updates.push(update);
        }
        match updates.len() {
            0 => Ok(Decision::Unchanged { link, baseline: true }),
            1 if counterparts.len() == 1 => {
                let update = updates.remove(0);
                let before = update.before.clone();
                self.required(item, mapped, Some(&before), Decision::Update(update))
            }
            _ => {
                for update in &updates {
                    let decision = self.required(item, mapped, Some(&update.before), Decision::Create)?;
                    if !matches!(decision, Decision::Create) {
                        return Ok(decision);
                    }
                }
                Ok(Decision::UpdateAll(updates))
            }
        }
    }

    fn frozen(&self, target: &str, view: &Value<'_>) -> Option<Decision> {
        let template = self.sink.frozen_when.as_ref()?;
        let frozen = template
            .is_true(&Scope::new().with("record", view))
            .unwrap_or(false);
        frozen.then(|| {
            frozen_decision(
                self.flow.on_frozen,
                format!("the sink's record `{target}` can no longer be changed"),
            )
        })
    }

    /// Applies the flow's `require` to a decision that would write.
    pub(crate) fn required(
        &self,
        item: &Item,
        mapped: &MappedItem,
        target: Option<&Value<'static>>,
        decision: Decision,
    ) -> Result<Decision, Stop> {
        let refusal = refusal(self.context, self.flow, &item.record, &mapped.cells, target);
        Ok(refusal.map_or(decision, Decision::Rejected))
    }
}

/// What becomes of a record whose counterpart can never be written again.
pub(crate) fn frozen_decision(action: OnFrozen, message: String) -> Decision {
    let reject = Reject::new("on_frozen", "frozen", message);
    match action {
        OnFrozen::Reject => Decision::Rejected(reject),
        OnFrozen::Hold => Decision::Held(reject),
        OnFrozen::Skip => Decision::Skipped(reject),
    }
}

fn no_counterpart() -> Reject {
    Reject::new(
        "match",
        "match_none",
        "the sink has no record that fits, and the flow only updates".to_owned(),
    )
}
