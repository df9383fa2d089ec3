//! The formatted message, read by a parser of another library than the one that wrote it.

use mail_parser::MessageParser;

use super::{CODE, CREATED_AT, FROM, MESSAGE_ID, compose, letters, queued, sign_in_code};
use crate::domain::{Letter, QueuedMail};
use crate::mail::message::build;
use crate::mail::{Message, SendError, Verdict};

fn bytes(mail: &QueuedMail, message: &Message, from: &str) -> Result<Vec<u8>, SendError> {
    let from = from.parse().expect("the sender is valid");
    build(mail, message, &from).map(|message| message.formatted())
}

fn message_of(letter: &Letter, tag: &str) -> Vec<u8> {
    let composed = compose(letter, tag);
    bytes(&queued(letter), &composed, FROM).expect("the letter is well formed")
}

fn parse(bytes: &[u8]) -> mail_parser::Message<'_> {
    MessageParser::default()
        .parse(bytes)
        .expect("the parser reads the message")
}

#[test]
fn the_head_of_a_message_is_complete() {
    let bytes = message_of(&sign_in_code(), "zh");
    let head = String::from_utf8(bytes.clone()).expect("the message is ASCII");
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    insta::assert_snapshot!(head.replace("\r\n", "\n"), @r#"
    From: Example <no-reply@example.org>
    To: alice@example.org
    Subject: =?utf-8?b?44CQRXhhbXBsZeOAkeaCqOeahOeZu+W9lemqjOivgeeggQ==?=
    Date: Thu, 01 Jan 2026 00:00:00 +0000
    Message-ID: <0198c5a2-7d1e-7000-8000-000000000001@auth.example.org>
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: multipart/alternative; boundary="=_arkloop_alternative"
    "#);

    let message = parse(&bytes);
    assert_eq!(message.subject(), Some("【Example】您的登录验证码"));
    assert_eq!(message.message_id(), Some(MESSAGE_ID.trim_matches(['<', '>'])));
    let date = message.date().map(mail_parser::DateTime::to_timestamp);
    assert_eq!(date, Some(CREATED_AT.as_seconds()));
    let from = message.from().and_then(|from| from.first());
    assert_eq!(from.and_then(|from| from.name()), Some("Example"));
    assert_eq!(from.and_then(|from| from.address()), Some("no-reply@example.org"));
    let to = message.to().and_then(|to| to.first());
    assert_eq!(to.and_then(|to| to.address()), Some("alice@example.org"));
}

#[test]
fn both_bodies_arrive_as_they_were_written() {
    for tag in ["en", "zh"] {
        for letter in letters("alice") {
            let composed = compose(&letter, tag);
            let bytes = message_of(&letter, tag);
            let message = parse(&bytes);
            let unix = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
            let text = message.body_text(0).expect("there is a text");
            let html = message.body_html(0).expect("there is HTML");
            assert_eq!(unix(&text), unix(&composed.text), "{tag} {letter:?}");
            assert_eq!(unix(&html), unix(&composed.html), "{tag} {letter:?}");
            assert_eq!((message.text_body_count(), message.html_body_count()), (1, 1));
            assert_eq!(message.attachment_count(), 0);
        }
    }
}

#[test]
fn a_message_is_ascii_in_lines_that_every_server_takes_and_the_same_each_time() {
    for letter in letters("alice") {
        let bytes = message_of(&letter, "zh");
        assert!(bytes.is_ascii());
        assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 998));
        assert_eq!(bytes, message_of(&letter, "zh"), "{letter:?}");
    }
}

#[test]
fn no_header_can_be_smuggled_in() {
    let letter = sign_in_code();
    let good = compose(&letter, "en");
    for to in [
        "a@b.org\r\nBcc: c@d.org",
        "a@b.org\n",
        "a b@c.org",
        "\"a\r\n\"@b.org",
        "a",
        "ä@b.org",
        "",
    ] {
        let composed = Message {
            to: to.to_owned(),
            ..good.clone()
        };
        let refused = bytes(&queued(&letter), &composed, FROM).expect_err(to);
        assert_eq!(refused.verdict(), Verdict::Final, "{to:?}");
        assert!(!refused.to_string().contains('@'), "{refused}");
    }
    for subject in ["Hello\r\nBcc: c@d.org", "Hello\nBcc: c@d.org", "\0"] {
        let composed = Message {
            subject: subject.to_owned(),
            ..good.clone()
        };
        assert!(bytes(&queued(&letter), &composed, FROM).is_err(), "{subject:?}");
    }
    for message_id in ["<a@b>\r\nBcc: c@d.org", "<a@b>\r\nX: <", "a@b", "<a b@c>", ""] {
        let mail = QueuedMail {
            message_id: message_id.to_owned(),
            ..queued(&letter)
        };
        assert!(bytes(&mail, &good, FROM).is_err(), "{message_id:?}");
    }
}

#[test]
fn a_sender_may_have_a_name_in_any_script_but_no_line_break() {
    let letter = sign_in_code();
    let composed = compose(&letter, "en");
    let bytes = bytes(
        &queued(&letter),
        &composed,
        "\"方舟, 登录\" <no-reply@example.org>",
    );
    let bytes = bytes.expect("the sender is valid");
    let name = parse(&bytes).from().and_then(|from| from.first()?.name.clone());
    assert_eq!(name.as_deref(), Some("方舟, 登录"));
}

#[test]
fn every_address_that_an_account_can_have_can_be_mailed() {
    let letter = sign_in_code();
    let longest = format!("{}@{}.org", "a".repeat(64), "b".repeat(63));
    for to in [
        "!#$%&'*+-/=?^_`{|}~@x.org",
        "a@localhost",
        "a.b@xn--bcher-kva.example",
        "0@1.a",
        &longest,
    ] {
        let to = crate::domain::Email::parse(to).expect("the address is valid");
        let composed = Message {
            to: to.as_str().to_owned(),
            ..compose(&letter, "en")
        };
        let bytes = bytes(&queued(&letter), &composed, FROM).unwrap_or_else(|error| panic!("{to}: {error}"));
        let message = parse(&bytes);
        let address = message.to().and_then(|to| to.first()?.address.clone());
        assert_eq!(address.as_deref(), Some(to.as_str()));
    }
}

#[test]
fn a_message_is_not_printed() {
    let message = compose(&sign_in_code(), "en");
    assert!(!format!("{message:?}").contains(CODE));
}
