//! What a two-way flow is compiled to: the two-way pipeline over the shipped connectors, in its details.

use std::path::{Path, PathBuf};

use crosswalk::compile::compiled::{
    CreateWhen, Direction, DirectionOf, FirstLink, Flow, Input, MatchValue, Mode, OnAltered, OnMany,
    OnPairDeleted, Pipeline, Policy, Side, Source, SyncRow, TwoWay, WritePolicy,
};
use crosswalk::compile::environment::{EmptyEnvironment, Overrides};
use crosswalk::compile::{CompileOptions, CompileResult, Guarantee, compile_pipeline, guarantees};
use crosswalk::diagnostic::{Code, text};
use crosswalk::expression::parse_json;

fn compiled(path: &Path, set: &[(&str, &str)]) -> CompileResult {
    let values = [
        ("ZENDESK_SUBDOMAIN", "acme"),
        ("ZENDESK_CLIENT_ID", "id"),
        ("ZENDESK_CLIENT_SECRET", "secret"),
        ("ORO_URL", "https://oro.example.com"),
        ("ORO_CLIENT_ID", "id"),
        ("ORO_CLIENT_SECRET", "secret"),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let set: Vec<_> = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let options = CompileOptions {
        environment: &Overrides::new(values, &EmptyEnvironment),
        set: &set,
        connector_paths: vec![
            PathBuf::from("mappings/connectors"),
            PathBuf::from("tests/diagnostics/meaning/connectors"),
        ],
        connection_overrides: &[],
        require_environment: true,
    };
    compile_pipeline(path, &options)
}

fn pipeline(set: &[(&str, &str)]) -> Pipeline {
    let result = compiled(Path::new("tests/definition/two_way.yaml"), set);
    result
        .pipeline
        .unwrap_or_else(|| panic!("{}", text(&result.diagnostics, false)))
}

/// Compiles flows between an issue tracker and a CRM.
fn small(flows: &str) -> CompileResult {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    let head = "version: 1\npipeline: small\nconnections: {desk: {connector: desk}, crm: {connector: crm}}\nflows:\n";
    std::fs::write(&path, format!("{head}{flows}")).expect("the file can be written");
    compiled(&path, &[])
}

fn written<'p>(pipeline: &'p Pipeline, flow: &TwoWay, side: Side) -> &'p Flow {
    &pipeline.flows[flow.to[side]]
}

fn row<'p>(flow: &'p TwoWay, name: &str) -> &'p SyncRow {
    flow.rows.iter().find(|row| row.name == name).expect("the row")
}

#[test]
fn a_two_way_flow_is_two_directions_and_what_ties_them() {
    let pipeline = pipeline(&[]);
    let names: Vec<&str> = pipeline.flows.iter().map(|flow| flow.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "cases.to_local",
            "cases.to_remote",
            "comments.to_local",
            "comments.to_remote",
            "tickets"
        ]
    );
    let [cases, comments] = pipeline.two_way.as_slice() else {
        panic!("two of them")
    };
    assert_eq!((cases.name.as_str(), cases.direction), ("cases", Direction::Both));
    for to in Side::BOTH {
        let flow = written(&pipeline, cases, to);
        assert_eq!(flow.direction_of, Some(DirectionOf { two_way: 0, to }));
        assert_eq!(
            (flow.to, flow.from),
            (cases.streams[to], cases.streams[to.other()])
        );
        assert_eq!(flow.record_name(), to.other().name());
        assert_eq!(flow.on_many, OnMany::Hold);
    }
    assert_eq!(pipeline.links_of(cases.to.local), Some(("cases", Side::Remote)));
    assert_eq!(pipeline.links_of(cases.to.remote), Some(("cases", Side::Local)));
    assert_eq!(written(&pipeline, cases, Side::Local).mode, Mode::Upsert);
    assert_eq!(
        written(&pipeline, cases, Side::Remote).mode,
        Mode::Update,
        "`create.remote: never`"
    );
    assert!(matches!(cases.create.remote, CreateWhen::Never));
    assert_eq!(cases.on_delete.local, OnPairDeleted::Unlink);
    assert_eq!(comments.of, Some(0));
    assert_eq!(written(&pipeline, comments, Side::Local).of, Some(cases.to.local));
    assert_eq!(
        written(&pipeline, comments, Side::Remote).of,
        None,
        "the CRM's comments are read on their own"
    );
    assert!(written(&pipeline, comments, Side::Remote).order_by.is_some());
}

