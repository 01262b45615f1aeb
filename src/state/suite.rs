//! One test suite that every implementation of [`super::State`] passes.
