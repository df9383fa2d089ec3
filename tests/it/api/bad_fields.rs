//! Bad values in every field of every operation. The fields come from the document, so that an operation that is added is tried as well.
//!
//! Every answer must be one that the document lists (`support/record.rs` checks this), must not be a fault, and must repeat nothing of the request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::operations::{Operation, operations};
use crate::support::{Answer, TestApp};

/// Part of every bad text, so that an answer which repeats the text is found. Random values of answers do not contain it: base64url and hex have no dots,
/// and no part of a JWT is one character long.
pub(super) const MARK: &str = "z.7.";

/// Texts that suit no field. The characters around the mark make each one bad.
const TEXTS: [(&str, &str); 15] = [
    ("blank", " \t\u{a0}\u{3000}"),
    ("NUL", "z.7.\0z.7."),
    ("escape", "z.7.\u{1b}[31m\u{7f}"),
    ("CR LF", "z.7.\r\nBcc: z.7.@example.org"),
    ("right to left", "z.7.\u{202e}x7qz"),
    ("zero width", "z.7.\u{200b}\u{feff}z.7."),
    ("look-alike", "z.7.\u{430}\u{435}"),
    ("look-alike address", "z.7.@ex\u{430}mple.\u{43e}r g"),
    ("full width", "z.7.\u{ff41}\u{ff20}\u{ff42}"),
    ("noncharacter", "z.7.\u{ffff}\u{10ffff}"),
    ("SQL", "z.7.' OR 1=1; DROP TABLE users; --"),
    ("markup", "<script>z.7.</script>"),
    ("template", "{{z.7.}}${jndi:ldap://z.7.}%s%n"),
    ("path", "../../z.7.%00%0d%0a"),
    ("long", ""),
];

/// A bad text for the field with that number. The texts of two fields differ, so that no password is refused for being equal to a name beside it.
fn text_for(number: usize, kind: &str, text: &str) -> String {
    match kind {
        "long" => format!("{MARK}{number}{}", "a".repeat(2_000)),
        _ => text.replace(MARK, &format!("{MARK}{number}")),
    }
}

async fn app() -> TestApp {
    TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "false")
        .start()
        .await
}

fn with_body() -> Vec<Operation> {
    let found: Vec<Operation> = operations()
        .into_iter()
        .filter(|operation| operation.takes_body)
        .collect();
    assert!(!found.is_empty() && found.iter().all(|operation| !operation.fields.is_empty()));
    found
}

/// Sends a body that `spoil` has made bad.
async fn send(app: &TestApp, operation: &Operation, spoil: impl FnOnce(&mut Value)) -> Answer {
    let (request, body) = operation.fresh(app).await;
    let mut body = body.expect("it takes one");
    spoil(&mut body);
    checked(request.json(&body).send().await, operation)
}

/// Asserts that an answer is no fault and repeats nothing of the request; returns the answer.
pub(super) fn checked(answer: Answer, operation: &Operation) -> Answer {
    assert!(answer.status < 500, "{}: {answer:?}", operation.id);
    let mut body = answer.body.clone();
    if (operation.id.as_str(), answer.status) == ("resolve", 200) {
        // The client shows again what its user entered.
        body = body.replace(&answer.json()["prefill"].to_string(), "");
    }
    let whole = format!("{:?} {body}", answer.headers).to_lowercase();
    assert!(
        !whole.contains(MARK),
        "{} repeats what was sent: {answer:?}",
        operation.id
    );
    answer
}

/// Sets a field to `value`. `otp` and `code` are two names of one field, so `otp` is removed when `code` is set.
fn put(body: &mut Value, field: &str, value: Value) {
    if field == "code" {
        body.as_object_mut().expect("it is an object").remove("otp");
    }
    body[field] = value;
}

/// The fields that an answer names, each with its code.
fn named(answer: &Answer) -> BTreeMap<String, String> {
    if answer.code() != "validation.error" {
        return BTreeMap::new();
    }
    let body = answer.json();
    let fields = body["details"]["fields"]
        .as_object()
        .expect("fields are named")
        .clone();
    let code = |field: &Value| field["code"].as_str().unwrap_or("-").to_owned();
    fields
        .iter()
        .map(|(name, field)| (name.clone(), code(field)))
        .collect()
}

/// What an answer says of a field: the code of the field if there is one, or else the whole answer in brief.
fn said_of(answer: &Answer, field: &str) -> String {
    let named = named(answer);
    assert!(named.keys().all(|name| name == field), "{field}: {answer:?}");
    named.get(field).cloned().unwrap_or_else(|| answer.brief())
}

/// Lists the answers with the kinds of text that got them. `else` stands before the answer to most kinds.
fn summed_up(said: &[(&str, String)]) -> String {
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, said) in said {
        kinds.entry(said).or_default().push(kind);
    }
    let most = kinds
        .iter()
        .max_by_key(|(_, kinds)| kinds.len())
        .map(|(said, _)| (*said).to_owned());
    let most = most.expect("something was sent");
    let mut text = String::new();
    for (said, kinds) in kinds.iter().filter(|(said, _)| **said != most) {
        let _ = write!(text, "{}: {said}; ", kinds.join(", "));
    }
    text + "else " + &most
}

