//! What is done once, before the first record: whole streams are read, fallbacks resolved.

use super::fetch::Reuse;
use super::resolver::takes_first;
use super::table::Known;
use super::used::Used;
use super::{LookupError, Lookups};
use crate::compile::compiled::{FlowId, LookupId};
use crate::expression::{Scope, Template, Value};
use crate::mapping::{AskedKey, Resolution, Resolver, asked_key};

impl Lookups {
    /// Reads the streams that lookups of these flows want whole, and resolves every fallback that they name.
    ///
    /// # Errors
    /// When a system cannot be read, or a fallback does not name exactly one record: the run must not start.
    pub async fn start(&self, flows: &[FlowId]) -> Result<(), LookupError> {
        let used = Used::by(&self.shared.pipeline, flows);
        self.shared.load(&used.lookups).await?;
        let mut fallbacks = Vec::new();
        for (lookup, template) in used.fallbacks {
            let value = self.evaluate(lookup, template)?;
            fallbacks.push((lookup, template, value));
        }
        let resolver = self.resolver();
        for (lookup, _, value) in &fallbacks {
            resolver.resolve(*lookup, value);
        }
        self.shared.answer(resolver.questions(), Reuse::Nothing).await?;
        for (lookup, template, value) in fallbacks {
            let found = match resolver.resolve(lookup, &value) {
                Resolution::Found(_) => 1,
                Resolution::Many(found) => match self.shared.pipeline.lookups.get(lookup) {
                    Some(rule) if takes_first(rule) => 1,
                    _ => found.len(),
                },
                Resolution::None | Resolution::Missing => 0,
                Resolution::Failed(message) => {
                    return Err(LookupError::Constant {
                        lookup: self.name(lookup),
                        template: template.source().to_owned(),
                        message,
                    });
                }
            };
            if found != 1 {
                return Err(LookupError::Unresolved {
                    lookup: self.name(lookup),
                    template: template.source().to_owned(),
                    value: value.as_text().map_or_else(|| value.to_json(), str::to_owned),
                    found,
                });
            }
            self.pin(lookup, &value, &resolver);
        }
        Ok(())
    }

    fn evaluate(&self, lookup: LookupId, template: &Template) -> Result<Value<'static>, LookupError> {
        let scope = Scope::new()
            .with("params", &self.shared.pipeline.params)
            .with("connections", &self.shared.pipeline.connections_seen);
        template.evaluate(&scope).map_err(|error| LookupError::Constant {
            lookup: self.name(lookup),
            template: template.source().to_owned(),
            message: error.to_string(),
        })
    }

    /// Makes the answer for a fallback stay for the whole run.
    fn pin(&self, lookup: LookupId, value: &Value<'_>, resolver: &super::BatchResolver) {
        let pipeline = &self.shared.pipeline;
        let (Some(rule), Some(table)) = (pipeline.lookups.get(lookup), self.shared.table(lookup)) else {
            return;
        };
        for (position, attempt) in rule.attempts.iter().enumerate() {
            let AskedKey::Known(key) = asked_key(pipeline, &rule.normalize, attempt, value, resolver) else {
                continue;
            };
            if let Known::Found(found) = table.known(position, &key, resolver.began()) {
                table.pin(position, key, found);
            }
        }
    }

    fn name(&self, lookup: LookupId) -> String {
        let rule = self.shared.pipeline.lookups.get(lookup);
        rule.map_or_else(String::new, |rule| rule.name.clone())
    }
}
