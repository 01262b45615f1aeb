//! Filters and sorts: which a type offers, which operators they take, and what they leave.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::super::message::Request;
use super::errors::Problem;
use super::model::{Entity, OroState};
use super::schema::{Filter, FilterKind, Kind, kind};

/// A filter of a request, checked against its type.
#[derive(Debug)]
pub(crate) struct Condition {
    filter: &'static Filter,
    operator: Operator,
    values: BTreeSet<String>,
    /// Where the filter compares numbers or times: its values, or both included bounds of a range.
    moments: Vec<i128>,
    is_range: bool,
    /// Where the filter looks at a reflection: the other ends by id.
    reflected: Option<HashMap<String, Vec<String>>>,
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
///
/// With `extra`, also those that a stock system lacks.
pub(crate) fn conditions(
    state: &OroState,
    kind: &Kind,
    request: &Request,
    extra: bool,
) -> Result<Vec<Condition>, Problem> {
    request
        .query
        .iter()
        .filter(|(name, _)| name.starts_with("filter"))
        .map(|(name, value)| condition(state, kind, name, value, extra))
        .collect()
}

fn condition(
    state: &OroState,
    owner: &Kind,
    parameter: &str,
    value: &str,
    extra: bool,
) -> Result<Condition, Problem> {
    let refuse = |detail: String| Problem::with_parameter("filter constraint", detail, parameter);
    let unsupported = || refuse(format!("Filter \"{parameter}\" is not supported."));
    let inside = parameter
        .strip_prefix("filter[")
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(unsupported)?;
    let (name, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
    let filter = owner
        .filter(name)
        .filter(|filter| extra || !filter.extra)
        .ok_or_else(unsupported)?;
    let bad_operator = || refuse(format!("The operator \"{operator}\" is not supported."));
    let operator = Operator::named(operator).ok_or_else(bad_operator)?;
    let has_order = matches!(filter.kind, FilterKind::Number | FilterKind::Time);
    if operator.is_order() && !has_order {
        return Err(bad_operator());
    }
    let bounds = value
        .split_once("..")
        .filter(|_| has_order && operator == Operator::Equal);
    let values: Vec<&str> = match bounds {
        Some((from, to)) => vec![from, to],
        None if filter.arrays && !operator.is_order() => value.split(',').collect(),
        None => vec![value],
    };
    let relationship = owner.relationship(filter.name);
    let expected = if operator == Operator::Exists {
        Expected::Boolean
    } else {
        match filter.kind {
            FilterKind::Number => Expected::Integer,
            FilterKind::Time => Expected::Time,
            FilterKind::Association
                if relationship
                    .and_then(|relationship| kind(relationship.target))
                    .is_some_and(Kind::has_numbers) =>
            {
                Expected::Integer
            }
            FilterKind::Association | FilterKind::Name | FilterKind::Text | FilterKind::Entries(_) => {
                Expected::Text
            }
        }
    };
    let moments: Option<Vec<i128>> = values.iter().map(|text| expected.read(text)).collect();
    let Some(moments) = moments else {
        let expected = expected.name();
        return Err(refuse(if values.len() > 1 {
            format!("Expected an array of {expected}s. Given \"{value}\".")
        } else {
            format!("Expected {expected} value. Given \"{value}\".")
        }));
    };
    Ok(Condition {
        filter,
        operator,
        values: values.into_iter().map(str::to_owned).collect(),
        moments,
        is_range: bounds.is_some(),
        reflected: relationship
            .filter(|relationship| relationship.inverse_of.is_some())
            .map(|relationship| state.reflect(relationship)),
    })
}

/// What a filter's value must read as.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Boolean,
    Integer,
    Time,
    Text,
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Time => "datetime",
            Self::Text => "string",
        }
    }

    /// The value as something that can be compared; nothing when it is of another type.
    fn read(self, text: &str) -> Option<i128> {
        match self {
            Self::Boolean => match text {
                "true" | "1" | "yes" => Some(1),
                "false" | "0" | "no" => Some(0),
                _ => None,
            },
            Self::Integer => text.parse().ok(),
            Self::Time => time(text),
            Self::Text => Some(0),
        }
    }
}

impl Condition {
    /// Whether an entity passes.
    pub(crate) fn holds(&self, id: &str, entity: &Entity) -> bool {
        let name = self.filter.name;
        match self.filter.kind {
            FilterKind::Number => self.compare(id.parse().ok()),
            FilterKind::Time => self.compare(entity.value(name).as_str().and_then(time)),
            FilterKind::Name => self.any_of([id].into_iter()),
            FilterKind::Text => self.any_of(entity.value(name).as_str().into_iter()),
            FilterKind::Entries(entry) => {
                let items = entity.value(name).as_array().into_iter().flatten();
                self.any_of(items.filter_map(|item| item.get(entry)?.as_str()))
            }
            FilterKind::Association => {
                let one = entity.to_one.get(name).into_iter();
                let many = match &self.reflected {
                    Some(reflected) => reflected.get(id),
                    None => entity.to_many.get(name),
                };
                self.any_of(one.chain(many.into_iter().flatten()).map(String::as_str))
            }
        }
    }

    /// Compares a set of texts: equal when it shares one with the wanted values.
    fn any_of<'a>(&self, own: impl Iterator<Item = &'a str>) -> bool {
        let mut is_empty = true;
        let mut shares = false;
        for own in own {
            is_empty = false;
            shares |= self.values.contains(own);
        }
        match self.operator {
            Operator::Equal => shares,
            Operator::NotEqual => !is_empty && !shares,
            Operator::NotEqualOrNull => !shares,
            Operator::Exists => is_empty != self.wants_existence(),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => false,
        }
    }

    /// Compares a value that has an order.
    fn compare(&self, own: Option<i128>) -> bool {
        if self.operator == Operator::Exists {
            return own.is_some() == self.wants_existence();
        }
        let Some(own) = own else {
            return self.operator == Operator::NotEqualOrNull;
        };
        if let ([from, to], true) = (self.moments.as_slice(), self.is_range) {
            return (*from..=*to).contains(&own);
        }
        let mut wanted = self.moments.iter().copied();
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
        self.moments.first() == Some(&1)
    }
}

/// Orders entities as the request's `sort` says; by id when it says nothing.
///
/// With `extra`, also by what a stock system does not sort by.
pub(crate) fn sort(
    kind: &Kind,
    request: &Request,
    extra: bool,
    entities: &mut [(String, Cow<'_, Entity>)],
) -> Result<(), Problem> {
    let sort = request.parameter("sort").unwrap_or("id");
    let mut keys = Vec::new();
    for key in sort.split(',').filter(|key| !key.is_empty()) {
        let (name, descending) = match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (key, false),
        };
        let is_extra = extra && kind.filter(name).is_some_and(|filter| filter.extra);
        if name != "id" && !kind.sorts.contains(&name) && !is_extra {
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

/// A moment, or the beginning of a day, in nanoseconds since 1970.
fn time(text: &str) -> Option<i128> {
    let moment: Timestamp = text
        .parse()
        .ok()
        .or_else(|| format!("{text}T00:00:00Z").parse().ok())?;
    Some(moment.as_nanosecond())
}
