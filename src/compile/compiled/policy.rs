//! What a two-way flow does where its sides disagree: closed lists of words, one action each.

/// Who wins when both sides of a row changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The remote side.
    RemoteWins,
    /// The local side.
    LocalWins,
    /// The side whose record was changed last; remote where that cannot be told.
    NewestWins,
    /// Nobody: the row waits for a person.
    Hold,
}

/// Who wins in a row that has no baseline yet, where the sides do not correspond and neither is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirstLink {
    /// As in a conflict.
    Policy,
    /// The remote side.
    Remote,
    /// The local side.
    Local,
    /// Nobody: the row waits for a person.
    Hold,
}

/// What a row does when the system answers with another value than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnAltered {
    /// The returned value is the new baseline; nothing travels back.
    Accept,
    /// It counts as that side's own change and travels back.
    Follow,
    /// The record is rejected with the reason.
    Reject,
}
