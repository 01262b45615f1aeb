//! Lookups against a system that counts its requests.

mod asking;
mod fixture;
mod memory;
mod whole;
