//! The three kinds of YAML file as serde structs, exactly as the user wrote them: nothing is resolved, no default is
//! filled in.
//!
//! [`Pipeline`] is the file that is run, [`Connector`] the description of a system's API, [`MappingTests`] what a
//! pipeline's rules are expected to make of given records. `compile` turns them into what runs, and reports what is
//! wrong with the help of `document`'s spans. The doc comments of the words are their documentation:
//! [`pipeline_schema`], [`connector_schema`] and [`tests_schema`] turn them into the JSON Schemas that editors use, and
//! [`reference`](fn@reference) into the reference page.
//!
//! Three kinds of word have a short form besides a map: a rule (`subject: $.subject`), a choice (`on_null: keep`) and
//! a list of one. They are read by the visitors in `shape`.

mod connector;
mod flow;
mod literal;
mod lookup;
mod mapping_tests;
mod pages;
mod pipeline;
mod place;
mod reference;
mod request;
mod rule;
mod schema;
mod shape;
mod sides;
mod stream;
mod text;
mod two_way;

pub use connector::*;
pub use flow::*;
pub use literal::*;
pub use lookup::*;
pub use mapping_tests::*;
pub use pages::*;
pub use pipeline::*;
pub use place::{NAMES, PLACES, Place, PlaceNames};
pub use reference::reference;
pub use request::*;
pub use rule::*;
pub use schema::{
    FileKind, connector_schema, pipeline_schema, read_connector, read_mapping_tests, read_pipeline,
    tests_schema,
};
pub use shape::{OneKey, OneOrMany, ShortForm, ShortOrLong};
pub use sides::{OnceOrSides, Sides};
pub use stream::*;
pub use text::*;
pub use two_way::*;
