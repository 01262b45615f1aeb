//! The few shapes that serde's derives cannot read with an exact error position.
//!
//! The language has variants as words or one-key maps (`on_null: keep`, `on_null: {const: normal}`), short forms of
//! longer maps (`subject: $.subject`) and single values where a list may stand (`status: 429`). Derived untagged or
//! internally tagged enums would buffer the value and lose where in the file the error is, so these visitors are
//! written by hand, once, and everything in [`crate::definition`] is built from them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A map that also has a short form: a single text that stands for the map's main word.
pub trait ShortForm: Sized {
    /// What the short form is, for error messages: `a path or a template`.
    const SHORT: &'static str;

    /// Reads the short form.
    ///
    /// # Errors
    /// Says in a sentence why the text is not the short form and what to write instead.
    fn from_short(text: &str) -> Result<Self, String>;

    /// The JSON Schema of the short form.
    fn short_schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A `T` that the user wrote in its short or in its long form; which of the two it was makes no difference later.
///
/// The pointer of the main word (`/fields/subject/value`) resolves to the short text itself, because
/// `document` resolves a pointer that does not exist to its nearest ancestor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShortOrLong<T>(pub T);

impl<T> Deref for ShortOrLong<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: ShortForm + Deserialize<'de>> Deserialize<'de> for ShortOrLong<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormVisitor<T>(PhantomData<T>);

        impl<'de, T: ShortForm + Deserialize<'de>> Visitor<'de> for FormVisitor<T> {
            type Value = ShortOrLong<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{} or a map", T::SHORT)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::from_short(text).map(ShortOrLong).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(ShortOrLong)
            }
        }

        deserializer.deserialize_any(FormVisitor(PhantomData))
    }
}

impl<T: ShortForm + JsonSchema> JsonSchema for ShortOrLong<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}InEitherForm", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("{}::ShortOrLong", T::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = T::short_schema(generator);
        let long = generator.subschema_for::<T>();
        json_schema!({"anyOf": [short, long]})
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManyVisitor<T>(PhantomData<T>);

        /// Hands a single scalar on to `T`, as a list of one.
        macro_rules! single {
            ($($visit:ident($type:ty)),*) => {$(
                fn $visit<E: Error>(self, value: $type) -> Result<Self::Value, E> {
                    T::deserialize(value.into_deserializer()).map(|one| OneOrMany(vec![one]))
                }
            )*};
        }

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value or a list of values")
            }

            single!(
                visit_str(&str),
                visit_bool(bool),
                visit_u64(u64),
                visit_i64(i64),
                visit_f64(f64)
            );

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                T::deserialize(().into_deserializer()).map(|one| OneOrMany(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(OneOrMany)
            }
        }

        deserializer.deserialize_any(ManyVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("OneOrMany<{}>", T::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

/// A map with exactly one key: `{$.lastModifiedAt: highest}`, `{oauth_client: {..}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct OneKey<K, V> {
    /// The key.
    pub key: K,
    /// What stands under it.
    pub value: V,
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for OneKey<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKeyVisitor<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for OneKeyVisitor<K, V> {
            type Value = OneKey<K, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map with exactly one key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (key, value) = map
                    .next_entry()?
                    .ok_or_else(|| A::Error::invalid_length(0, &self))?;
                refuse_second_key(&mut map)?;
                Ok(OneKey { key, value })
            }
        }

        deserializer.deserialize_map(OneKeyVisitor(PhantomData))
    }
}

impl<K: JsonSchema, V: JsonSchema> JsonSchema for OneKey<K, V> {
    fn schema_name() -> Cow<'static, str> {
        format!("One{}To{}", K::schema_name(), V::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("OneKey<{}, {}>", K::schema_id(), V::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = indexmap::IndexMap::<K, V>::json_schema(generator);
        schema.insert("minProperties".into(), 1.into());
        schema.insert("maxProperties".into(), 1.into());
        schema
    }
}

/// Fails unless the map is at its end.
///
/// # Errors
/// A second key is there.
pub(crate) fn refuse_second_key<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        None => Ok(()),
        Some(second) => Err(A::Error::custom(format_args!(
            "exactly one key is expected here, `{second}` is a second one"
        ))),
    }
}

/// Joins the lines of a doc comment, as the schema shows them.
pub(crate) fn description(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Defines a closed list of words, some of which may be one-key maps, with its reader and its schema.
///
/// `words` are written as plain text (`keep`), `maps` as a map of one key (`{const: normal}`).
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $name:ident {
            $( $(#[doc = $word_doc:literal])* $word:literal => $word_variant:ident, )*
            $( maps: $( $(#[doc = $map_doc:literal])* $key:literal => $map_variant:ident($payload:ty), )+ )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $( $(#[doc = $word_doc])* $word_variant, )*
            $( $( $(#[doc = $map_doc])* $map_variant($payload), )+ )?
        }

        impl $name {
            /// The words and keys that may be written here.
            pub const CHOICES: &'static [&'static str] = &[$($word,)* $($($key,)+)?];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ChoiceVisitor;

                impl<'de> serde::de::Visitor<'de> for ChoiceVisitor {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "one of {}", $name::CHOICES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        match word {
                            $($word => Ok($name::$word_variant),)*
                            other => Err(E::unknown_variant(other, $name::CHOICES)),
                        }
                    }

                    $(
                        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                            use serde::de::Error as _;
                            let key: String =
                                map.next_key()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                            let chosen = match key.as_str() {
                                $($key => $name::$map_variant(map.next_value()?),)+
                                other => return Err(A::Error::unknown_variant(other, $name::CHOICES)),
                            };
                            $crate::definition::shape::refuse_second_key(&mut map)?;
                            Ok(chosen)
                        }
                    )?
                }

                deserializer.deserialize_any(ChoiceVisitor)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::definition::shape::description;
                let mut choices: Vec<serde_json::Value> = Vec::new();
                $( choices.push(serde_json::json!({
                    "type": "string",
                    "const": $word,
                    "description": description(&[$($word_doc),*]),
                })); )*
                $( $( choices.push(serde_json::json!({
                    "type": "object",
                    "properties": { $key: generator.subschema_for::<$payload>() },
                    "required": [$key],
                    "additionalProperties": false,
                    "description": description(&[$($map_doc),*]),
                })); )+ )?
                let _ = &generator;
                schemars::json_schema!({
                    "description": description(&[$($doc),*]),
                    "oneOf": choices,
                })
            }
        }
    };
}

pub(crate) use choice;
