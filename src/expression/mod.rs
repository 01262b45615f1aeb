//! JSONPath, templates, enum tables and types: compile and evaluate.
