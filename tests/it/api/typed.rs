//! Codes, tokens, names and addresses as people type and paste them: from a chat, a PDF, a phone, an input method of another script.

use arkloop::domain::LinkToken;
use serde_json::{Value, json};

use super::mailed::{Mailed, NEW_PASSWORD, address, other_than};
use crate::support::{PASSWORD, TestApp, full_width, pasted_dashes, registration};

/// Invisible characters that are copied along: byte order mark, zero width space, bidirectional marks, soft hyphen, word joiner, a tag.
const UNSEEN: &str = "\u{feff}\u{200b}\u{200e}\u{202b}\u{2066}\u{ad}\u{2060}\u{e0001}\u{a0}\u{3000}\t\r\n ";

/// `text` with invisible characters around it and between its characters.
fn scattered(text: &str) -> String {
    let mut unseen = UNSEEN.chars().cycle();
    let mut scattered: String = text
        .chars()
        .flat_map(|c| [unseen.next().expect("it has no end"), c])
        .collect();
    scattered.push_str(UNSEEN);
    scattered
}

/// The secret in every spelling in which it may arrive.
fn spellings(secret: &str) -> Vec<String> {
    let mut spellings = vec![
        full_width(secret),
        scattered(secret),
        format!("{secret}."),
        format!("{}。\u{200b}", full_width(secret)),
    ];
    spellings.extend(pasted_dashes(secret));
    spellings
}

#[tokio::test]
async fn an_invite_code_is_read_however_it_was_typed_or_pasted() {
    let app = TestApp::start().await;
    let code = app.invite(100).await;
    let mut typed = spellings(&code);
    typed.extend(spellings(
        &code.to_lowercase().replace('0', "o").replace('1', "l"),
    ));
    typed.push(code.replace('-', ""));
    for (number, spelling) in typed.iter().enumerate() {
        let mut body = registration(&format!("user-{number}"));
        body["invite_code"] = json!(spelling);
        let answer = app.post("/v1/auth/register").json(&body).send().await;
        assert_eq!(answer.brief(), "201 -", "{spelling:?}");
    }
    assert_eq!(app.uses_of(&code).await as usize, typed.len());
    for wrong in [
        format!("{code}-0"),
        code.replacen('-', "/", 1),
        format!(".{code}"),
        full_width(&code[1..]),
    ] {
        let mut body = registration("wrong");
        body["invite_code"] = json!(wrong);
        let answer = app.post("/v1/auth/register").json(&body).send().await;
        assert_eq!(answer.brief(), "422 auth.invite_code_invalid", "{wrong:?}");
    }
}

#[tokio::test]
async fn a_one_time_code_is_read_however_it_was_typed_or_pasted() {
    let mailed = Mailed::start().await;
    let ways: [fn(&str) -> String; 5] = [
        full_width,
        scattered,
        |code| format!("{}\u{2212}{}.", &code[..3], &code[3..]),
        |code| format!("{}\u{2013}{}。", full_width(&code[..3]), &code[3..]),
        |code| code.chars().flat_map(|c| [c, '\u{ff0d}']).collect(),
    ];
    for (number, way) in ways.iter().enumerate() {
        let login = format!("user-{number}");
        mailed.register(&login).await;
        let typed = way(&mailed.code_to(&login).await);
        assert_eq!(mailed.sign_in(&login, &typed).await.brief(), "200 -", "{typed:?}");
    }
}

#[tokio::test]
async fn a_wrong_code_costs_one_try_however_it_was_typed() {
    let mailed = Mailed::start().await;
    mailed.register("alice").await;
    let code = mailed.code_to("alice").await;
    let wrong = other_than(&code);
    let typed = [
        full_width(wrong),
        scattered(wrong),
        format!("{wrong}.-\u{2212}"),
        "no code".to_owned(),
    ];
    for (tries, typed) in (1..).zip(&typed) {
        let answer = mailed.sign_in("alice", typed).await;
        assert_eq!(answer.brief(), "422 auth.otp_invalid", "{typed:?}");
        assert_eq!(
            mailed.app.count("SELECT attempts FROM one_time_codes"),
            tries,
            "{typed:?}"
        );
    }
    // A text of only dashes is not a code, and costs no try.
    let nothing = mailed.sign_in("alice", " - \u{2014} ").await;
    assert_eq!(nothing.brief(), "422 validation.error");
    // The fifth and last try is still left.
    assert_eq!(
        mailed
            .sign_in("alice", &scattered(&full_width(&code)))
            .await
            .brief(),
        "200 -"
    );
}

