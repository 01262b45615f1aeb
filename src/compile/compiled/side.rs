//! The two sides of a two-way flow, and what there is one of for each.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// One of the two systems that a two-way flow keeps in step. A direction is named by the side that it writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The flow's `remote`.
    Remote,
    /// The flow's `local`.
    Local,
}

impl Side {
    /// Both, remote first: the order of the passes.
    pub const BOTH: [Side; 2] = [Side::Remote, Side::Local];

    /// The one across.
    pub fn other(self) -> Side {
        match self {
            Side::Remote => Side::Local,
            Side::Local => Side::Remote,
        }
    }

    /// The word for it in a pipeline file.
    pub fn word(self) -> &'static str {
        match self {
            Side::Remote => "remote",
            Side::Local => "local",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.word())
    }
}

/// One of something for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PerSide<T> {
    /// The remote side's.
    pub remote: T,
    /// The local side's.
    pub local: T,
}

impl<T> PerSide<T> {
    /// What `make` gives for each side.
    pub fn new(mut make: impl FnMut(Side) -> T) -> Self {
        PerSide {
            remote: make(Side::Remote),
            local: make(Side::Local),
        }
    }

    /// References to both.
    pub fn as_ref(&self) -> PerSide<&T> {
        PerSide {
            remote: &self.remote,
            local: &self.local,
        }
    }

    /// Each turned into something else.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> PerSide<U> {
        PerSide {
            remote: make(self.remote),
            local: make(self.local),
        }
    }
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Remote => &self.remote,
            Side::Local => &self.local,
        }
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Remote => &mut self.remote,
            Side::Local => &mut self.local,
        }
    }
}
