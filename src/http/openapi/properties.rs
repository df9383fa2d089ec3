//! The schemas of the document accept every text that the server accepts. Otherwise a client that validates against them would refuse valid input.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;

use crate::domain::properties::{almost, wild_text};
use crate::domain::{
    AccountName, Email, FlowToken, LinkToken, Locale, MIN_PASSWORD_CHARS, OneTimeCode, Password,
    PasswordGuess, Timezone, Username,
};

fn document() -> Value {
    serde_json::from_str(&crate::http::document()).expect("it is JSON")
}

/// One member of a request body.
struct Member {
    place: String,
    is_accepted: fn(&str) -> bool,
    is_required: bool,
    /// The fewest and the most characters.
    length: (u64, u64),
    pattern: Option<Regex>,
}

static MEMBERS: LazyLock<Vec<Member>> = LazyLock::new(|| {
    let document = document();
    let schemas = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    let requests = schemas.filter(|(name, _)| name.ends_with("Request"));
    requests
        .flat_map(|(name, schema)| members(name, schema))
        .collect()
});

fn members(schema: &str, request: &Value) -> Vec<Member> {
    let required: BTreeSet<&str> = request["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = request["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, member)| {
            for keyword in ["not", "enum", "format", "oneOf", "anyOf", "allOf"] {
                assert!(member.get(keyword).is_none(), "{schema}.{name} has {keyword}");
            }
            Member {
                place: format!("{schema}.{name}"),
                is_accepted: parser(schema, name),
                is_required: required.contains(name.as_str()),
                length: (
                    member["minLength"].as_u64().unwrap_or_default(),
                    member["maxLength"].as_u64().unwrap_or(u64::MAX),
                ),
                pattern: member["pattern"]
                    .as_str()
                    .map(|text| Regex::new(text).expect("it is a pattern")),
            }
        })
        .collect()
}

/// Returns the function that says whether the server accepts a non-empty text as this member.
fn parser(schema: &str, member: &str) -> fn(&str) -> bool {
    let new_password = |text: &str| Password::parse(text, MIN_PASSWORD_CHARS, &[]).is_ok();
    match (schema, member) {
        ("RegisterRequest", "login") | (_, "username") => |text| Username::parse(text).is_ok(),
        (_, "login" | "identity") => |text| AccountName::parse(text).is_ok(),
        (_, "email" | "new_email") => |text| Email::parse(text).is_ok(),
        ("RegisterRequest", "password") | (_, "new_password") => new_password,
        (_, "password" | "current_password") => |text| PasswordGuess::parse(text).is_ok(),
        (_, "locale") => |text| Locale::from_hint(text).is_ok(),
        (_, "timezone") => |text| Timezone::parse(text).is_ok(),
        (_, "token") => |text| LinkToken::parse(text).is_ok(),
        (_, "flow_token") => |text| FlowToken::parse(text).is_ok(),
        (_, "otp" | "code") => |text| OneTimeCode::parse(text).is_ok(),
        // The server accepts these in any form.
        (_, "invite_code" | "cf_turnstile_token") => |_| true,
        _ => panic!("this test knows no parser for {schema}.{member}"),
    }
}

impl Member {
    fn is_documented(&self, text: &str) -> bool {
        let length = text.chars().count() as u64;
        let has_length = (self.length.0..=self.length.1).contains(&length);
        has_length && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    /// Whether the server accepts `text`. Panics if it does and the document does not.
    fn judge(&self, text: &str) -> bool {
        let is_accepted = if text.is_empty() {
            !self.is_required
        } else {
            (self.is_accepted)(text)
        };
        assert!(
            !is_accepted || self.is_documented(text),
            "{}: the server accepts {text:?}, and the document does not",
            self.place
        );
        is_accepted
    }
}

/// Texts many of which some member accepts.
fn plausible() -> impl Strategy<Value = String> {
    let written = [
        "",
        "alice",
        "alice@example.org",
        "a.b+c@sub.example.org",
        "A_b-c.9",
        "correct horse battery staple",
        "ABCD-EFGH-JKMN-PQRS",
        "１２３４５６",
        "123 456.",
        "en",
        "zh_CN.UTF-8",
        "sr_RS@latin",
        "C",
        "i-klingon",
        "Europe/Berlin",
        "Etc/GMT+1",
        "America/Argentina/Buenos_Aires",
        "us/pacific",
        "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw",
    ];
    let domain = prop::sample::select(vec![
        "bücher.example",
        "例え。jp",
        "ｅｘａｍｐｌｅ．org",
        "xn--bcher-kva.example",
        "localhost",
        "ﬁ.example",
        "a\u{ad}b.example",
    ]);
    // Unicode normalisation makes some of these shorter and others longer.
    let letter = prop::sample::select(vec![
        "a",
        "Z",
        "9",
        " ",
        "é",
        "e\u{301}",
        "\u{1d160}",
        "\u{958}",
        "ᾂ",
        "\u{1100}\u{1161}\u{11a8}",
        "😀",
        "\u{3000}",
    ]);
    prop_oneof![
        prop::sample::select(written.to_vec()).prop_map(str::to_owned),
        "[A-Za-z0-9][A-Za-z0-9._-]{0,30}[A-Za-z0-9]",
        ("[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}", domain).prop_map(|(local, domain)| format!("{local}@{domain}")),
        prop::collection::vec(letter, 1..400).prop_map(|letters| letters.concat()),
        "[!-~]{1,40}",
        ".{200,300}",
        wild_text(),
    ]
}

/// White space and format characters that people and programs leave around a text.
fn around() -> impl Strategy<Value = String> {
    let pieces = vec![
        " ",
        "\t",
        "\r\n",
        "\u{85}",
        "\u{a0}",
        "\u{2003}",
        "\u{2028}",
        "\u{3000}",
        "\u{200b}",
        "\u{feff}",
        "\u{ad}",
        "\u{e0020}",
        "\u{1d173}",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..4).prop_map(|pieces| pieces.concat())
}

#[test]
fn every_member_accepts_its_example() {
    let document = document();
    for member in MEMBERS.iter() {
        let (schema, name) = member.place.split_once('.').expect("it is a place");
        let example = &document["components"]["schemas"][schema]["properties"][name]["example"];
        assert!(
            member.judge(example.as_str().expect("it has an example")),
            "{}",
            member.place
        );
    }
    assert!(MEMBERS.len() > 20, "{}", MEMBERS.len());
}

/// See `http/api/fields.rs` for the reason.
#[test]
fn the_document_contains_no_line_separator() {
    let document = document().to_string();
    for separator in ['\u{2028}', '\u{2029}'] {
        let escaped = format!("u{:04x}", u32::from(separator));
        assert!(
            !document.contains(separator) && !document.to_lowercase().contains(&escaped),
            "{escaped}"
        );
    }
}

proptest! {
    #[test]
    fn the_schema_accepts_what_the_server_accepts(text in almost(plausible()), before in around(), after in around()) {
        for member in MEMBERS.iter() {
            member.judge(&text);
            member.judge(&format!("{before}{text}{after}"));
        }
    }
}
