//! Values, JSONPath, templates, enum tables and types: compile and evaluate.

mod normalize;
mod path;
mod projection;
mod record;
mod target_type;
mod template;
mod value;

pub use normalize::Normalizer;
pub use path::{Path, Step, SyntaxError};
pub use projection::Projection;
pub use record::{Joined, Record};
pub use target_type::TargetType;
pub use template::Template;
pub use value::{Map, Number, Value};
