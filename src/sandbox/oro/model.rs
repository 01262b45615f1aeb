//! What the Oro stand-in remembers: entities by type and id, and the lists that never change.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::store::{Persistent, Table};
use super::schema::{Kind, Relationship};

/// Everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct OroState {
    pub(crate) cases: Table<Entity>,
    pub(crate) casecomments: Table<Entity>,
    pub(crate) contacts: Table<Entity>,
    pub(crate) users: Table<Entity>,
    pub(crate) accounts: Table<Entity>,
    #[serde(default)]
    pub(crate) zendesktickets: Table<Entity>,
    #[serde(default)]
    pub(crate) zendeskusers: Table<Entity>,
    #[serde(default)]
    pub(crate) zendeskticketcomments: Table<Entity>,
    /// The last id given out, by type: ids of deleted entities do not return.
    pub(crate) last_ids: BTreeMap<String, u64>,
}

/// An entity of any type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entity {
    /// Missing ones are null.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Ids at the other end; missing ones are null.
    pub(crate) to_one: BTreeMap<String, String>,
    pub(crate) to_many: BTreeMap<String, Vec<String>>,
}

impl OroState {
    /// The table of a type that can change.
    pub(crate) fn table(&self, kind: &str) -> Option<&Table<Entity>> {
        self.tables()
            .into_iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, table)| table)
    }

    /// The same, to be changed.
    pub(crate) fn table_mut(&mut self, kind: &str) -> Option<&mut Table<Entity>> {
        self.tables_mut()
            .into_iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, table)| table)
    }

    /// An entity by type and id.
    pub(crate) fn entity(&self, kind: &str, id: &str) -> Option<Cow<'_, Entity>> {
        match self.table(kind) {
            // Only the canonical spelling of a number is an id.
            Some(table) => table
                .get(id.parse().ok().filter(|number: &u64| number.to_string() == id)?)
                .map(Cow::Borrowed),
            None => reference_list(kind)
                .into_iter()
                .find(|(own, _)| own == id)
                .map(|(_, entity)| Cow::Owned(entity)),
        }
    }

    /// The entities of a type that pass, in id order.
    pub(crate) fn select(
        &self,
        kind: &str,
        passes: impl Fn(&str, &Entity) -> bool,
    ) -> Vec<(String, Cow<'_, Entity>)> {
        match self.table(kind) {
            Some(table) => table
                .iter()
                .map(|(id, entity)| (id.to_string(), Cow::Borrowed(entity)))
                .filter(|(id, entity)| passes(id, entity))
                .collect(),
            None => reference_list(kind)
                .into_iter()
                .map(|(id, entity)| (id, Cow::Owned(entity)))
                .filter(|(id, entity)| passes(id, entity))
                .collect(),
        }
    }

    /// The id of the next entity of a type.
    pub(crate) fn give_id(&mut self, kind: &str) -> u64 {
        let next = self.table(kind).map_or(1, Table::next_id);
        let last = self.last_ids.entry(kind.to_owned()).or_default();
        *last = (*last + 1).max(next);
        *last
    }

    /// The other ends of a reflection, by the id of this end: one pass over the type that holds it.
    pub(crate) fn reflect(&self, relationship: &Relationship) -> HashMap<String, Vec<String>> {
        let mut reflected: HashMap<String, Vec<String>> = HashMap::new();
        let (Some(inverse), Some(table)) = (relationship.inverse_of, self.table(relationship.target)) else {
            return reflected;
        };
        for (number, other) in table.iter() {
            let ends = other
                .to_one
                .get(inverse)
                .into_iter()
                .chain(other.to_many.get(inverse).into_iter().flatten());
            for end in ends {
                reflected.entry(end.clone()).or_default().push(number.to_string());
            }
        }
        if relationship.target == "casecomments" {
            // The vendor orders a case's comments newest first.
            reflected.values_mut().for_each(|ids| ids.reverse());
        }
        reflected
    }

    /// The youngest time that any entity carries.
    pub(crate) fn latest(&self) -> Timestamp {
        self.tables()
            .into_iter()
            .flat_map(|(_, table)| table.values())
            .flat_map(|entity| {
                ["createdAt", "updatedAt"]
                    .into_iter()
                    .filter_map(|name| entity.attributes.get(name)?.as_str()?.parse().ok())
            })
            .max()
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Names every table once, for shared and for changing access.
macro_rules! tables {
    ($($name:ident),+) => {
        impl OroState {
            fn tables(&self) -> [(&'static str, &Table<Entity>); [$(stringify!($name)),+].len()] {
                [$((stringify!($name), &self.$name)),+]
            }

            fn tables_mut(&mut self) -> [(&'static str, &mut Table<Entity>); [$(stringify!($name)),+].len()] {
                [$((stringify!($name), &mut self.$name)),+]
            }
        }
    };
}

tables!(
    cases,
    casecomments,
    contacts,
    users,
    accounts,
    zendesktickets,
    zendeskusers,
    zendeskticketcomments
);

impl Persistent for OroState {
    fn drain(&mut self) -> Result<Map<String, Value>, serde_json::Error> {
        let mut changes = Map::new();
        for (name, table) in self.tables_mut() {
            table.drain(name, &mut changes)?;
        }
        if !changes.is_empty() {
            changes.insert("last_ids".to_owned(), serde_json::to_value(&self.last_ids)?);
        }
        Ok(changes)
    }

    fn settle(&mut self) {
        for (_, table) in self.tables_mut() {
            table.settle();
        }
    }

    fn replay(&mut self, mut changes: Map<String, Value>) -> Result<(), serde_json::Error> {
        for (name, table) in self.tables_mut() {
            table.replay(name, &mut changes)?;
        }
        if let Some(last_ids) = changes.remove("last_ids") {
            self.last_ids = serde_json::from_value(last_ids)?;
        }
        Ok(())
    }
}

impl Entity {
    /// The value of an attribute, null when there is none.
    pub(crate) fn value(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }

    /// Sets or, with null, removes an attribute.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if value.is_null() {
            self.attributes.remove(name);
        } else {
            self.attributes.insert(name.to_owned(), value);
        }
    }

    /// The attributes of a type in its order, nulls included.
    pub(crate) fn attribute_document(
        &self,
        kind: &Kind,
        wanted: impl Fn(&str) -> bool,
    ) -> Map<String, Value> {
        kind.attributes
            .iter()
            .filter(|attribute| wanted(attribute.name))
            .map(|attribute| {
                let is_list = matches!(attribute.name, "emails" | "phones");
                let value = match self.attributes.get(attribute.name) {
                    None if is_list => json!([]),
                    None => Value::Null,
                    Some(value) => value.clone(),
                };
                (attribute.name.to_owned(), value)
            })
            .collect()
    }
}

/// The lists that come with the system: their ids are names.
fn reference_list(kind: &str) -> Vec<(String, Entity)> {
    let rows: &[(&str, &str)] = match kind {
        "casestatuses" => &[
            ("open", "Open"),
            ("in_progress", "In Progress"),
            ("resolved", "Resolved"),
            ("closed", "Closed"),
        ],
        "casepriorities" => &[("low", "Low"), ("normal", "Normal"), ("high", "High")],
        "casesources" => &[
            ("phone", "Phone"),
            ("email", "Email"),
            ("web", "Web"),
            ("other", "Other"),
        ],
        "zendeskticketstatuses" => &[
            ("new", "New"),
            ("open", "Open"),
            ("pending", "Pending"),
            ("hold", "Hold"),
            ("solved", "Solved"),
            ("closed", "Closed"),
        ],
        "zendeskticketpriorities" => &[
            ("low", "Low"),
            ("normal", "Normal"),
            ("high", "High"),
            ("urgent", "Urgent"),
        ],
        "zendesktickettypes" => &[
            ("problem", "Problem"),
            ("incident", "Incident"),
            ("question", "Question"),
            ("task", "Task"),
        ],
        "zendeskuserroles" => &[("admin", "Admin"), ("agent", "Agent"), ("end-user", "End user")],
        "integrationchannels" => &[("1", "Helpdesk")],
        "organizations" => &[("1", "Example Retail"), ("2", "Example Wholesale")],
        "businessunits" => &[("1", "Main")],
        _ => &[],
    };
    rows.iter()
        .enumerate()
        .map(|(position, (id, label))| {
            let mut entity = Entity::default();
            if matches!(kind, "organizations" | "businessunits" | "integrationchannels") {
                entity.set("name", json!(label));
                entity.set("enabled", json!(true));
            } else {
                entity.set("label", json!(label));
                entity.set("order", json!(position + 1));
            }
            ((*id).to_owned(), entity)
        })
        .collect()
}
