//! A run: the stages extract, transform, plan and load, their hand-over, cancellation and summary.
