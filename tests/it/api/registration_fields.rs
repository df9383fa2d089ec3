//! The fields of a registration: which values are accepted, and how others are refused.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::registration::{register, with};
use crate::support::{Answer, PASSWORD, TestApp, registration};

/// What is wrong with a field: the error code and its bound.
fn field(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.brief(), "422 validation.error");
    let field = &answer.json()["details"]["fields"][name];
    let bound = field.get("min").or(field.get("max"));
    let bound = bound.map_or_else(String::new, |bound| format!(" {bound}"));
    format!("{}{bound}", field["code"].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn every_bad_field_is_named_at_once_and_no_value_is_repeated() {
    let app = TestApp::open().await;
    let body = json!({
        "login": "-marked-", "password": "marked7", "email": "marked", "invite_code": 7, "locale": "marked_", "marked": 1,
    });
    let mut answer = register(&app, &body).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    422

    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "email": {
            "code": "invalid",
            "message": "Must be one e-mail address such as name@example.org."
          },
          "invite_code": {
            "code": "wrong_type",
            "message": "Must be a string."
          },
          "login": {
            "code": "invalid",
            "message": "Must be a name that begins and ends with a letter or a digit."
          },
          "marked": {
            "code": "unknown",
            "message": "This operation has no such field."
          },
          "password": {
            "code": "too_short",
            "message": "Must have at least 8 characters.",
            "min": 8
          }
        }
      }
    }
    "#);
    answer.body = answer.body.replace(r#""marked":"#, "");
    assert!(!answer.body.contains("marked"), "{answer:?}");
}

