//! [`Leg`]: one way that a flow's records go, whatever kind the flow is of: a one-way flow has one, a two-way flow one
//! for each direction. A row of a two-way flow becomes the rules that its legs apply.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::compiled::Side;
use super::pointer::Pointer;
use super::record_view::{Step, path_steps};
use crate::definition::{
    AnyFlow, DirectedRule, Join, PathText, RowDirection, Rule, Source, TwoWayFlow, TwoWayRow,
};

/// One way that a flow's records go.
pub(super) struct Leg<'f> {
    /// The stream that is read.
    pub(super) from: &'f str,
    /// What is put beside its records.
    pub(super) join: Option<&'f IndexMap<String, Join>>,
    /// The rules.
    pub(super) rules: Vec<LegRule<'f>>,
}

/// A rule of a leg.
pub(super) struct LegRule<'f> {
    /// Where it stands.
    pub(super) at: Pointer,
    /// Position of its row among the flow's rows.
    pub(super) row: usize,
    /// The field that it writes; `None` where that cannot be told.
    pub(super) target: Option<String>,
    /// The rule, with the input that the row gives it.
    pub(super) rule: Cow<'f, Rule>,
}

/// The legs of a flow that stands at `at`; of a two-way flow the one to the local side first.
pub(super) fn legs<'f>(at: &Pointer, flow: &'f AnyFlow) -> Vec<Leg<'f>> {
    match flow {
        AnyFlow::OneWay(flow) => {
            let rules = flow.fields.iter().enumerate();
            vec![Leg {
                from: &flow.from,
                join: Some(&flow.join),
                rules: rules
                    .map(|(row, (name, rule))| LegRule {
                        at: at.key("fields").key(name),
                        row,
                        target: Some(name.clone()),
                        rule: Cow::Borrowed(&rule.0),
                    })
                    .collect(),
            }]
        }
        AnyFlow::TwoWay(flow) => [Side::Local, Side::Remote]
            .into_iter()
            .map(|to| Leg {
                from: stream(flow, to.other()),
                join: side(flow.join.as_ref(), to.other()),
                rules: directed(&at.key("fields"), flow, to),
            })
            .collect(),
    }
}

/// The stream of a side.
pub(super) fn stream(flow: &TwoWayFlow, side: Side) -> &str {
    match side {
        Side::Remote => &flow.remote,
        Side::Local => &flow.local,
    }
}

/// What is said for a side.
pub(super) fn side<T>(sides: Option<&crate::definition::Sides<T>>, side: Side) -> Option<&T> {
    let sides = sides?;
    match side {
        Side::Remote => sides.remote.as_ref(),
        Side::Local => sides.local.as_ref(),
    }
}

/// A row's path on a side.
pub(super) fn row_path(row: &TwoWayRow, side: Side) -> Option<&PathText> {
    match side {
        Side::Remote => row.remote.as_ref(),
        Side::Local => row.local.as_ref(),
    }
}

/// What a row says of the direction that writes a side.
pub(super) fn row_rule(row: &TwoWayRow, to: Side) -> Option<&DirectedRule> {
    match to {
        Side::Remote => row.to_remote.as_deref(),
        Side::Local => row.to_local.as_deref(),
    }
}

/// Whether a row travels to a side.
pub(super) fn travels(row: &TwoWayRow, to: Side) -> bool {
    let allowed = match row.direction {
        None | Some(RowDirection::Both) => true,
        Some(RowDirection::ToLocal) => to == Side::Local,
        Some(RowDirection::ToRemote) => to == Side::Remote,
    };
    allowed && (row_rule(row, to).is_some() || (row.remote.is_some() && row.local.is_some()))
}

/// The rules that write a side.
pub(super) fn directed<'f>(at: &Pointer, flow: &'f TwoWayFlow, to: Side) -> Vec<LegRule<'f>> {
    let rows = flow.fields.iter().enumerate();
    rows.filter(|(_, (_, row))| travels(row, to))
        .map(|(position, (name, row))| directed_rule(&at.key(name), position, row, to))
        .collect()
}

