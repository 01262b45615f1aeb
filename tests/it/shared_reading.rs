//! Flows that read one stream ask the system for it once, also when one of them is new.

use crate::rig::{PIPELINE, Rig};

const SECOND_FLOW: &str = r#"
  reminders:
    from: zendesk.tickets
    to: oro.cases
    mode: update
    since: "{{ params.start }}"
    match: {$.externalId: "zd:{{ record.id }}"}
    on_none: skip
    fields:
      subject: {value: "{{ record.subject if record.subject | trim else none }}", default: "N/A", on_too_long: {truncate: 255}}
"#;

fn exports(rig: &Rig) -> usize {
    let count = rig
        .requests("zendesk")
        .into_iter()
        .filter(|request| request.contains("/incremental/tickets"))
        .count();
    rig.forget_requests();
    count
}

fn add_second_flow(rig: &Rig) {
    let text = rig.read(PIPELINE);
    std::fs::write(rig.path(PIPELINE), text + SECOND_FLOW).unwrap();
}

#[test]
fn two_flows_read_their_stream_once() {
    let rig = Rig::new(30);
    rig.run(&[]).expect(0);
    let alone = exports(&rig);

    let rig = Rig::new(30);
    add_second_flow(&rig);
    let ran = rig.run(&["--flow", "reminders"]).expect(0);
    assert_eq!(exports(&rig), alone);
    assert_eq!(ran.count("cases.to_local.read"), 30);
    assert_eq!(ran.count("reminders.read"), 30);
    assert_eq!(
        ran.count("reminders.unchanged"),
        ran.count("cases.to_local.created")
    );
    rig.assert_in_step();
}

#[test]
fn a_new_flow_reads_from_the_start_once_and_then_together_with_the_others() {
    let rig = Rig::new(30);
    rig.run(&[]).expect(0);
    add_second_flow(&rig);
    let ran = rig.run(&["--flow", "reminders"]).expect(0);
    assert_eq!(ran.count("cases.to_local.read"), 0);
    assert_eq!(ran.count("reminders.read"), 30);

    exports(&rig);
    let ran = rig.run(&["--flow", "reminders"]).expect(0);
    assert_eq!(ran.count("reminders.read"), 0);
    assert_eq!(exports(&rig), 1);
}
