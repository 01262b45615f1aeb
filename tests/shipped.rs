//! The files that come with the program are accepted by it.

use std::path::Path;

use crosswalk::compile::environment::{EmptyEnvironment, Overrides};
use crosswalk::compile::{CompileOptions, check_connector, compile_pipeline};
use crosswalk::diagnostic;

const SET: [&str; 6] = [
    "ZENDESK_SUBDOMAIN",
    "ZENDESK_CLIENT_ID",
    "ZENDESK_CLIENT_SECRET",
    "ORO_URL",
    "ORO_CLIENT_ID",
    "ORO_CLIENT_SECRET",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_shipped_connector_is_accepted() {
    for entry in std::fs::read_dir(root().join("mappings/connectors")).unwrap() {
        let path = entry.unwrap().path();
        let found = check_connector(&path);
        assert!(!found.has_errors(), "{}", diagnostic::text(&found, false));
    }
}

#[test]
fn every_shipped_pipeline_is_accepted() {
    let values = SET.map(|name| {
        let value = if name == "ORO_URL" {
            "https://oro.example.com"
        } else {
            "example"
        };
        (name.to_owned(), value.to_owned())
    });
    let environment = Overrides::new(values, &EmptyEnvironment);
    let options = CompileOptions {
        environment: &environment,
        set: &[],
        connector_paths: Vec::new(),
        connection_overrides: &[],
        require_environment: true,
    };
    for entry in std::fs::read_dir(root().join("mappings")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let result = compile_pipeline(&path, &options);
        assert!(
            result.pipeline.is_some(),
            "{}",
            diagnostic::text(&result.diagnostics, false)
        );
    }
}
