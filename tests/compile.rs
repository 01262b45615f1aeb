//! What accepted pipelines are compiled to: one of each kind, and the shipped one in its details.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should panic"
)]

use std::path::{Path, PathBuf};

use crosswalk::compile::compiled::{
    Allowance, Changes, Compression, ConnectorKind, FileFormat, FindAgain, Input, Load, MatchValue, Mode,
    OnNone, OnNull, OnPairDeleted, OnTooLong, OnUnknown, Pipeline, PrivacyKind, Source, Take, WritePolicy,
};
use crosswalk::compile::environment::{EmptyEnvironment, Overrides};
use crosswalk::compile::{CompileOptions, compile_pipeline};
use crosswalk::diagnostic;
use crosswalk::expression::{TargetType, parse_json};

fn compile_at(path: &Path, environment: &[(&str, &str)], overrides: &[(&str, &str, &str)]) -> Pipeline {
    let values = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Overrides::new(values, &EmptyEnvironment);
    let overrides: Vec<_> = overrides
        .iter()
        .map(|(name, setting, value)| ((*name).to_owned(), (*setting).to_owned(), (*value).to_owned()))
        .collect();
    let options = CompileOptions {
        environment: &environment,
        set: &[],
        connector_paths: vec![PathBuf::from("tests/diagnostics/meaning/connectors")],
        connection_overrides: &overrides,
        require_environment: true,
    };
    let result = compile_pipeline(path, &options);
    let said = diagnostic::text(&result.diagnostics, false);
    result.pipeline.unwrap_or_else(|| panic!("{said}"))
}

/// Compiles a pipeline with two connections, `helpdesk` and `crm`, below which `text` stands.
fn compile(text: &str) -> Pipeline {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipeline.yaml");
    let head = "version: 1\npipeline: valid\nconnections:\n  \
        helpdesk: {connector: helpdesk, settings: {base_url: \"https://help.example.com\"}, \
        auth: {oauth: {client_id: a, client_secret: b}}, use_at_most: 60%}\n  \
        crm: {connector: crm}\n  \
        files: {connector: file, settings: {directory: data}, streams: {people: {path: people.csv.gz, key: $.id}, \
        out: {path: out.parquet}, std: {path: \"-\", format: ndjson, key: $.id}}}\n";
    std::fs::write(&path, format!("{head}{text}")).unwrap();
    compile_at(&path, &[], &[])
}

fn shipped() -> Pipeline {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/zendesk-oro.yaml");
    let environment = [
        ("ZENDESK_SUBDOMAIN", "acme"),
        ("ZENDESK_CLIENT_ID", "id"),
        ("ZENDESK_CLIENT_SECRET", "hunter2"),
        ("ORO_URL", "https://oro.example.com/"),
        ("ORO_CLIENT_ID", "id"),
        ("ORO_CLIENT_SECRET", "hunter3"),
    ];
    compile_at(
        &path,
        &environment,
        &[("oro", "base_url", "http://127.0.0.1:8080")],
    )
}

