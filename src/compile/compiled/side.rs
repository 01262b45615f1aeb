//! The two sides of a two-way flow, and what there is one of for each.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// One of the two systems that a two-way flow keeps in step. Links are stored under the flow's plain name with the
/// remote record's key as source and the local one's as target.
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

    /// The opposite side.
    pub fn other(self) -> Side {
        match self {
            Side::Remote => Side::Local,
            Side::Local => Side::Remote,
        }
    }

    /// Its name in files, and the name under which templates see its record.
    pub fn name(self) -> &'static str {
        match self {
            Side::Remote => "remote",
            Side::Local => "local",
        }
    }

    /// The word for the direction that writes this side.
    pub fn direction(self) -> &'static str {
        match self {
            Side::Remote => "to_remote",
            Side::Local => "to_local",
        }
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
    /// Both made by one function.
    pub fn by(mut make: impl FnMut(Side) -> T) -> Self {
        PerSide {
            remote: make(Side::Remote),
            local: make(Side::Local),
        }
    }

    /// One side's.
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Remote => &self.remote,
            Side::Local => &self.local,
        }
    }

    /// One side's, to be changed.
    pub fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Remote => &mut self.remote,
            Side::Local => &mut self.local,
        }
    }

    /// Both by reference.
    pub fn as_ref(&self) -> PerSide<&T> {
        PerSide {
            remote: &self.remote,
            local: &self.local,
        }
    }

    /// The same with each side changed.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> PerSide<U> {
        PerSide {
            remote: change(self.remote),
            local: change(self.local),
        }
    }
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        self.get(side)
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        self.get_mut(side)
    }
}