fn directed_rule<'f>(at: &Pointer, position: usize, row: &'f TwoWayRow, to: Side) -> LegRule<'f> {
    let written = row_rule(row, to);
    let target = written
        .and_then(|rule| rule.field.clone())
        .or_else(|| row_path(row, to).and_then(|path| field_of(path.as_str())));
    let mut rule = written.map(|written| written.rule.clone()).unwrap_or_default();
    let starts = rule.value.is_some()
        || rule.constant.is_some()
        || rule.first_of.is_some()
        || rule.each.is_some()
        || rule.link.is_some();
    if !starts {
        rule.value = row_path(row, to.other()).cloned().map(Source::Path);
    }
    if rule.link.is_some() && rule.key.is_none() {
        rule.key = row_path(row, to.other()).cloned().map(Source::Path);
    }
    rule.write = rule.write.or_else(|| row.write.clone());
    LegRule {
        at: match written {
            Some(_) => at.key(to.direction()),
            None => at.clone(),
        },
        row: position,
        target,
        rule: Cow::Owned(rule),
    }
}

/// The field that a plain path names, as targets are written: `$.status.id` is `status.id`.
pub(super) fn field_of(path: &str) -> Option<String> {
    let (steps, is_whole) = path_steps(path);
    if !is_whole || steps.is_empty() {
        return None;
    }
    let mut name = String::new();
    for (step, _) in steps {
        let Step::Name(member) = step else { return None };
        if member.contains(['.', '[', '\'']) {
            name.push_str(&format!("['{member}']"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&member);
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_name_fields() {
        assert_eq!(field_of("$.status.id").as_deref(), Some("status.id"));
        assert_eq!(field_of("$['a.b'].c").as_deref(), Some("['a.b'].c"));
        for path in ["$", "$.a[0]", "$.a[*].b", "$..a", "$.a[?@.b].c"] {
            assert_eq!(field_of(path), None, "{path}");
        }
    }

    #[test]
    fn a_row_goes_where_both_paths_or_a_rule_take_it() {
        let row = |yaml: &str| -> TwoWayRow { serde_yaml::from_str(yaml).expect("a row") };
        let ways = |row: &TwoWayRow| (travels(row, Side::Local), travels(row, Side::Remote));
        let both = row("{remote: $.a, local: $.b}");
        assert_eq!(ways(&both), (true, true));
        assert_eq!(
            ways(&row("{remote: $.a, local: $.b, to_local: {default: x}}")),
            (true, true)
        );
        assert_eq!(
            ways(&row("{remote: $.a, local: $.b, direction: to_local}")),
            (true, false)
        );
        assert_eq!(ways(&row("{remote: $.a, to_local: {field: b}}")), (true, false));
        assert_eq!(ways(&row("{local: $.b, to_local: {const: 1}}")), (true, false));
        assert_eq!(ways(&row("{remote: $.a}")), (false, false));
        let plain = directed_rule(&Pointer::root().key("r"), 0, &both, Side::Remote);
        assert_eq!((plain.at.as_str(), plain.target.as_deref()), ("/r", Some("a")));
        assert_eq!(plain.rule.value, Some(Source::new("$.b").expect("a path")));
        let text = row(
            "{remote: $.a, local: $.b, write: on_create, to_remote: {field: c.d, then: \"{{ value }}\"}}",
        );
        let rule = directed_rule(&Pointer::root().key("r"), 0, &text, Side::Remote);
        assert_eq!(
            (rule.at.as_str(), rule.target.as_deref()),
            ("/r/to_remote", Some("c.d"))
        );
        assert_eq!(rule.rule.write, Some(crate::definition::Write::OnCreate));
        let parent = row("{remote: $.ticket_id, local: $.case.id, to_local: {link: cases}}");
        let rule = directed_rule(&Pointer::root(), 0, &parent, Side::Local);
        assert_eq!(rule.rule.key, Some(Source::new("$.ticket_id").expect("a path")));
        assert_eq!(rule.rule.value, None);
    }
}
