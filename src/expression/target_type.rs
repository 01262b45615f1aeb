//! Types that a field may have, and coercion without loss.

/// The type that a target field takes.
#[derive(Clone, Debug, Default)]
pub enum TargetType {
    /// Whatever the value is.
    #[default]
    Any,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// An object.
    Map,
    /// The value's JSON text, as received.
    Json,
}