/// The codes of all fields in the answer to a body in which every field has a bad text of `kind`.
async fn wrong_together(
    app: &TestApp,
    operation: &Operation,
    kind: &str,
    text: &str,
) -> BTreeMap<String, String> {
    let answer = send(app, operation, |body| {
        for (number, field) in operation.fields.iter().enumerate() {
            // `code` is another name of `otp`, and a body may have only one of the two.
            if field.name != "code" {
                body[&field.name] = json!(text_for(number, kind, text));
            }
        }
    });
    named(&answer.await)
}

/// What the answers say of every bad text in one field. Adds the fields that they name to `alone`, by the kind of the text.
async fn said_alone(
    app: &TestApp,
    operation: &Operation,
    number: usize,
    alone: &mut BTreeMap<&'static str, BTreeMap<String, String>>,
) -> Vec<(&'static str, String)> {
    let field = &operation.fields[number].name;
    let mut said = Vec::new();
    for (kind, text) in TEXTS {
        let value = json!(text_for(number, kind, text));
        let answer = send(app, operation, |body| put(body, field, value)).await;
        said.push((kind, said_of(&answer, field)));
        alone.entry(kind).or_default().extend(named(&answer));
    }
    said
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "every field is a line of the table")]
async fn every_field_says_of_every_bad_text_what_is_wrong_also_beside_others() {
    let app = app().await;
    let mut table = String::new();
    for operation in with_body() {
        let mut alone = BTreeMap::new();
        for (number, field) in operation.fields.iter().enumerate() {
            let said = said_alone(&app, &operation, number, &mut alone).await;
            let _ = writeln!(table, "{} {}: {}", operation.id, field.name, summed_up(&said));
        }
        for (kind, text) in TEXTS {
            let mut expected = alone.remove(kind).unwrap_or_default();
            // The present password is compared only when nothing else is wrong.
            expected.retain(|name, code| name != "code" && code != "incorrect");
            let mut together = wrong_together(&app, &operation, kind, text).await;
            together.retain(|_, code| code != "incorrect");
            assert_eq!(together, expected, "{} {kind}", operation.id);
        }
    }
    assert_snapshot!(table, @r#"
    register login: blank: missing; SQL, template, long: too_long; else invalid_characters
    register password: blank, NUL, escape, CR LF: invalid_characters; long: too_long; look-alike, noncharacter: too_short; else 201 -
    register email: blank: missing; long: too_long; else invalid
    register invite_code: else 201 -
    register locale: long: too_long; else 201 -
    register cf_turnstile_token: else 201 -
    check login: blank: missing; long: too_long; else 200 -
    check cf_turnstile_token: else 200 -
    login login: blank: missing; long: too_long; else 401 auth.invalid_credentials
    login password: long: too_long; else 401 auth.invalid_credentials
    login cf_turnstile_token: else 401 auth.invalid_credentials
    send_code email: blank: missing; long: too_long; else invalid
    send_code cf_turnstile_token: else 204 -
    sign_in_by_code email: blank: missing; long: too_long; else invalid
    sign_in_by_code otp: blank: missing; long: too_long; else 422 auth.otp_invalid
    sign_in_by_code code: blank: missing; long: too_long; else 422 auth.otp_invalid
    resolve identity: blank: missing; long: too_long; else 200 -
    resolve cf_turnstile_token: else 200 -
    send_resolved_code flow_token: blank: missing; else 401 auth.flow_token_invalid
    send_resolved_code cf_turnstile_token: else 401 auth.flow_token_invalid
    sign_in_by_resolved_code flow_token: blank: missing; else 401 auth.flow_token_invalid
    sign_in_by_resolved_code code: blank: missing; long: too_long; else 401 auth.flow_token_invalid
    preview_verification token: blank: missing; else 422 email.token_invalid
    confirm_verification token: blank: missing; else 422 email.token_invalid
    reject_verification token: blank: missing; else 422 email.token_invalid
    update_me username: blank: missing; SQL, template, long: too_long; else invalid_characters
    update_me locale: long: too_long; else 200 -
    update_me timezone: long: too_long; else invalid
    change_password current_password: long: too_long; else incorrect
    change_password new_password: blank, NUL, escape, CR LF: invalid_characters; long: too_long; look-alike, noncharacter: too_short; else 204 -
    send_reset email: blank: missing; long: too_long; else invalid
    send_reset cf_turnstile_token: else 204 -
    preview_reset token: blank: missing; else 422 auth.reset_token_invalid
    confirm_reset token: blank: missing; else 422 auth.reset_token_invalid
    confirm_reset new_password: blank, NUL, escape, CR LF: invalid_characters; long: too_long; look-alike, noncharacter: too_short; else 422 auth.reset_token_invalid
    change_email new_email: blank: missing; long: too_long; else invalid
    change_email current_password: long: too_long; else incorrect
    preview_email_change token: blank: missing; else 422 email.token_invalid
    confirm_email_change token: blank: missing; else 422 email.token_invalid
    confirm_email_change current_password: long: too_long; else 422 email.token_invalid
    undo_email_change token: blank: missing; else 422 email.token_invalid
    export_account current_password: long: too_long; else incorrect
    delete_account current_password: long: too_long; else incorrect
    "#);
}

#[tokio::test]
async fn every_field_of_every_operation_must_be_a_text() {
    let app = app().await;
    let deep = (0..20).fold(json!(MARK), |inner, _| json!([inner]));
    let wrong = [
        json!(7),
        json!(-1.5e300),
        json!(u64::MAX),
        json!(true),
        json!(false),
        json!([]),
        json!([MARK]),
        json!({}),
        json!({ MARK: MARK }),
        deep,
    ];
    for operation in with_body() {
        for field in &operation.fields {
            for value in &wrong {
                let answer = send(&app, &operation, |body| put(body, &field.name, value.clone())).await;
                let mut said = named(&answer);
                // If `code` is the bad field, the body has no `otp`, which may be reported as missing too.
                said.retain(|name, code| !(name == "otp" && field.name == "code" && code == "missing"));
                let expected = [(field.name.clone(), "wrong_type".to_owned())];
                assert_eq!(said, expected.into(), "{} {value}", operation.id);
            }
            // The link of a change takes the password only in the place of an access token.
            let asked_for = field.is_required
                || field.name == "otp"
                || (field.name == "current_password" && operation.id != "confirm_email_change");
            for absent in [Value::Null, json!("")] {
                let answer = send(&app, &operation, |body| body[&field.name] = absent).await;
                let said = named(&answer).remove(&field.name);
                assert_eq!(
                    said.as_deref(),
                    asked_for.then_some("missing"),
                    "{} {}",
                    operation.id,
                    field.name
                );
            }
            let answer = send(&app, &operation, |body| {
                body.as_object_mut().expect("it is an object").remove(&field.name);
            });
            let said = named(&answer.await).remove(&field.name);
            assert_eq!(
                said.as_deref(),
                asked_for.then_some("missing"),
                "{} {}",
                operation.id,
                field.name
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_text_in_utf_8_is_malformed_in_every_field() {
    const PLACE: &str = "\"here\"";
    let deep = format!("{}\"z.7.\"{}", "[".repeat(33), "]".repeat(33));
    let raw: [&[u8]; 13] = [
        b"\"z.7.\xff\"",
        b"\"z.7.\xc0\xaf\"",
        b"\"z.7.\xed\xa0\x80\"",
        b"\"z.7.\xf4\x90\x80\x80\"",
        b"\"z.7.\\ud800\"",
        b"\"z.7.\\udc00z.7.\"",
        b"\"z.7.\\ud800\\ud800\"",
        b"\"z.7.\n\"",
        b"\"z.7.\0\"",
        b"\"z.7.\\x41\"",
        b"\"z.7.\\u00g0\"",
        b"'z.7.'",
        deep.as_bytes(),
    ];
    let app = app().await;
    for operation in with_body() {
        for field in &operation.fields {
            for bad in raw {
                let (request, body) = operation.fresh(&app).await;
                let mut body = body.expect("it takes one");
                put(&mut body, &field.name, json!("here"));
                let text = body.to_string();
                let (before, after) = text.split_once(PLACE).expect("it is there");
                let body = [before.as_bytes(), bad, after.as_bytes()].concat();
                let answer = checked(request.text("application/json", body).send().await, &operation);
                let shown = String::from_utf8_lossy(bad);
                assert_eq!(
                    answer.brief(),
                    "400 request.malformed",
                    "{} {} {shown}",
                    operation.id,
                    field.name
                );
            }
        }
    }
}

#[tokio::test]
async fn every_field_stands_in_a_body_once() {
    let app = app().await;
    for operation in with_body() {
        for field in &operation.fields {
            let (request, body) = operation.fresh(&app).await;
            let mut body = body.expect("it takes one");
            let value = body.get(&field.name).cloned().unwrap_or_else(|| json!("z.7."));
            put(&mut body, &field.name, value);
            let text = body.to_string();
            let twice = format!("{},{}:null}}", text.trim_end_matches('}'), json!(field.name));
            let answer = checked(request.text("application/json", twice).send().await, &operation);
            let said = named(&answer).remove(&field.name);
            assert_eq!(
                said.as_deref(),
                Some("duplicate"),
                "{} {}",
                operation.id,
                field.name
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_anywhere_is_malformed() {
    let app = app().await;
    for operation in with_body() {
        let whole = operation.body().expect("it takes one").to_string();
        for length in (0..whole.len()).step_by(5) {
            let request = operation
                .bare(&app)
                .text("application/json", whole.as_bytes()[..length].to_vec());
            let answer = checked(request.send().await, &operation);
            assert_eq!(
                answer.brief(),
                "400 request.malformed",
                "{} {length}",
                operation.id
            );
        }
    }
}
