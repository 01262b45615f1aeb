//! Applying compiled rules to a batch, in two halves: prepare and finish.