#[test]
fn a_flow_between_two_systems_with_every_part() {
    let pipeline = compile(
        r#"
params: {start: {type: date, default: 2026-01-01}, owner: {type: email, default: a@example.com}}
types: {day: {time: {read: ["%d.%m.%Y"], zone: Europe/Berlin}}}
enums: {status: {values: {new: open, open: open, pending: waiting, solved: closed}, on_unknown: reject}}
lookups:
  user: {in: crm.users, match: $.email, normalize: [trim, lower], on_none: {instead: "{{ params.owner }}"}, fresh_for: 5m}
  everybody: {in: crm.users, match: [$.email, {$.name: "{{ given }}"}], load: all, on_none: clear, where: {$.active: true}, prefer: [{$.role: [admin, "{{ given }}"]}]}
  contact: {in: crm.contacts, match: {$.email: "{{ given.email }}"}, on_none: {create: {email: "{{ given.email | lower }}", name: $.name}}}
guard: {change_at_most: 20%}
rejects: {allow: 1%}
snapshots: {keep: [mapped]}
flows:
  second: {of: first, from: helpdesk.comments, to: crm.contacts, mode: insert, order_by: $.at, fields: {text: $.text, case: {link: first}}}
  first:
    from: helpdesk.tickets
    to: crm.cases
    mode: upsert
    match: [{$.reference: "t-{{ record.id }}"}, {$.id: {link: first}}]
    normalize: [trim]
    since: "{{ params.start }}"
    where: {$.status: [new, open]}
    when: "{{ record.requester.id }}"
    join: {person: {value: $.requester.email, lookup: everybody}, who: {value: $.requester}}
    only_if_changed: [$.status]
    require: [{that: "{{ target or fields.subject }}", else: "no {{ record.id }}"}]
    on_frozen: skip
    pii: {$.requester.name: hash}
    fields:
      subject: {value: $.subject, default: "t {{ record.id }}", on_too_long: {truncate: 80}}
      status: {value: $.status, enum: status}
      opened: {value: $.created_at, write: on_create}
      labels: "$.tags[*]"
      count: {value: "$.tags[*]", take: count}
      contact.id: {value: $.who, lookup: contact}
      owner.id: {first_of: [{when: "{{ record.person }}", value: $.person.id}, {value: $.requester.email, lookup: user}], on_null: keep}
      urgent: {const: true, when: "{{ record.priority == 'high' }}", otherwise: clear}
"#,
    );
    let names: Vec<&str> = pipeline.flows.iter().map(|flow| flow.name.as_str()).collect();
    assert_eq!(names, ["first", "second"], "a flow runs after the one it is of");
    let [first, second] = pipeline.flows.as_slice() else {
        panic!()
    };
    assert_eq!(second.of, Some(0));
    assert!(
        matches!(&second.rows[1].input, Input::Link(link) if link.flow == 0 && link.key.is_none() && matches!(*link.on_none, OnNone::Wait))
    );
    assert_eq!(first.mode, Mode::Upsert);
    assert_eq!(first.matches.len(), 2);
    assert_eq!(first.matches[0].keys[0].find, Some(1), "found by reference");
    assert!(matches!(first.matches[1].keys[0].ours, MatchValue::Link(_)));
    let guard = first.guard.as_ref().unwrap();
    assert_eq!(
        (guard.change_at_most, guard.delete_at_most),
        (Allowance::Share(0.2), Allowance::Count(0))
    );
    assert_eq!(
        (first.rejects.allow, first.rejects.retry_at_most),
        (Allowance::Share(0.01), 10)
    );
    assert!((pipeline.connections[0].use_at_most - 0.6).abs() < 1e-9);
    assert!(pipeline.snapshots.mapped && !pipeline.snapshots.extracted);

    let row = |name: &str| first.rows.iter().find(|row| row.target.name == name).unwrap();
    assert_eq!(row("subject").max_length, Some((100, OnTooLong::Truncate(80))));
    assert!(row("subject").required && row("status").required && !row("opened").required);
    assert!(matches!(row("opened").target_type, TargetType::Time(_)));
    assert_eq!(row("opened").write, WritePolicy::OnCreate);
    assert_eq!(row("labels").take, Some(Take::All));
    assert_eq!(row("count").take, Some(Take::Count));
    assert!(matches!(row("count").target_type, TargetType::Integer));
    assert!(row("urgent").otherwise_clear);
    assert!(matches!(row("owner.id").on_null, OnNull::Keep));
    assert_eq!(row("owner.id").target.segments, ["owner", "id"]);
    assert_eq!(row("status").pointer, "/flows/first/fields/status");

    let [user, everybody, contact] = pipeline.lookups.as_slice() else {
        panic!()
    };
    assert_eq!(
        (user.load, everybody.load, contact.load),
        (Load::OnDemand, Load::All, Load::OnDemand)
    );
    assert_eq!(user.attempts[0].keys[0].find, Some(0));
    assert_eq!(
        (
            everybody.attempts.len(),
            everybody.conditions.len(),
            everybody.prefer.len()
        ),
        (2, 1, 1)
    );
    assert_eq!(user.fresh_for.as_secs(), 300);
    assert!(matches!(&contact.on_none, OnNone::Create(rows) if rows.len() == 2));

    // The requester's address is masked by the connector, the name hashed by the flow.
    let private = |name: &str| {
        first
            .private_targets
            .iter()
            .find(|(target, _)| target == name)
            .map(|(_, kind)| *kind)
    };
    assert_eq!(private("subject"), None);
    assert_eq!(
        private("contact.id"),
        None,
        "the key of the contact is not personal data"
    );
    assert_eq!(first.privacy.len(), 2);
}

#[test]
fn what_a_flow_reads_is_all_that_is_parsed() {
    let pipeline = compile(
        r#"
flows:
  people:
    from: helpdesk.tickets
    to: crm.contacts
    mode: insert
    where: {$.status: open}
    when: "{{ record.priority }}"
    fields: {name: "{{ record.requester.name }}", tags: {each: "$.tags[*]", take: {join: ","}}}
"#,
    );
    let record = br#"{"id": 1, "subject": "s", "status": "open", "priority": "low", "tags": ["a"], "created_at": "x", "requester": {"id": 2, "name": "n", "email": "e"}}"#;
    let record = crosswalk::expression::Record::new(bytes::Bytes::from_static(record));
    let value = record.project(&pipeline.flows[0].projection).unwrap();
    assert_eq!(
        value,
        parse_json(
            br#"{"id": 1, "status": "open", "priority": "low", "tags": ["a"], "requester": {"name": "n"}}"#
        )
        .unwrap()
    );
    assert!(matches!(
        &pipeline.flows[0].rows[1].input,
        Input::Each {
            items: Source::Select(_),
            shape: None
        }
    ));
    // A name that is masked in the source is not masked here: only the address is.
    assert_eq!(pipeline.flows[0].private_targets, []);
}