#[tokio::test]
async fn a_mailed_token_is_read_however_it_was_pasted() {
    let mailed = Mailed::start().await;
    let (_, token) = mailed.register("alice").await;
    for spelling in spellings(&token) {
        let answer = mailed.verify("preview", &spelling).await;
        assert_eq!(answer.brief(), "200 -", "{spelling:?}");
    }
    assert_eq!(
        mailed.verify("confirm", &full_width(&token)).await.brief(),
        "200 -"
    );
    let reset = mailed.reset_token_to("alice").await;
    assert_eq!(
        mailed.reset(&scattered(&reset), NEW_PASSWORD).await.brief(),
        "204 -"
    );
    // Tokens are base64url: a dash in one counts, and is not dropped. This one is full of them.
    let dashes = LinkToken::from_random([0xfb; 32]).reveal();
    assert!(dashes.contains('-'));
    let dropped = mailed.verify("preview", &token.replace('-', "")).await;
    assert_eq!(dropped.status, if token.contains('-') { 422 } else { 200 });
}

#[tokio::test]
async fn a_login_and_an_address_are_trimmed_alike_before_they_are_judged() {
    let mailed = Mailed::start().await;
    // So many invisible characters that the text would be too long if they counted.
    let around = |name: &str| format!("{}{name}{}", UNSEEN.repeat(20), UNSEEN.repeat(20));
    let body = json!({"login": around("alice"), "email": around(&address("alice")), "password": PASSWORD});
    let alice = mailed.post("/v1/auth/register", body).await;
    assert_eq!(alice.brief(), "201 -");
    let me = mailed.app.me(&alice.access_token()).await.json();
    assert_eq!(
        [&me["username"], &me["email"]],
        [&json!("alice"), &json!(address("alice"))]
    );
    for name in [around("ALICE"), around(&address("alice"))] {
        assert_eq!(mailed.app.login(&name, PASSWORD).await.brief(), "200 -");
        let checked = mailed.post("/v1/auth/check", json!({"login": name})).await;
        assert_eq!(checked.json(), json!({"exists": true}));
    }
    let token = mailed.token_to("alice").await;
    assert_eq!(mailed.verify("confirm", &token).await.brief(), "200 -");
    mailed.app.advance(super::mailed::PAUSE);
    let (code, reset) = ("/v1/auth/email/otp/send", "/v1/auth/password/reset/send");
    for path in [code, reset] {
        let asked: Value = json!({"email": around(&address("Alice"))});
        assert_eq!(mailed.post(path, asked).await.brief(), "204 -");
    }
    let letters = [
        mailed.smtp.mail_to(&address("alice")).await,
        mailed.smtp.mail_to(&address("alice")).await,
    ];
    let code = letters.iter().find(|letter| {
        letter
            .message()
            .subject()
            .is_some_and(|subject| subject.contains("code"))
    });
    let code = code.expect("one has a code").code();
    let signed_in = json!({"email": around(&address("alice")), "otp": code});
    assert_eq!(
        mailed.post("/v1/auth/email/otp/verify", signed_in).await.brief(),
        "200 -"
    );
    let renamed = mailed.app.patch("/v1/me").bearer(&alice.access_token());
    let renamed = renamed.json(&json!({"username": around("Alice")})).send().await;
    assert_eq!(renamed.json()["username"], "Alice");
}

#[tokio::test]
async fn a_password_is_no_name_and_no_address_however_they_were_typed() {
    let mailed = Mailed::start().await;
    let around = |name: &str| format!("{UNSEEN}{name}{UNSEEN}");
    let body = json!({"login": around("a-long-name"), "email": "b@example.org", "password": "a-long-name"});
    let named = mailed.post("/v1/auth/register", body).await;
    assert_eq!(
        named.json()["details"]["fields"]["password"]["code"],
        "contains_identity"
    );
    // The password equals the address as it is stored.
    for typed in ["carol@exam\u{ad}ple.org", "carol@\u{ff45}xample\u{3002}org"] {
        let body = json!({"login": "carol", "email": typed, "password": "carol@example.org"});
        let named = mailed.post("/v1/auth/register", body).await;
        assert_eq!(
            named.json()["details"]["fields"]["password"]["code"],
            "contains_identity",
            "{typed}"
        );
    }
    // Within a name, invisible characters are refused.
    let body = json!({"login": "al\u{200b}ice", "email": "b@exa mple.org", "password": PASSWORD});
    assert_eq!(
        mailed.post("/v1/auth/register", body).await.json()["details"]["fields"]["login"]["code"],
        "invalid_characters"
    );
    let nobody = mailed.app.login(UNSEEN, PASSWORD).await;
    assert_eq!(nobody.json()["details"]["fields"]["login"]["code"], "missing");
}
