//! Writing a relationship from the side that only reflects it: a case's comments, a contact's accounts.
//!
//! The list that is sent replaces the one that was: what is no longer in it loses the relationship, or, where it cannot be
//! without, ceases to exist.

use serde_json::{Map, Value};

use super::Oro;
use super::model::Entity;
use super::schema::{Kind, Relationship};

impl Oro {
    /// Carries the reflections that a checked resource object names over to the other side.
    pub(super) fn reflect(&mut self, kind: &Kind, id: &str, data: &Map<String, Value>) {
        for relationship in kind.relationships {
            let sent = data
                .get("relationships")
                .and_then(|relationships| relationships.get(relationship.name)?.get("data")?.as_array());
            if let (Some(inverse), Some(sent)) = (relationship.inverse_of, sent) {
                let wanted: Vec<String> = sent
                    .iter()
                    .filter_map(|identifier| identifier.get("id")?.as_str())
                    .map(str::to_owned)
                    .collect();
                self.replace_reflection(relationship, inverse, id, &wanted);
            }
        }
    }

    fn replace_reflection(
        &mut self,
        relationship: &Relationship,
        inverse: &str,
        id: &str,
        wanted: &[String],
    ) {
        let Some(end) = super::schema::kind(relationship.target).and_then(|kind| kind.relationship(inverse))
        else {
            return;
        };
        let current = self.state.reflect(relationship).remove(id).unwrap_or_default();
        for lost in current.iter().filter(|other| !wanted.contains(other)) {
            if end.required {
                self.remove(relationship.target, lost);
            } else {
                self.point(relationship.target, lost, |entity| entity.forget(inverse, id));
            }
        }
        for gained in wanted.iter().filter(|other| !current.contains(other)) {
            self.point(relationship.target, gained, |entity| {
                if end.many {
                    entity
                        .to_many
                        .entry(inverse.to_owned())
                        .or_default()
                        .push(id.to_owned());
                } else {
                    entity.to_one.insert(inverse.to_owned(), id.to_owned());
                }
            });
        }
    }

    fn point(&mut self, kind: &str, id: &str, change: impl FnOnce(&mut Entity)) {
        let row = id
            .parse()
            .ok()
            .and_then(|number| self.state.table_mut(kind)?.edit(number));
        if let Some(entity) = row {
            change(entity);
        }
    }
}

impl Entity {
    /// Ends a relationship to an id.
    pub(super) fn forget(&mut self, relationship: &str, id: &str) {
        if self.to_one.get(relationship).is_some_and(|own| own == id) {
            self.to_one.remove(relationship);
        }
        if let Some(ids) = self.to_many.get_mut(relationship) {
            ids.retain(|own| own != id);
        }
    }
}
