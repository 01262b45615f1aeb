//! Matching rules: index, cache and fallback; asks connectors for records.
