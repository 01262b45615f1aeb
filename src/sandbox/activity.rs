//! What happens in a system besides a client's writes: people who edit, and business rules that fire when a client writes.
//!
//! Both exist for soak tests: every edit is chosen by a seed, carries a value that occurs once, and is told, so that a test
//! can follow its fate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Edits that a test orders: `{"seed": 7, "count": 20}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Chooses them, and is part of every unique value.
    pub(crate) seed: u64,
    /// How many.
    pub(crate) count: usize,
    /// What is edited; nothing means what the stand-in edits by itself.
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    /// Ids of the records that may be edited; nothing means all that can be.
    #[serde(default)]
    pub(crate) ids: Vec<u64>,
}

impl Order {
    /// The fields that are edited: those asked for, or `usual`; one that is not among `known` is refused.
    pub(crate) fn fields<'a>(&'a self, usual: &[&'a str], known: &[&str]) -> Result<Vec<&'a str>, String> {
        if self.fields.is_empty() {
            return Ok(usual.to_vec());
        }
        let asked: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        match asked.iter().find(|field| !known.contains(field)) {
            Some(unknown) => Err(format!(
                "`{unknown}` cannot be edited; one can edit {}",
                known.join(", ")
            )),
            None => Ok(asked),
        }
    }

    /// A text that occurs nowhere else.
    pub(crate) fn unique(&self, number: usize, what: &str) -> String {
        format!("{what} {}-{number}", self.seed)
    }

    /// One of the choices that is not the present one.
    pub(crate) fn another<'a>(
        random: &mut fastrand::Rng,
        choices: &[&'a str],
        present: Option<&str>,
    ) -> &'a str {
        let others: Vec<&str> = choices
            .iter()
            .copied()
            .filter(|choice| Some(*choice) != present)
            .collect();
        others
            .get(random.usize(..others.len().max(1)))
            .copied()
            .unwrap_or("")
    }
}

/// When a business rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    /// Before the client's answer is made, which shows what it changed.
    Before,
    /// After it: nobody tells the client.
    After,
}

/// A business rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trigger {
    moment: Moment,
    /// What it changes, as an edit of the stand-in has it; `{n}` in a text becomes the number of the firing.
    set: Map<String, Value>,
    /// The type of record whose writes fire it; nothing means tickets and cases.
    resource: Option<String>,
    /// It fires at each so-many-th write.
    #[serde(default = "always")]
    every: u64,
}

fn always() -> u64 {
    1
}

/// The business rules of a system, and what they did.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    rules: Vec<Trigger>,
    /// How many writes each rule has seen.
    seen: BTreeMap<usize, u64>,
    fired: Vec<Value>,
}

impl Triggers {
    /// Replaces the rules; what they did stays.
    pub(crate) fn order(&mut self, rules: Vec<Trigger>) {
        self.rules = rules;
        self.seen.clear();
    }

    /// What the rules did.
    pub(crate) fn fired(&self) -> &[Value] {
        &self.fired
    }

    /// The rules, and what they did.
    pub(crate) fn document(&self) -> Value {
        json!({ "rules": self.rules, "fired": self.fired })
    }

    /// Forgets both.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes note of a write, and says what it makes rules change.
    pub(crate) fn due(
        &mut self,
        moment: Moment,
        resource: &str,
        id: &str,
        at: &str,
    ) -> Vec<Map<String, Value>> {
        let mut changes = Vec::new();
        for (position, rule) in self.rules.iter().enumerate() {
            let fits = match &rule.resource {
                Some(wanted) => wanted == resource,
                None => matches!(resource, "tickets" | "cases"),
            };
            if rule.moment != moment || !fits {
                continue;
            }
            let seen = self.seen.entry(position).or_default();
            *seen += 1;
            if !seen.is_multiple_of(rule.every.max(1)) {
                continue;
            }
            let number = self.fired.len() + 1;
            let set = numbered(&Value::Object(rule.set.clone()), &number.to_string());
            self.fired.push(json!({
                "n": number, "moment": rule.moment, "resource": resource, "id": id, "at": at, "set": set,
            }));
            if let Value::Object(set) = set {
                changes.push(set);
            }
        }
        changes
    }
}

/// A value with `{n}` replaced in its texts.
fn numbered(value: &Value, number: &str) -> Value {
    match value {
        Value::String(text) => json!(text.replace("{n}", number)),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), numbered(member, number)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fires_at_each_so_many_th_write_and_is_told() {
        let mut triggers = Triggers::default();
        let rules = r#"[{"moment": "after", "every": 2, "set": {"subject": "rule {n}", "tags": ["t{n}"]}}]"#;
        triggers.order(serde_json::from_str(rules).unwrap());
        assert!(triggers.due(Moment::After, "tickets", "7", "now").is_empty());
        assert!(triggers.due(Moment::Before, "tickets", "7", "now").is_empty());
        assert!(triggers.due(Moment::After, "users", "7", "now").is_empty());
        let changes = triggers.due(Moment::After, "tickets", "8", "now");
        assert_eq!(
            Value::Object(changes[0].clone()),
            json!({"subject": "rule 1", "tags": ["t1"]})
        );
        let fired = &triggers.document()["fired"];
        assert_eq!((&fired[0]["id"], fired[0]["n"].as_u64()), (&json!("8"), Some(1)));
    }
}
