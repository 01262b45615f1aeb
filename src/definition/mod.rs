//! The serde structs of the two kinds of YAML file, exactly as written.
