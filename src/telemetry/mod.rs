//! Tracing set-up, counters and the redaction trait.
