//! Numbers in prose: each is equal to the constant or default that the sentence is about, so neither can change without the other.
//!
//! The test reads the help of every command, the OpenAPI document, the built-in pages and every text in the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use arkloop::app::ANSWER_TIMEOUT;
use arkloop::domain::{
    AccountName, CODE_TTL, Email, FLOW_TTL, FORMER_ADDRESS_TTL, FailureLimits, LinkPurpose,
    MAX_CODE_ATTEMPTS, MAX_PASSWORD_BYTES, MAX_PASSWORD_CHARS, MAX_USER_AGENT_BYTES, MIN_HELD,
    MIN_PASSWORD_CHARS, MailBudget, Username, in_words,
};
use arkloop::http::MAX_BODY_BYTES;
use arkloop::service::RECENT_SIGN_IN;
use serde_json::Value;
use syn::visit::{self, Visit};

use super::claims::texts_of_pages;
use crate::support::shown::commands;

/// Units of numbers in sentences about limits.
const UNITS: [&str; 22] = [
    "second",
    "seconds",
    "s",
    "minute",
    "minutes",
    "min",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
    "year",
    "characters",
    "bytes",
    "KiB",
    "MiB",
    "mails",
    "wrong",
    "times",
    "tries",
    "digits",
];
const WORDS: [&str; 18] = [
    "a", "an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "fifteen",
    "twenty", "thirty", "sixty", "hundred", "quarter",
];
/// Articles and "one" are numbers only before these words: "one a minute", "an hour".
const SPANS: [&str; 8] = [
    "second", "minute", "hour", "day", "week", "year", "hundred", "quarter",
];

/// Texts whose number is not a limit, with the reason.
const NO_LIMITS: [(&str, &str); 11] = [
    ("twice or three times", "how often a flag may be given"),
    (
        "in a minute and in an hour",
        "which windows there are, not how much they allow",
    ),
    (
        "within an hour",
        "the window that otp.spray_threshold is documented with",
    ),
    ("{} in an hour", "the number is a constant"),
    ("{} in a day", "the number is a constant"),
    ("{per_hour} in an hour", "the number is a constant"),
    ("within three days", "what an example asks for"),
    ("Try again in a minute", "advice"),
    ("a second one ends it", "a second signal"),
    ("1 to 255 characters", "the accepted form stands beside its check"),
    ("at least 8 KiB for each lane", "RFC 9106 §3.1"),
];

/// Texts whose numbers come from constants, and [`NO_LIMITS`].
fn known() -> Vec<String> {
    let limits = FailureLimits::default();
    let (here, everywhere) = (limits.from_one_network, limits.of_account);
    let (hourly, daily, pause) = (MailBudget::PER_HOUR, MailBudget::PER_DAY, MailBudget::PAUSE);
    assert_eq!(pause, Duration::from_mins(1), "texts say one a minute");
    assert_eq!(
        LinkPurpose::ResetPassword.ttl(),
        Duration::from_hours(1),
        "texts say one hour"
    );
    let hours = |time: Duration| time.as_secs() / 3600;
    let undo_hours = hours(LinkPurpose::UndoChange.ttl());
    let (shortest, longest) = (MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS);
    let (fewest, most) = (Username::MIN_CHARS, Username::MAX_CHARS);
    let from_constants = [
        format!("At most one a minute, {hourly} an hour and {daily} a day"),
        format!("{} hours", hours(LinkPurpose::VerifyEmail.ttl())),
        "works, for an hour".to_owned(),
        "works for one hour".to_owned(),
        "is older than one hour, was".to_owned(),
        format!("undo the change, for {undo_hours} hours"),
        format!("is older than {undo_hours} hours"),
        format!("had it for {} hours", hours(MIN_HELD)),
        format!("left in the last {} days", hours(FORMER_ADDRESS_TTL) / 24),
        format!("the newest code works, for {}", in_words(CODE_TTL)),
        format!("works for {}, unless the address", in_words(FLOW_TTL)),
        format!("The code works for {}", in_words(CODE_TTL)),
        format!("A code is compared {MAX_CODE_ATTEMPTS} times at most"),
        format!("within {} of signing in", in_words(RECENT_SIGN_IN)),
        format!("a sign-in of the last {}", in_words(RECENT_SIGN_IN)),
        format!("By default, after {} wrong passwords in a row", here.requests()),
        format!("waits for 1 s, then 2, 4, up to {} s", here.per().as_secs()),
        format!(
            "after {} in a row from all addresses it waits for {}",
            everywhere.requests(),
            in_words(everywhere.per())
        ),
        format!("{shortest} to {longest} characters after Unicode normalisation"),
        format!("at most {MAX_PASSWORD_BYTES} bytes"),
        format!("at most {} characters, unique", Email::MAX_CHARS),
        format!("at most {} characters, in any case", AccountName::MAX_CHARS),
        format!("{fewest} to {most} characters: letters from A to Z"),
        format!("at most {MAX_USER_AGENT_BYTES} characters; `null`"),
        format!("{} KiB", MAX_BODY_BYTES / 1024),
        format!("has {} seconds to answer", ANSWER_TIMEOUT.as_secs()),
    ];
    let no_limits = NO_LIMITS.iter().map(|(phrase, _)| (*phrase).to_owned());
    from_constants.into_iter().chain(no_limits).collect()
}

