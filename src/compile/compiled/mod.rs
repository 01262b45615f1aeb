//! A checked pipeline: every name resolved to an index, every path and template compiled, every default applied.
//!
//! `compile` makes these types from `definition`; `mapping`, `connector`, `lookup` and `run` execute them. Nothing here is
//! optional because the user might have left it out: an `Option` that remains means "this pipeline does not do that".

mod connector;
mod flow;
mod mapping_tests;
mod pipeline;
mod policy;
mod rule;
mod side;
mod two_way;

pub use connector::*;
pub use flow::*;
pub use mapping_tests::*;
pub use pipeline::*;
pub use policy::*;
pub use rule::*;
pub use side::*;
pub use two_way::*;
