//! What must not be told: private values in previews, credentials in anything that is written.

use crate::rig::{PIPELINE, Rig};

#[test]
fn a_preview_masks_what_an_object_holds() {
    let rig = Rig::new(20);
    let people = rig.state("zendesk");
    let requester = people["tickets"]["7"]["requester_id"].to_string();
    let email = people["users"][&requester]["email"].as_str().unwrap().to_owned();

    let shown = rig
        .command(&["preview", PIPELINE, "--key", "7", "--format", "json"])
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
