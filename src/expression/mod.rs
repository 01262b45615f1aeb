//! Values, JSONPath, templates and types: compile and evaluate.
//!
//! Everything here is pure: given values it returns values. [`Value`] is what all of it speaks of; [`Record`] is where
//! values come from, [`Path`] and [`Template`] say how one is selected and computed, [`TargetType`] and [`Normalizer`]
//! bring it to a form.
//!
//! # What survives the way from source to target
//!
//! | in the source | selected (`$.x`) | in a template | written as JSON |
//! |---|---|---|---|
//! | `9007199254740993`, longer integers | every digit | every digit up to 38 | every digit |
//! | `1.10`, `1e2` | digits as written | by value (`1.1`, `100`); a chain with filters keeps the digits | digits as written |
//! | a decimal that no 64-bit float holds | every digit | an error that says "select it with a path" | every digit |
//! | text with escapes, `\ud83d\ude00` | decoded | decoded | UTF-8, only `"`, `\` and control characters escaped |
//! | half of a surrogate pair | the record is rejected with the byte offset | | |
//! | a name twice in one object | the last value | the last value | once |
//! | `null` and an absent member | null | null: `is none`, false in conditions, makes mixed text null | `null`, or left out by the row |
//! | `2024-05-01T10:00:00+02:00` | text as written | text as written | text; with `type: time` the instant, in UTC |
//! | `$` with `type: json` | the record's text as received | | a text |
//!
//! The table is one test, `value_fidelity`, in `tests.rs`.

mod decimal;
mod filters;
mod json;
mod json_write;
mod normalize;
mod number;
mod path;
mod projection;
mod query;
mod record;
mod scan;
mod scope;
mod split;
mod target_type;
mod template;
mod time_format;
mod value;

pub use filters::{FILTERS, Filter, TESTS, ValueTest, exact_sum};
pub use json::{JsonError, parse_json, parse_json_owned};
pub use normalize::{Normalizer, normalize};
pub use number::Number;
pub use path::{Edit, Path, Step, SyntaxError};
pub use projection::Projection;
pub use record::{Joined, PARENT, Place, Record, received_text};
pub use scope::Scope;
pub use split::{SplitError, select_slice, select_text, split_records};
pub use target_type::{CoerceError, TargetType};
pub use template::{EvaluateError, Template};
pub use time_format::{TimeFormat, TimePattern};
pub use value::{Map, Value};

#[cfg(test)]
mod tests;
