//! Which flows are off, and why: by the pipeline's `enabled`, by their own, or because their parents' flow is off.
//!
//! A switch may be a condition over the params, so what a run reads and writes at all is settled here, before anything
//! else is compiled; the rest of the file is checked whether it is on or off.

use indexmap::IndexMap;

use super::checks::Checks;
use super::compiled::Disabled;
use super::links::taken_apart;
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::rows::FlowPlace;
use super::setting::kind;
use super::sight::{Names, Sight};
use crate::definition::{self, AnyFlow, Place, Switch};
use crate::diagnostic::Code;
use crate::expression::{Scope, Template, Value};

/// The flows that are off, by name.
pub(super) fn disabled_flows(
    checks: &Checks<'_>,
    pipeline: &definition::Pipeline,
    names: &Names,
    params: &Value<'static>,
) -> IndexMap<String, Disabled> {
    let is_on = |at: &Pointer, switch: Option<&Switch>| {
        switched_on(checks, &at.key("enabled"), switch, names, params)
    };
    let root = Pointer::root();
    let whole = is_on(&root, pipeline.enabled.as_ref());
    let own: IndexMap<&str, bool> = pipeline
        .flows
        .iter()
        .map(|(name, flow)| {
            let at = root.key("flows").key(name);
            (name.as_str(), is_on(&at, switch(flow)))
        })
        .collect();
    let mut off = IndexMap::new();
    for (name, flow) in &pipeline.flows {
        let reason = match (whole, own.get(name.as_str())) {
            (false, _) => Some(Disabled::Pipeline),
            (true, Some(false)) => Some(Disabled::Itself),
            (true, _) => {
                parent_that_is_off(pipeline, &own, flow).map(|parent| Disabled::Parent(parent.to_owned()))
            }
        };
        if let (Some(Disabled::Parent(parent)), Some(Switch::Always(true))) = (&reason, switch(flow)) {
            let at = root.key("flows").key(name).key("enabled");
            checks.error(Code::DisabledFlow, &at, |report| {
                report
                    .message(format!(
                        "`{name}` reads the children of records of `{parent}`, and that flow is disabled"
                    ))
                    .label(
                        root.key("flows").key(parent).key("enabled").as_str(),
                        "switched off here",
                    )
                    .hint(format!(
                        "leave `enabled` out here: `{name}` is on when `{parent}` is"
                    ))
            });
        }
        off.extend(reason.map(|reason| (name.clone(), reason)));
    }
    off
}

fn switch(flow: &AnyFlow) -> Option<&Switch> {
    match flow {
        AnyFlow::OneWay(flow) => flow.enabled.as_ref(),
        AnyFlow::TwoWay(flow) => flow.enabled.as_ref(),
    }
}

fn parent(flow: &AnyFlow) -> Option<&str> {
    match flow {
        AnyFlow::OneWay(flow) => flow.of.as_deref(),
        AnyFlow::TwoWay(flow) => flow.of.as_deref(),
    }
}

/// The nearest flow above a flow of children that is off itself.
fn parent_that_is_off<'p>(
    pipeline: &'p definition::Pipeline,
    own: &IndexMap<&str, bool>,
    flow: &'p AnyFlow,
) -> Option<&'p str> {
    let mut above = parent(flow);
    // Flows that are parents of each other are reported where their order is found; here the walk only has to end.
    for _ in 0..pipeline.flows.len() {
        let name = above?;
        if own.get(name) == Some(&false) {
            return Some(name);
        }
        above = parent(pipeline.flows.get(name)?);
    }
    None
}

fn switched_on(
    checks: &Checks<'_>,
    at: &Pointer,
    switch: Option<&Switch>,
    names: &Names,
    params: &Value<'static>,
) -> bool {
    let condition = match switch {
        None => return true,
        Some(Switch::Always(on)) => return *on,
        Some(Switch::When(condition)) => condition,
    };
    let Some(template) = checks.template(at, condition.as_str(), Sight::new(Place::Since, names)) else {
        return true;
    };
    let found = match template.evaluate(&Scope::new().with("params", params)) {
        Ok(Value::Bool(on)) => return on,
        // A param that is not set is reported where it stands.
        Ok(Value::Null) if reads_unset(&template, params) => return true,
        Ok(other) => kind(&serde_json::Value::from(other)).to_owned(),
        Err(error) => error.to_string(),
    };
    checks.error(Code::NotAChoice, at, |report| {
        report
            .message(format!("this gives {found}, and `enabled` is `true` or `false`"))
            .note("it is decided before the run, from the values of the params")
            .hint("compare (`\"{{ params.mode == 'all' }}\"`), or give the param the type `boolean`")
    });
    true
}

fn reads_unset(template: &Template, params: &Value<'static>) -> bool {
    let mut read = template.variables().iter();
    read.any(|chain| {
        matches!(chain.as_slice(), [first, name, ..] if first == "params" && params.get(name).is_none_or(Value::is_null))
    })
}

impl PipelineChecks<'_, '_> {
    /// Warns of a `link` to a flow that is off, in one that is on, where the file does not say what happens without a
    /// link: it finds old ones and never a new one. `waits`: a record without a link waits for it.
    pub(super) fn link_to_disabled(
        &self,
        at: &Pointer,
        flow: &str,
        waits: bool,
        place: Option<FlowPlace<'_>>,
    ) {
        let (name, _) = taken_apart(flow);
        let Some(Disabled::Itself | Disabled::Parent(_)) = self.disabled.get(name) else {
            return;
        };
        if place.is_none_or(|place| place.name == name || self.disabled.contains_key(place.name)) {
            return;
        }
        self.checks.warning(Code::DisabledFlow, at, |report| {
            let report = report
                .label(Pointer::root().key("flows").key(name).as_str(), "disabled");
            match waits {
                true => report
                    .message(format!("the flow `{name}` is disabled, so that it makes no links: records that it has not linked before wait until it is enabled"))
                    .hint("say what happens to them: `on_none: keep`, `on_none: clear`"),
                false => report.message(format!("the flow `{name}` is disabled, so that it makes no links: only those that it made before are found here")),
            }
        });
    }
}