#[test]
fn the_sides_remember_each_other_by_what_pair_writes() {
    let pipeline = pipeline(&[]);
    let cases = &pipeline.two_way[0];
    for (side, stored, key) in [(Side::Local, "zd:17", "17"), (Side::Remote, "oro-case:5", "5")] {
        let pair = cases.pair[side].as_ref().expect("a pair");
        let flow = written(&pipeline, cases, side);
        let row = &flow.rows[pair.row];
        assert_eq!(row.write, WritePolicy::OnCreate);
        assert_eq!(pair.path.source(), format!("$.{}", row.target.name));
        assert_eq!(pair.stored.as_ref().expect("read back").key(stored), Some(key));
        let found = &flow.matches[pair.matching.expect("a match")].keys[0];
        assert!(found.find.is_some() && matches!(found.ours, MatchValue::Compute(_)));
        assert!(cases.rows.iter().all(|row| row.to[side] != Some(pair.row)));
    }
}

#[test]
fn rows_know_where_they_stand_in_each_direction() {
    let pipeline = pipeline(&[]);
    let cases = &pipeline.two_way[0];
    let target = |row: &SyncRow, to: Side| {
        let position = row.to[to]?;
        Some(written(&pipeline, cases, to).rows[position].target.name.clone())
    };
    let both = |name: &str| {
        let row = row(cases, name);
        (target(row, Side::Local), target(row, Side::Remote))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(both("subject"), (some("subject"), some("subject")));
    assert_eq!(both("description"), (some("description"), some("comment.body")));
    assert_eq!(both("priority"), (some("priority.id"), some("priority")));
    assert_eq!(both("public"), (None, some("comment.public")));
    assert_eq!(both("reported_at"), (some("reportedAt"), None));
    let reported = row(cases, "reported_at");
    assert!(reported.fields.remote.is_some() && reported.fields.local.is_none());
    let rule = &written(&pipeline, cases, Side::Local).rows[reported.to.local.expect("to local")];
    assert!(matches!(&rule.input, Input::Select(path) if path.source() == "$.created_at"));
    let status = row(cases, "status");
    assert_eq!(
        (status.conflict, status.on_first_link),
        (Policy::RemoteWins, FirstLink::Policy)
    );
    assert_eq!(status.on_altered.local, OnAltered::Follow, "a table's result");
    assert_eq!(row(cases, "subject").on_altered.local, OnAltered::Accept);
}

#[test]
fn a_link_reads_the_direction_that_writes_the_wanted_side() {
    let pipeline = pipeline(&[]);
    let [cases, comments] = pipeline.two_way.as_slice() else {
        panic!("two of them")
    };
    let parent = row(comments, "parent");
    for (to, key) in [(Side::Local, "$.ticket_id"), (Side::Remote, "$.case.id")] {
        let rule = &written(&pipeline, comments, to).rows[parent.to[to].expect("both ways")];
        let Input::Link(link) = &rule.input else {
            panic!("a link")
        };
        assert_eq!(link.flow, cases.to[to]);
        assert!(matches!(&link.key, Some(Source::Select(path)) if path.source() == key));
    }
    let tickets = pipeline.flows.last().expect("a flow");
    let Input::Link(link) = &tickets.rows[0].input else {
        panic!("a link")
    };
    assert_eq!((link.flow, link.key.is_none()), (cases.to.local, true));
}

#[test]
fn a_direction_reads_all_that_its_side_is_compared_by() {
    let pipeline = pipeline(&[]);
    let cases = &pipeline.two_way[0];
    let ticket = crosswalk::expression::Record::new(
        br#"{"id": 1, "external_id": "oro-case:5", "assignee_id": 7, "type": "question", "assignee": {"email": "a@example.com", "name": "A"}}"#
            .as_slice()
            .into(),
    );
    let read = ticket
        .project(&written(&pipeline, cases, Side::Local).projection)
        .expect("a record");
    let wanted = parse_json(
        br#"{"id": 1, "external_id": "oro-case:5", "assignee_id": 7, "assignee": {"email": "a@example.com"}}"#,
    );
    assert_eq!(read, wanted.expect("JSON"));
}

#[test]
fn a_param_decides_the_direction() {
    assert_eq!(
        pipeline(&[("direction", "to_local")]).two_way[0].direction,
        Direction::ToLocal
    );
    let wrong = compiled(Path::new("tests/definition/two_way.yaml"), &[("direction", "up")]);
    assert!(
        wrong
            .diagnostics
            .iter()
            .any(|found| found.code == Code::NotAChoice)
    );
}

#[test]
fn a_side_that_is_never_written_needs_no_operations() {
    let flow = |direction: &str| {
        small(&format!(
            "  people: {{remote: desk.issues, local: crm.users, direction: {direction}, \
             fields: {{name: {{remote: $.title, local: $.name}}}}}}\n"
        ))
    };
    let missing = |result: &CompileResult| {
        let codes = result.diagnostics.iter().map(|found| found.code);
        codes.filter(|code| *code == Code::MissingOperation).count()
    };
    assert_eq!(missing(&flow("both")), 1);
    let one_way = flow("to_remote");
    let said = text(&one_way.diagnostics, false);
    assert!(
        said.contains("needs `get` of `crm.users`"),
        "pairs are compared by fresh reads:\n{said}"
    );
    assert!(!said.contains("`update`"), "{said}");
}

#[test]
fn a_link_between_directions_is_named_where_it_cannot_be_told() {
    let flows = |link: &str| {
        small(&format!(
            "  issues: {{remote: desk.issues, local: crm.cases, pair: {{local: {{reference: \"d{{{{ remote.id }}}}\"}}}}, \
             fields: {{subject: {{remote: $.title, local: $.subject}}}}}}\n  \
             people: {{from: desk.people, to: crm.contacts, mode: insert, fields: {{case: {{link: {link}, key: $.issue}}}}}}\n"
        ))
    };
    let wanted = |link: &str| {
        let pipeline = flows(link).pipeline.expect("a pipeline");
        let Input::Link(link) = &pipeline.flows[2].rows[0].input else {
            panic!("a link")
        };
        pipeline.flows[link.flow].name.clone()
    };
    assert_eq!(wanted("issues"), "issues.to_local", "from the desk to the CRM");
    assert_eq!(wanted("issues.to_remote"), "issues.to_remote");
}

#[test]
fn what_a_flow_promises_follows_from_what_its_sink_can_do() {
    let promised = |pipeline: &Pipeline, flow: &str| -> Guarantee {
        let found = guarantees(pipeline).into_iter().find(|found| found.flow == flow);
        found.unwrap_or_else(|| panic!("nothing is promised of {flow}"))
    };
    let pipeline = pipeline(&[]);
    let local = promised(&pipeline, "cases.to_local");
    assert_eq!(
        local.create.as_deref(),
        Some("once: where an answer was lost, the record is found by `$.externalId`"),
        "`pair` writes what it is searched by"
    );
    assert!(
        local
            .update
            .is_some_and(|update| update.starts_with("read before write, not atomic"))
    );
    let remote = promised(&pipeline, "cases.to_remote");
    assert_eq!(
        (remote.create, remote.delete),
        (None, None),
        "`create.remote: never`"
    );
    assert!(remote.update.is_some_and(|update| update.starts_with("atomic")));
    let notes = promised(&pipeline, "comments.to_remote");
    assert!(notes.create.is_some_and(|create| create.contains("own mark")));
    assert_eq!(notes.update, None, "every row is `on_create`");
}

#[test]
fn a_direction_that_does_not_travel_promises_nothing() {
    let flows = guarantees(&pipeline(&[("direction", "to_local")]));
    let names: Vec<&str> = flows.iter().map(|found| found.flow.as_str()).collect();
    assert!(!names.contains(&"cases.to_remote"), "{names:?}");
}

#[test]
fn a_create_that_nothing_recognises_is_promised_at_most_once() {
    let flow = |pair: &str| {
        let result = small(&format!(
            "  issues: {{remote: desk.issues, local: crm.cases, direction: to_remote, create: {{remote: always}}, {pair}\
             fields: {{title: {{remote: $.title, local: $.subject}}}}}}\n"
        ));
        let pipeline = result.pipeline.expect("a pipeline");
        let create = guarantees(&pipeline).remove(0).create.expect("it creates");
        (
            create,
            result
                .diagnostics
                .iter()
                .any(|found| found.code == Code::NotFoundAgain),
        )
    };
    let (create, warned) = flow("");
    assert!(create.starts_with("at most once") && warned, "{create}");
    let (create, warned) = flow("pair: {remote: {reference: \"crm:{{ local.id }}\"}}, ");
    assert!(create.contains("found by `$.reference`") && !warned, "{create}");
}
