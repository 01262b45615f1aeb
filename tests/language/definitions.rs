//! The words of the language: whole files that use all of them are read, and the committed schemas and reference page
//! are those of the types. `UPDATE_SCHEMAS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crosswalk::definition::{
    Amount, Changes, ChosenSide, CreateWhen, ErrorOutcome, Flow, FlowOnNone, GivenRecord, Mode, OnFrozen,
    OnNone, OnNull, OnPairDeleted, OnceOrSides, Pii, Relationship, Source, Take, Write, connector_schema,
    pipeline_schema, read_connector, read_mapping_tests, read_pipeline, reference, tests_schema,
};
use crosswalk::definition::{Connector, Pipeline};
use crosswalk::diagnostic::{Diagnostics, text};
use crosswalk::document::Document;
use serde_json::{Value, json};

fn document(name: &str) -> Document {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/definition")
        .join(name);
    let mut diagnostics = Diagnostics::new();
    let document = Document::read(&path, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", text(&diagnostics, false));
    document.expect("a document")
}

fn pipeline(name: &str) -> Pipeline {
    let document = document(name);
    let mut diagnostics = Diagnostics::new();
    let parsed = read_pipeline(&document, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", text(&diagnostics, false));
    parsed.expect("a pipeline").definition
}

fn connector(name: &str) -> Connector {
    let document = document(name);
    let mut diagnostics = Diagnostics::new();
    let parsed = read_connector(&document, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", text(&diagnostics, false));
    parsed.expect("a connector").definition
}

#[test]
fn every_word_of_a_pipeline_is_read() {
    let pipeline = pipeline("pipeline.yaml");
    assert_eq!(pipeline.pipeline, "helpdesk-crm");
    let auth = pipeline.connections["crm"].auth.as_ref().expect("auth");
    assert_eq!(
        (auth.key.as_str(), &auth.value["client_id"].0),
        ("oauth_client", &json!("{{ env.CRM_CLIENT_ID }}"))
    );
    let flow = one_way(&pipeline, "cases");
    assert_eq!(flow.mode, Mode::Upsert);
    assert_eq!(flow.pii.values().collect::<Vec<_>>(), [&Pii::Mask, &Pii::Hash]);
    assert!(
        matches!(flow.rejects.as_ref().and_then(|rejects| rejects.allow), Some(Amount::Percent(share)) if share == 1.0)
    );
    let fields = &flow.fields;
    assert_eq!(
        fields["subject"].value,
        Some(Source::new("$.subject").expect("a path"))
    );
    assert_eq!(
        fields["source.id"].constant.as_ref().map(|constant| &constant.0),
        Some(&json!("other"))
    );
    assert_eq!(fields["source.id"].write, Some(Write::OnCreate));
    assert_eq!(
        fields["cleared"].constant.as_ref().map(|constant| &constant.0),
        Some(&Value::Null)
    );
    assert_eq!(fields["tags"].take, Some(Take::Join(String::from(", "))));
    assert_eq!(fields["assignedTo.id"].on_null, Some(OnNull::AsNone));
    let OnNone::Create(rows) = pipeline.lookups["contact"].on_none.as_ref().expect("on_none") else {
        panic!("`create` is expected")
    };
    assert_eq!(rows["owner.id"].lookup.as_deref(), Some("owner"));
    assert_eq!(pipeline.lookups["contact"].matching.len(), 2);
    let comments = one_way(&pipeline, "comments");
    assert_eq!(comments.on_none, Some(FlowOnNone::Skip));
    let matching = comments.matching.as_ref().expect("match");
    assert_eq!(
        matching[0]
            .values()
            .next()
            .and_then(|value| value.link.as_deref()),
        Some("cases")
    );
    assert_eq!(
        comments.fields,
        one_way(&pipeline, "notes").fields,
        "an alias is the same rows"
    );
}

fn one_way<'p>(pipeline: &'p Pipeline, name: &str) -> &'p Flow {
    pipeline.flows[name].one_way().expect("a flow that goes one way")
}

#[test]
fn every_word_of_a_two_way_flow_is_read() {
    let pipeline = pipeline("pipeline.yaml");
    let flow = pipeline.flows["synced"].two_way().expect("both ways");
    assert_eq!(
        (flow.remote.as_str(), flow.local.as_str()),
        ("helpdesk.tickets", "crm.cases")
    );
    let create = flow.create.as_ref().expect("create");
    assert_eq!(create.local, Some(CreateWhen::Always));
    assert!(matches!(create.remote, Some(CreateWhen::When(_))));
    let pair = flow
        .pair
        .as_ref()
        .and_then(|pair| pair.local.as_ref())
        .expect("pair");
    assert_eq!(pair.key, "externalId");
    assert!(matches!(
        &flow.on_delete,
        Some(OnceOrSides::Sides(sides))
            if sides.remote == Some(OnPairDeleted::Unlink) && matches!(sides.local, Some(OnPairDeleted::Set(_)))
    ));
    assert_eq!(flow.on_frozen, Some(OnceOrSides::Once(OnFrozen::Hold)));
    let description = &flow.fields["description"];
    let to_remote = description.to_remote.as_ref().expect("to_remote");
    assert_eq!(to_remote.field.as_deref(), Some("comment.body"));
    assert_eq!(to_remote.rule.write, Some(Write::OnCreate));
    let stamp = flow.fields["stamp"].to_local.as_ref().expect("to_local");
    assert!(
        stamp.rule.value.is_some(),
        "the short form of a rule is its value"
    );
}

#[test]
fn every_word_of_a_connector_is_read() {
    let connector = connector("connector.yaml");
    let tickets = &connector.streams["tickets"];
    assert!(matches!(tickets.changes, Some(Changes::Token(_))));
    let update = tickets.update.as_ref().expect("update");
    assert_eq!(
        update
            .words()
            .written()
            .map(|(method, _)| method)
            .collect::<Vec<_>>(),
        ["put"]
    );
    assert_eq!(
        tickets.relationships["watchers"],
        Relationship::Many(String::from("users"))
    );
    assert_eq!(connector.errors[0].then, ErrorOutcome::Wait);
    assert!(
        connector
            .errors
            .iter()
            .any(|rule| rule.status.iter().any(|status| status.matches(451)))
    );
    assert!(matches!(
        connector.streams["people"].changes,
        Some(Changes::GrowingKey(_))
    ));
}

#[test]
fn every_word_of_a_test_file_is_read() {
    let document = document("tests.yaml");
    let mut diagnostics = Diagnostics::new();
    let parsed = read_mapping_tests(&document, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", text(&diagnostics, false));
    let tests = parsed.expect("tests").definition;
    let both_ways = &tests.cases[3];
    let given = both_ways.given.as_ref().expect("given");
    assert_eq!(
        (&given.remote, &given.local),
        (&Some(GivenRecord::Same), &Some(GivenRecord::Gone))
    );
    assert_eq!(given.chosen["title"], ChosenSide::Local);
    let first = tests.cases[0].expect.as_ref().expect("expect");
    let fields = first.fields.as_ref().expect("fields");
    assert_eq!(fields["closed"].0, Value::Null, "null is expected, not left out");
}

/// A word that no example uses is a word that nobody has read.
#[test]
fn the_examples_use_every_word() {
    for (schema, file) in [
        (pipeline_schema(), "pipeline.yaml"),
        (connector_schema(), "connector.yaml"),
        (tests_schema(), "tests.yaml"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/definition")
            .join(file);
        let example: Value =
            serde_yaml::from_str(&fs::read_to_string(path).expect("the example")).expect("YAML");
        let mut used = BTreeSet::new();
        words_used(&example, &mut used);
        let mut known = BTreeSet::new();
        words_known(schema, &mut known);
        let unused: Vec<&String> = known.difference(&used).collect();
        assert!(unused.is_empty(), "{file} uses no {unused:?}");
    }
}

fn words_used(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                used.insert(key.clone());
                words_used(value, used);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words_used(item, used)),
        Value::String(word) => drop(used.insert(word.clone())),
        _ => {}
    }
}

fn words_known(schema: &Value, known: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(words) = members.get("properties").and_then(Value::as_object) {
                known.extend(words.keys().cloned());
            }
            if let Some(word) = members.get("const").and_then(Value::as_str) {
                known.insert(word.to_owned());
            }
            members.values().for_each(|member| words_known(member, known));
        }
        Value::Array(items) => items.iter().for_each(|item| words_known(item, known)),
        _ => {}
    }
}

