//! No guide denies what the program has.
//!
//! A denial is a sentence that says "there is no", "cannot", "not yet" and the like about a capability. A capability exists if the executable has its
//! command, key or operation. Sentences that name a capability but deny something else are listed in [`RIGHT`].

use std::collections::BTreeSet;

use super::guides;
use super::keys::keys;
use crate::support::documented;
use crate::support::shown::leaves;

/// What proves that a capability exists.
enum Proof {
    Command(&'static str),
    Key(&'static str),
    Operation(&'static str),
}

use Proof::{Command, Key, Operation};

/// What people call a capability, and what shows that it is there.
const CAPABILITIES: [(&[&str], Proof); 23] = [
    (&["audit"], Command("audit")),
    (
        &["changes the key file", "replaces the key", "new key file"],
        Command("key rekey"),
    ),
    (&["signing key", "rotat"], Command("key rotate")),
    (&["lost key"], Command("key reset")),
    (&["backup"], Command("backup")),
    (&["restore"], Command("restore")),
    (&["explain"], Command("explain")),
    (&["test mail"], Command("mail test")),
    (&["mail queue"], Command("mail queue")),
    (&["manual page"], Command("man")),
    (&["completions"], Command("completions")),
    (&["health check", "healthcheck"], Command("healthcheck")),
    (&["metrics", "prometheus", "dashboard"], Key("metrics.listen")),
    (&["captcha", "turnstile"], Key("turnstile.secret_key")),
    (&["name of the service"], Key("server.name")),
    (
        &["sign-in page", "page to sign in", "account page"],
        Key("server.pages"),
    ),
    (&["language of mails", "in chinese"], Key("mail.locale")),
    (
        &["reset a password", "password reset", "forgotten password"],
        Operation("send_reset"),
    ),
    (&["one-time code", "sign-in by code"], Operation("send_code")),
    (&["list of sessions", "end a session"], Operation("list_sessions")),
    (
        &["delete one's own account", "deletion of accounts"],
        Operation("delete_account"),
    ),
    (
        &["export one's own account", "export of accounts"],
        Operation("export_account"),
    ),
    (&["invite"], Command("invite create")),
];

/// Words that make a sentence a denial.
const DENYING: [&str; 19] = [
    "there is no ",
    "there are no ",
    "has no ",
    "has neither",
    "does no ",
    "keeps no ",
    "writes no ",
    "offers no ",
    "brings no ",
    "no command ",
    "no key ",
    "no way ",
    "cannot ",
    "nobody can ",
    "does not ",
    "not yet",
    "not supported",
    "is missing",
    "later release",
];

/// Sentences that are correct although they deny something about a capability.
const RIGHT: [&str; 5] = [
    "Turnstile makes this dearer and does not replace it",
    "A signing key alone cannot leak",
    "What a restore brings back, and what it does not",
    "(mail does not leave)",
    "the health check of a container, which has no other client",
];

/// The sentences of a page.
fn sentences(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '|', ':', ';'])
        .map(str::trim)
        .collect()
}

/// The capability that a sentence denies, if it does.
fn denied<'a>(sentence: &str, there: impl Fn(&Proof) -> bool) -> Option<&'a str> {
    let sentence = sentence.to_lowercase();
    if !DENYING.iter().any(|denying| sentence.contains(denying)) {
        return None;
    }
    let known = CAPABILITIES.iter().filter(|(_, proof)| there(proof));
    let mut words = known.flat_map(|(words, _)| words.iter());
    words
        .find(|word| sentence.contains(&word.to_lowercase()))
        .copied()
}

fn is_there(proof: &Proof) -> bool {
    match proof {
        Command(command) => leaves().contains(command),
        Key(key) => keys().contains(*key),
        Operation(id) => documented().iter().any(|(operation, _, _)| operation == id),
    }
}

#[test]
fn no_guide_denies_what_there_is() {
    let there: BTreeSet<usize> = CAPABILITIES
        .iter()
        .enumerate()
        .filter_map(|(index, (_, proof))| is_there(proof).then_some(index))
        .collect();
    assert_eq!(
        there.len(),
        CAPABILITIES.len(),
        "a proof names something that no longer exists"
    );
    let (mut denials, mut right) = (Vec::new(), BTreeSet::new());
    for guide in guides() {
        for sentence in sentences(&guide.flat()) {
            if let Some(word) = denied(sentence, |_| true) {
                match RIGHT.iter().find(|known| sentence.contains(**known)) {
                    Some(known) => _ = right.insert(*known),
                    None => denials.push(format!("{}: {word}: {sentence}", guide.name)),
                }
            }
        }
    }
    assert!(denials.is_empty(), "{denials:#?}");
    assert_eq!(
        right.len(),
        RIGHT.len(),
        "a sentence of the list is no longer in a guide"
    );
}