#[test]
fn files_are_streams() {
    let pipeline = compile(
        "flows:\n  copy: {from: files.people, to: files.out, mode: insert, fields: {a: $.a, b: {value: $.b, type: decimal}}}\n  more: {from: files.std, to: files.out, mode: insert, fields: {a: $.a}}\n",
    );
    let connector = &pipeline.connections[2].connector;
    let ConnectorKind::File(files) = &connector.kind else {
        panic!()
    };
    assert!(files.directory.ends_with("data"));
    let people = connector.streams[0].file.as_ref().unwrap();
    assert_eq!(
        (people.format, people.compression),
        (FileFormat::Csv, Compression::Gzip)
    );
    assert_eq!(
        connector.streams[1].file.as_ref().unwrap().format,
        FileFormat::Parquet
    );
    assert!(matches!(
        pipeline.flows[0].columns[1].column_type,
        TargetType::Decimal
    ));
}

#[test]
fn streams_are_read_as_they_say() {
    let pipeline = compile(
        "flows:\n  events: {from: helpdesk.events, to: crm.contacts, mode: insert, fields: {text: $.text}}\n  \
         users: {from: crm.users, to: crm.contacts, mode: insert, fields: {email: $.email}}\n",
    );
    let streams = &pipeline.connections[0].connector.streams;
    let changes = |position: usize| &streams[position].list.as_ref().unwrap().changes;
    assert!(matches!(changes(0), Changes::Token { first, .. } if first[0].0 == "since"));
    assert!(matches!(changes(1), Changes::WithParent));
    assert_eq!(streams[1].parent, Some(0));
    let Changes::GrowingKey { query, .. } = changes(2) else {
        panic!()
    };
    assert_eq!(
        (query[0].0.as_str(), query[0].1.source()),
        ("after", "{{ since }}"),
        "as the pages ask"
    );
    assert!(matches!(
        pipeline.connections[1].connector.streams[2]
            .list
            .as_ref()
            .unwrap()
            .changes,
        Changes::Scan { .. }
    ));
}

#[test]
fn the_shipped_pipeline_in_its_details() {
    let pipeline = shipped();
    assert_eq!(
        pipeline.connections[1]
            .settings
            .get("base_url")
            .unwrap()
            .as_text(),
        Some("http://127.0.0.1:8080"),
        "overridden"
    );
    assert_eq!(
        pipeline.connections[0]
            .settings
            .get("base_url")
            .unwrap()
            .as_text(),
        Some("https://acme.zendesk.com"),
        "a default that reads another setting"
    );
    assert!(
        !format!("{pipeline:?}").contains("hunter"),
        "secrets are never printed"
    );
    let names: Vec<&str> = pipeline.sources.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.contains(&"connectors/oro.yaml") && names.contains(&"records/zendesk.user.json"),
        "{names:?}"
    );

    let cases = &pipeline.two_way[0];
    assert_eq!(cases.name, "cases");
    assert!(matches!(cases.on_delete.local, OnPairDeleted::Unlink));
    let flow = &pipeline.flows[cases.to.local];
    assert_eq!(flow.matches[0].keys[0].find, Some(1));
    let row = |name: &str| flow.rows.iter().find(|row| row.target.name == name).unwrap();
    assert!(matches!(row("priority.id").on_null, OnNull::Const(_)));
    assert_eq!(row("subject").max_length, Some((255, OnTooLong::Truncate(255))));
    assert!(matches!(pipeline.enums[2].on_unknown, OnUnknown::Keep));
    assert!(matches!(&pipeline.lookups[0].on_none, OnNone::Instead(_)));
    assert_eq!(pipeline.lookups[0].load, Load::All);
    let OnNone::Create(rows) = &pipeline.lookups[1].on_none else {
        panic!()
    };
    assert_eq!(rows.len(), 10);
    assert!(
        rows.iter()
            .all(|row| row.max_length.is_none_or(|(length, _)| length == 255))
    );
    let tickets = &pipeline.connections[0].connector.streams[0];
    assert!(
        tickets
            .privacy
            .iter()
            .any(|rule| rule.path.source() == "$.requester.email" && rule.kind == PrivacyKind::Mask)
    );
    let contacts = pipeline.connections[1]
        .connector
        .streams
        .iter()
        .find(|stream| stream.name == "contacts")
        .unwrap();
    let find_again = contacts.create.as_ref().unwrap().find_again.as_ref();
    assert!(
        matches!(find_again, Some(FindAgain::Written { find: 2, .. })),
        "{find_again:?}"
    );
}