#[tokio::test]
async fn what_is_needed_is_named_when_nothing_is_sent() {
    let app = TestApp::open().await;
    assert_snapshot!(register(&app, &json!({})).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "email": {
            "code": "missing",
            "message": "This field is required."
          },
          "login": {
            "code": "missing",
            "message": "This field is required."
          },
          "password": {
            "code": "missing",
            "message": "This field is required."
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_name_is_two_to_thirty_two_plain_characters() {
    let app = TestApp::open().await;
    let refused = [
        ("a", "too_short 2"),
        ("  a  ", "too_short 2"),
        (&"a".repeat(33), "too_long 32"),
        ("a b", "invalid_characters"),
        ("añb", "invalid_characters"),
        // A Cyrillic letter that looks like a Latin one.
        ("\u{430}lice", "invalid_characters"),
        ("a@b", "invalid_characters"),
        ("ali\u{0}ce", "invalid_characters"),
        ("ali\u{202e}ce", "invalid_characters"),
        ("ali\r\nce", "invalid_characters"),
        (".alice", "invalid"),
        ("alice-", "invalid"),
        ("--", "invalid"),
        (" ", "missing"),
        ("", "missing"),
    ];
    for (login, expected) in refused {
        let answer = register(&app, &with("login", login)).await;
        assert_eq!(field(&answer, "login"), expected, "{login:?}");
    }
    for (number, login) in ["ab", &"a".repeat(32), "A.b_c-9", "00"].into_iter().enumerate() {
        let mut body = registration(&format!("user-{number}"));
        body["login"] = json!(login);
        assert_eq!(register(&app, &body).await.status, 201, "{login}");
    }
}

#[tokio::test]
async fn an_address_is_one_plain_address() {
    let app = TestApp::open().await;
    let (local_64, local_65) = ("a".repeat(64), "a".repeat(65));
    let domain = |length: usize| {
        let labels = format!("{0}.{0}.{0}.", "d".repeat(60));
        format!("{labels}{}", "e".repeat(length - labels.len()))
    };
    let refused = [
        ("alice", "invalid"),
        ("alice@", "invalid"),
        ("@example.org", "invalid"),
        ("a@b@example.org", "invalid"),
        ("\"a b\"@example.org", "invalid"),
        ("alice@[127.0.0.1]", "invalid"),
        ("alice@127.0.0.1", "invalid"),
        ("al ice@example.org", "invalid"),
        ("älice@example.org", "invalid"),
        ("alice@example.org\r\nBcc: eve@example.org", "invalid"),
        ("alice@example.org,eve@example.org", "invalid"),
        ("Alice <alice@example.org>", "invalid"),
        ("alice\u{0}@example.org", "invalid"),
        (&format!("{local_65}@example.org"), "invalid"),
        (&format!("{}@{}", "a".repeat(20), domain(234)), "too_long 254"),
        ("  ", "missing"),
    ];
    for (email, expected) in refused {
        let answer = register(&app, &with("email", email)).await;
        assert_eq!(field(&answer, "email"), expected, "{email:?}");
    }
    let accepted = [
        (" Alice.B@Example.ORG ", "Alice.B@example.org"),
        ("a+tag@example.org", "a+tag@example.org"),
        ("jo@Bücher.example", "jo@xn--bcher-kva.example"),
        (
            &format!("{local_64}@example.org"),
            &format!("{local_64}@example.org"),
        ),
        (
            &format!("{}@{}", "a".repeat(20), domain(233)),
            &format!("{}@{}", "a".repeat(20), domain(233)),
        ),
    ];
    for (number, (email, shown)) in accepted.into_iter().enumerate() {
        let mut body = registration(&format!("user-{number}"));
        body["email"] = json!(email);
        let answer = register(&app, &body).await;
        assert_eq!(answer.status, 201, "{email}: {answer:?}");
        assert_eq!(app.me(&answer.access_token()).await.json()["email"], shown);
    }
}

#[tokio::test]
async fn a_password_is_judged_by_length_list_and_names_only() {
    let app = TestApp::open().await;
    let refused = [
        ("", "missing"),
        ("seven77", "too_short 8"),
        // Seven characters once the accents are composed.
        ("cafe\u{301}s77", "too_short 8"),
        (&"x".repeat(129), "too_long 128"),
        (&"é".repeat(513), "too_long 128"),
        ("nul\u{0}inside", "invalid_characters"),
        ("password", "common_password"),
        ("PassWord1", "common_password"),
        ("Alice.Wonder", "contains_identity"),
        ("ALICE@wonder.example", "contains_identity"),
    ];
    let body = |password: &str| json!({"login": "alice.wonder", "email": "alice@wonder.example", "password": password});
    for (password, expected) in refused {
        let answer = register(&app, &body(password)).await;
        assert_eq!(field(&answer, "password"), expected, "{password:?}");
    }
    for (number, password) in [
        "eight 88",
        &"é".repeat(128),
        "        ",
        " spaces stay ",
        "alice.wonder?",
        "密码密码密码密码",
    ]
    .into_iter()
    .enumerate()
    {
        let login = format!("user-{number}");
        let mut body = registration(&login);
        body["password"] = json!(password);
        assert_eq!(register(&app, &body).await.status, 201, "{password:?}");
        assert_eq!(app.login(&login, password).await.status, 200, "{password:?}");
        let trimmed = password.trim();
        if trimmed != password && !trimmed.is_empty() {
            assert_eq!(app.login(&login, trimmed).await.status, 401, "{password:?}");
        }
    }
}

#[tokio::test]
async fn the_operator_may_ask_for_longer_passwords() {
    let app = TestApp::builder()
        .open()
        .set("PASSWORD__MIN_LENGTH", "12")
        .start()
        .await;
    let answer = register(&app, &with("password", "eleven11111")).await;
    assert_eq!(field(&answer, "password"), "too_short 12");
    assert_eq!(
        register(&app, &with("password", "twelve22 222")).await.status,
        201
    );
}

#[tokio::test]
async fn names_are_trimmed_and_shown_as_given() {
    let app = TestApp::open().await;
    let body = json!({
        "login": "  Alice.W\t", "email": "\u{3000}Alice@Example.org ", "password": PASSWORD, "locale": "zh-Hant-TW",
    });
    let answer = register(&app, &body).await;
    assert_eq!(answer.status, 201);
    assert_snapshot!(app.me(&answer.access_token()).await.shown(), @r#"
    200
    {
      "id": "[uuid]",
      "username": "Alice.W",
      "email": "Alice@example.org",
      "email_verified": false,
      "has_password": true,
      "locale": "zh-Hant-TW",
      "timezone": null,
      "created_at": "2026-01-01T00:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_language_need_not_be_one_that_mails_exist_in() {
    let app = TestApp::open().await;
    for (number, (locale, kept)) in [
        (Value::Null, "en"),
        (json!(""), "en"),
        (json!("zh-CN"), "zh-CN"),
        (json!("tlh"), "tlh"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = registration(&format!("user-{number}"));
        body["locale"] = locale;
        let answer = register(&app, &body).await;
        assert_eq!(app.me(&answer.access_token()).await.json()["locale"], kept);
    }
}

#[tokio::test]
async fn while_the_captcha_is_off_its_token_is_not_looked_at() {
    let app = TestApp::open().await;
    let answer = register(&app, &with("cf_turnstile_token", "anything")).await;
    assert_eq!(answer.status, 201);
}