#[test]
fn every_word_is_documented_and_optional_ones_say_their_default() {
    for schema in [pipeline_schema(), connector_schema(), tests_schema()] {
        let mut silent = Vec::new();
        let types = schema["$defs"].as_object().expect("types").iter();
        for (name, definition) in types
            .map(|(name, definition)| (name.as_str(), definition))
            .chain([("file", schema)])
        {
            let Some(words) = definition["properties"].as_object() else {
                continue;
            };
            let required: Vec<&str> = definition["required"]
                .as_array()
                .map(|list| list.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            for (word, value) in words {
                let described = value["description"].as_str().unwrap_or_default();
                let for_people = described.contains("for people") || described.contains("documentation");
                if described.is_empty()
                    || !required.contains(&word.as_str()) && !for_people && !described.contains("efault")
                {
                    silent.push(format!("{name}.{word}"));
                }
            }
        }
        // Which of several words is needed is said once, where they stand together.
        let together = [
            "Alternative.const",
            "MatchInput.link",
            "Rule.const",
            "Rule.value",
            "Rule.first_of",
            "Rule.each",
            "Rule.take",
            "Rule.enum",
            "Rule.lookup",
            "Rule.link",
            "Rule.then",
            "Flow.matching",
            "Flow.match",
            "Alternative.value",
            "MatchInput.value",
            "Flow.one_per",
            "Pages.next_url",
            "Pages.link",
            "Pages.token",
            "Pages.number",
            "Pages.offset",
            "Pages.after_key",
            "SideLoad.is",
            "SideLoad.is_in",
            "AuthVariant.basic",
            "AuthVariant.bearer",
            "AuthVariant.header",
            "AuthVariant.oauth_client_credentials",
            "file.description",
            "file.owner",
            "FindRequest.record",
        ];
        let methods = [".get", ".post", ".put", ".patch", ".delete"];
        silent.retain(|word| {
            // The words of a rule are the same in one direction of a two-way row.
            let word = word.strip_prefix("Directed").unwrap_or(word);
            !together.contains(&word) && !methods.iter().any(|method| word.ends_with(method))
        });
        assert!(silent.is_empty(), "without description or default: {silent:?}");
    }
}

#[test]
fn the_committed_schemas_and_reference_are_those_of_the_types() {
    let pretty = |schema: &Value| format!("{}\n", serde_json::to_string_pretty(schema).expect("JSON"));
    let files = [
        ("pipeline.schema.json", pretty(pipeline_schema())),
        ("connector.schema.json", pretty(connector_schema())),
        ("tests.schema.json", pretty(tests_schema())),
        (
            "plan.schema.json",
            pretty(&crosswalk::run::PlanDocument::json_schema()),
        ),
        ("REFERENCE.md", reference()),
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, expected) in files {
        let path = directory.join(name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, expected).expect("the file can be written");
        } else {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == expected,
                "schemas/{name} is not that of the types; UPDATE_SCHEMAS=1 writes it anew"
            );
        }
    }
}
