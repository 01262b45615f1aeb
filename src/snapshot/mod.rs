//! Journals, Parquet files and manifests: the only module that names arrow and parquet types.
