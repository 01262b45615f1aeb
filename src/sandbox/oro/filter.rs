//! Filters and sorts: which a type offers, which operators they take, and what they leave.

use jiff::Timestamp;

use super::super::message::Request;
use super::errors::Problem;
use super::model::{Entity, OroState};
use super::schema::{Filter, FilterKind, Kind};

/// A filter of a request, checked against its type.
#[derive(Debug)]
pub(crate) struct Condition {
    filter: &'static Filter,
    operator: Operator,
    values: Vec<String>,
    /// The bounds of a range, both included.
    range: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Exists,
    NotEqualOrNull,
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Equal,
            "neq" => Self::NotEqual,
            "lt" => Self::Less,
            "lte" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "gte" => Self::GreaterOrEqual,
            "exists" => Self::Exists,
            "neq_or_null" => Self::NotEqualOrNull,
            _ => return None,
        })
    }

    fn is_order(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual
        )
    }
}

/// Reads the `filter[...]` parameters of a request.
pub(crate) fn conditions(kind: &Kind, request: &Request) -> Result<Vec<Condition>, Problem> {
    request
        .query
        .iter()
        .filter(|(name, _)| name.starts_with("filter"))
        .map(|(name, value)| condition(kind, name, value))
        .collect()
}

fn condition(kind: &Kind, parameter: &str, value: &str) -> Result<Condition, Problem> {
    let refuse = |detail: String| Problem::with_parameter("filter constraint", detail, parameter);
    let unsupported = || refuse(format!("Filter \"{parameter}\" is not supported."));
    let inside = parameter
        .strip_prefix("filter[")
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(unsupported)?;
    let (name, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
    let filter = kind.filter(name).ok_or_else(unsupported)?;
    let bad_operator = || refuse(format!("The operator \"{operator}\" is not supported."));
    let operator = Operator::named(operator).ok_or_else(bad_operator)?;
    let takes_order = matches!(filter.kind, FilterKind::Number | FilterKind::Time);
    if operator.is_order() && !takes_order {
        return Err(bad_operator());
    }
    let range = match value.split_once("..") {
        Some((from, to)) if takes_order && operator == Operator::Equal => {
            Some((from.to_owned(), to.to_owned()))
        }
        _ => None,
    };
    let values: Vec<String> = if filter.arrays && !operator.is_order() {
        value.split(',').map(str::to_owned).collect()
    } else {
        vec![value.to_owned()]
    };
    let wrong_type = |expected: &str| {
        let detail = if values.len() > 1 {
            format!("Expected an array of {expected}s. Given \"{value}\".")
        } else {
            format!("Expected {expected} value. Given \"{value}\".")
        };
        Problem::with_parameter("unexpected value exception", detail, parameter)
    };
    let bounds = || match &range {
        Some((from, to)) => vec![from, to],
        None => values.iter().collect(),
    };
    if operator == Operator::Exists {
        if !matches!(value, "true" | "false" | "1" | "0" | "yes" | "no") {
            return Err(wrong_type("boolean"));
        }
    } else if filter.kind == FilterKind::Number {
        if bounds().iter().any(|text| text.parse::<u64>().is_err()) {
            return Err(wrong_type("integer"));
        }
    } else if filter.kind == FilterKind::Time && bounds().iter().any(|text| time(text).is_none()) {
        return Err(wrong_type("datetime"));
    }
    Ok(Condition {
        filter,
        operator,
        values,
        range,
    })
}

impl Condition {
    /// Whether an entity passes.
    pub(crate) fn holds(&self, state: &OroState, kind: &Kind, id: &str, entity: &Entity) -> bool {
        match self.filter.kind {
            FilterKind::Number => self.compare(id.parse::<u64>().ok(), |text| text.parse().ok()),
            FilterKind::Name => self.any_of(&[id.to_owned()]),
            FilterKind::Text => {
                let value = entity.value(self.filter.name).as_str();
                self.any_of(&value.map(str::to_owned).into_iter().collect::<Vec<_>>())
            }
            FilterKind::Time => {
                let own = entity.value(self.filter.name).as_str().and_then(time);
                self.compare(own, time)
            }
            FilterKind::Entries(entry) => {
                let own: Vec<String> = entity
                    .value(self.filter.name)
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item.get(entry)?.as_str())
                    .map(str::to_owned)
                    .collect();
                self.any_of(&own)
            }
            FilterKind::Association => {
                let own = match kind.relationship(self.filter.name) {
                    Some(relationship) if relationship.many => state.related(relationship, id, entity),
                    _ => entity.to_one.get(self.filter.name).cloned().into_iter().collect(),
                };
                self.any_of(&own)
            }
        }
    }

    /// Compares a set of texts: equal when it shares one with the wanted values.
    fn any_of(&self, own: &[String]) -> bool {
        let shares = own.iter().any(|own| self.values.contains(own));
        match self.operator {
            Operator::Equal => shares,
            Operator::NotEqual => !own.is_empty() && !shares,
            Operator::NotEqualOrNull => !shares,
            Operator::Exists => own.is_empty() != self.wants_existence(),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => false,
        }
    }

    /// Compares a value that has an order.
    fn compare<T: Ord>(&self, own: Option<T>, read: impl Fn(&str) -> Option<T>) -> bool {
        if self.operator == Operator::Exists {
            return own.is_some() == self.wants_existence();
        }
        let Some(own) = own else {
            return self.operator == Operator::NotEqualOrNull;
        };
        if let Some((from, to)) = &self.range {
            return read(from).is_some_and(|from| own >= from) && read(to).is_some_and(|to| own <= to);
        }
        let mut wanted = self.values.iter().filter_map(|text| read(text));
        match self.operator {
            Operator::Equal => wanted.any(|wanted| own == wanted),
            Operator::NotEqual | Operator::NotEqualOrNull => wanted.all(|wanted| own != wanted),
            Operator::Less => wanted.all(|wanted| own < wanted),
            Operator::LessOrEqual => wanted.all(|wanted| own <= wanted),
            Operator::Greater => wanted.all(|wanted| own > wanted),
            Operator::GreaterOrEqual => wanted.all(|wanted| own >= wanted),
            Operator::Exists => false,
        }
    }

    fn wants_existence(&self) -> bool {
        self.values
            .first()
            .is_some_and(|value| matches!(value.as_str(), "true" | "1" | "yes"))
    }
}

/// Orders entities as the request's `sort` says; by id when it says nothing.
pub(crate) fn sort(kind: &Kind, request: &Request, entities: &mut [(String, Entity)]) -> Result<(), Problem> {
    let sort = request.parameter("sort").unwrap_or("id");
    let mut keys = Vec::new();
    for key in sort.split(',').filter(|key| !key.is_empty()) {
        let (name, descending) = match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (key, false),
        };
        if name != "id" && !kind.sorts.contains(&name) {
            return Err(Problem::with_parameter(
                "sort constraint",
                format!("Sorting by \"{name}\" field is not supported."),
                "sort",
            ));
        }
        keys.push((name, descending));
    }
    entities.sort_by(|(left_id, left), (right_id, right)| {
        keys.iter()
            .map(|(name, descending)| {
                let order = if *name == "id" {
                    compare_ids(left_id, right_id)
                } else {
                    left.value(name).as_str().cmp(&right.value(name).as_str())
                };
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(())
}

/// Numbers as numbers, names as names.
fn compare_ids(left: &str, right: &str) -> std::cmp::Ordering {
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.cmp(right),
    }
}

/// A moment, or the beginning of a day.
fn time(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| format!("{text}T00:00:00Z").parse().ok())
}
