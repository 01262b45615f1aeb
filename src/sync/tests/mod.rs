//! The rules as a whole: one by one ([`rows`], [`pairs`]), as properties of any pair ([`properties`]), and in a small
//! world of two systems with people, triggers, late feeds and crashes ([`world`]).

mod engine;
mod model;
mod pairs;
mod properties;
mod rows;
mod world;