/// The numbers with units in a text, each with the words around it.
fn numbers(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let is_number = |word: &str, unit: &str| {
        let is_article = ["a", "an", "one"].contains(&word);
        let is_digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        is_digits || WORDS.contains(&word) && (!is_article || SPANS.contains(&unit))
    };
    let found = words.windows(2).enumerate().filter(|(_, pair)| {
        let (number, unit) = (bare(pair[0]), bare(pair[1]));
        let is_unit = UNITS.contains(&&*unit) || SPANS.contains(&&*unit);
        is_unit && is_number(&number, &unit)
    });
    let around = found.map(|(index, _)| words[index.saturating_sub(4)..words.len().min(index + 6)].join(" "));
    around.collect()
}

/// The numbers of a text that are not from a constant.
fn unknown(place: &str, text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rest = known()
        .iter()
        .fold(text, |text, phrase| text.replace(phrase, "…"));
    let unknown = numbers(&rest).into_iter();
    unknown.map(|number| format!("{place}: {number}")).collect()
}

#[derive(Default)]
struct Texts(Vec<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" && module.ident != "properties" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.push(text.value());
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        for token in called.tokens.clone() {
            if let Ok(text) = syn::parse_str::<syn::LitStr>(&token.to_string()) {
                self.0.push(text.value());
            }
        }
    }
}

/// Every source except tests and `crypto`, which has no texts other than those of `expect`.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if path.is_dir() && !["tests", "crypto"].contains(&&*name) {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && name != "tests" && name != "properties" {
            found.push(path);
        }
    }
}

fn descriptions(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if ["description", "summary"].contains(&name.as_str()) => {
                        found.push(text.clone());
                    }
                    member => descriptions(member, found),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| descriptions(member, found)),
        _ => {}
    }
}

#[test]
fn every_number_in_a_sentence_comes_from_its_constant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for command in commands() {
        let words = command.split_whitespace();
        let help = Command::new(env!("CARGO_BIN_EXE_arkloop"))
            .args(words)
            .arg("--help")
            .env_clear()
            .output();
        let help = help.expect("the executable runs").stdout;
        found.extend(unknown(command, &String::from_utf8_lossy(&help)));
    }
    let document: Value = serde_json::from_str(&arkloop::http::document()).expect("the text is JSON");
    let mut texts = Vec::new();
    descriptions(&document, &mut texts);
    found.extend(texts.iter().flat_map(|text| unknown("openapi", text)));
    for page in texts_of_pages("en") {
        found.extend(page.text.lines().flat_map(|line| unknown(&page.name, line)));
    }
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for file in files {
        let source = fs::read_to_string(&file).expect("the file can be read");
        let mut texts = Texts::default();
        texts.visit_file(&syn::parse_file(&source).expect("it is Rust"));
        let name = file
            .strip_prefix(root)
            .expect("it is in it")
            .display()
            .to_string();
        found.extend(texts.0.iter().flat_map(|text| unknown(&name, text)));
    }
    assert!(found.is_empty(), "no constant for these numbers: {found:#?}");
}
