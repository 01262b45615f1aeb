//! What must not be told: private values in previews, credentials in anything that is written.

use crosswalk::snapshot::{PastRun, Stage};

use crate::rig::{PIPELINE, Rig};

#[test]
fn a_preview_masks_what_an_object_holds() {
    let rig = Rig::new(20);
    let people = rig.state("zendesk");
    let requester = people["tickets"]["7"]["requester_id"].to_string();
    let email = people["users"][&requester]["email"].as_str().unwrap().to_owned();

    let shown = rig
        .command(&[
            "preview",
            PIPELINE,
            "--flow",
            "cases.to_local",
            "--key",
            "7",
            "--format",
            "json",
        ])
        .output()
        .unwrap();

    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("relatedContact.id"), "{text}");
    assert!(
        !text.to_lowercase().contains(&email.to_lowercase()),
        "`{email}` is shown: {text}"
    );
}

#[test]
fn secrets_are_in_no_byte_that_the_program_wrote() {
    let rig = Rig::new(20);
    let secrets: Vec<String> = rig
        .environment()
        .into_iter()
        .filter(|(name, _)| name.ends_with("SECRET") || name.ends_with("TOKEN"))
        .map(|(_, value)| value)
        .collect();
    assert!(secrets.len() >= 2, "the stand-ins' secrets are known");
    let output = rig.command(&["run", PIPELINE, "-vv"]).output().unwrap();
    assert!(output.status.success());

    let mut texts: Vec<(String, Vec<u8>)> = rig
        .written_files()
        .into_iter()
        .map(|(path, bytes)| (path.display().to_string(), bytes))
        .collect();
    assert!(texts.len() > 3, "state and snapshots were written");
    texts.push(("standard output".to_owned(), output.stdout));
    texts.push(("standard error".to_owned(), output.stderr));
    for (place, bytes) in texts {
        for secret in &secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {place}");
        }
    }
}

#[test]
fn a_snapshot_masks_what_an_envelope_wraps() {
    let rig = Rig::new(10);
    rig.write(
        "mappings/contacts.yaml",
        r#"
version: 1
pipeline: contacts
connections:
  oro:
    connector: oro
    settings: {base_url: "{{ env.ORO_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ORO_CLIENT_ID }}", client_secret: "{{ secret.ORO_CLIENT_SECRET }}"}}
  files: {connector: file, streams: {contacts: {path: contacts.csv, key: $.id}}}
flows:
  contacts: {from: oro.contacts, to: files.contacts, mode: insert, fields: {id: $.id, job: $.jobTitle}}
"#,
    );
    let ran = rig.run_pipeline("mappings/contacts.yaml", &[]).expect(0);
    let run = ran.summary["run"].as_str().unwrap().parse().unwrap();
    let past = PastRun::open(&rig.path("snapshots"), "contacts", run).unwrap();
    let mut seen = 0;
    for row in past.rows(Stage::Extracted, None) {
        let row = row.unwrap();
        let (raw, read) = (row.text("raw").unwrap(), row.text("read").unwrap_or_default());
        assert!(!raw.contains('@') && !read.contains('@'), "{row:?}");
        assert!(row.flag("redacted"));
        seen += 1;
    }
    assert_eq!(seen, ran.count("contacts.read"));
    assert!(seen > 0);
}
