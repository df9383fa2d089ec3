//! The transport that writes files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::{CODE, EXPIRES_AT, FROM, compose, queued, sign_in_code};
use crate::mail::{Mailbox, Progress, Transport, Verdict};

fn from() -> Mailbox {
    FROM.parse().expect("the sender is valid")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("it can be listed")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_mail_becomes_one_file_that_only_its_owner_reads() {
    let parent = tempfile::tempdir().expect("there is room");
    let outbox = parent.path().join("outbox");
    let transport = Transport::file(outbox.clone(), from());
    assert!(!outbox.exists(), "nothing is created before the first mail");
    let letter = sign_in_code();
    let composed = compose(&letter, "en");
    for _attempt in 0..2 {
        transport
            .send(&queued(&letter), &composed, &Progress::default())
            .await
            .expect("there is room");
    }
    let name = "1767226200-sign_in_code-0198c5a2_7d1e_7000_8000_000000000001.eml";
    assert_eq!(names(&outbox), [name]);
    assert_eq!((mode(&outbox), mode(&outbox.join(name))), (0o700, 0o600));
    let text = fs::read_to_string(outbox.join(name)).expect("the message is ASCII");
    assert!(text.contains(CODE));
}

#[tokio::test]
async fn files_go_when_what_is_in_them_has_expired() {
    let outbox = tempfile::tempdir().expect("there is room");
    let transport = Transport::file(outbox.path().to_owned(), from());
    let letter = sign_in_code();
    let composed = compose(&letter, "en");
    transport
        .send(&queued(&letter), &composed, &Progress::default())
        .await
        .expect("there is room");
    let foreign = ["notes.eml", "1-notes.eml", "1-newsletter-a.eml", "1-invite-a.txt"];
    for name in foreign.into_iter().chain(["1-invite-a.part"]) {
        fs::write(outbox.path().join(name), "").expect("there is room");
    }
    let before = transport.sweep_files(EXPIRES_AT - Duration::from_secs(1));
    assert_eq!(before.expect("it can be swept"), 1, "the half-written one");
    assert_eq!(names(outbox.path()).len(), foreign.len() + 1);
    assert_eq!(transport.sweep_files(EXPIRES_AT).expect("it can be swept"), 1);
    let mut foreign = foreign;
    foreign.sort_unstable();
    assert_eq!(names(outbox.path()), foreign);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_told() {
    let parent = tempfile::tempdir().expect("there is room");
    let file = parent.path().join("file");
    fs::write(&file, "").expect("there is room");
    let transport = Transport::file(file.join("outbox"), from());
    let error = transport.check().await.expect_err("a file is in the way");
    assert_eq!(error.verdict(), Verdict::General);
    let missing = Transport::file(parent.path().join("outbox"), from());
    assert_eq!(missing.sweep_files(EXPIRES_AT).expect("nothing is there"), 0);
    missing.check().await.expect("the first mail can create it");
    assert!(!parent.path().join("outbox").exists());
}
