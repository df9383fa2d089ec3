//! The texts of every letter in every language.

use insta::assert_snapshot;
use strum::VariantArray;

use super::{
    ADDRESS, CODE, INVITE, LINK, RESET_PAGE, SERVICE, compose, compose_under, letterhead, letters,
    set_password,
};
use crate::domain::{Language, Letter, LinkOccasion, MailKind, RemovalOccasion, ServiceName};
use crate::mail::{Letterhead, WayToReset};

const LOCALES: [&str; 2] = ["en", "zh-CN"];

/// `html` with its character references resolved.
fn resolve(html: &str) -> String {
    html.replace("&#x2f;", "/").replace("&amp;", "&")
}

#[test]
fn every_kind_of_mail_is_among_the_tried_letters() {
    let tried: Vec<MailKind> = letters("alice").iter().map(Letter::kind).collect();
    for kind in MailKind::VARIANTS {
        assert!(tried.contains(kind), "{kind}");
    }
}

#[test]
fn every_mail_reads_in_every_language_and_carries_its_code_and_link() {
    for tag in LOCALES {
        for letter in letters("alice-w") {
            let mail = compose(&letter, tag);
            let html = resolve(&mail.html);
            let (username, code, link) = match &letter {
                Letter::SignInCode { .. } => (None, Some(CODE), None),
                Letter::Invite { link, .. } => (None, Some(INVITE), link.as_deref()),
                Letter::PasswordChanged { .. }
                | Letter::AccountRemoved { .. }
                | Letter::AccountDeleted { .. }
                | Letter::ChangeRequested { .. }
                | Letter::AddressWanted { .. } => (Some("alice-w"), None, None),
                Letter::AccountTakenBack { link, .. } | Letter::EmailChanged { undo: link, .. } => {
                    (Some("alice-w"), None, link.as_deref())
                }
                Letter::Test => (None, None, None),
                _ => (Some("alice-w"), None, Some(LINK)),
            };
            for part in [username, code, link].into_iter().flatten() {
                assert!(
                    mail.text.lines().any(|line| line.contains(part)),
                    "{tag} {letter:?}"
                );
                assert!(html.contains(&format!(">{part}<")), "{tag} {letter:?}");
                assert!(
                    !mail.subject.contains(part),
                    "{tag} {letter:?}: a subject is seen by many"
                );
            }
            let links = html.replace(&format!("href=\"{RESET_PAGE}\""), "");
            assert_eq!(links.contains("href="), link.is_some(), "{tag} {letter:?}");
            if let Some(link) = link {
                assert_eq!(
                    html.matches(&format!("href=\"{link}\"")).count(),
                    2,
                    "{tag} {letter:?}"
                );
                assert!(mail.text.lines().any(|line| line == link), "{tag} {letter:?}");
            }
        }
    }
}

#[test]
fn no_trace_of_the_templates_is_left_and_nothing_is_loaded() {
    for tag in LOCALES {
        for letter in letters("alice") {
            let mail = compose(&letter, tag);
            for text in [&mail.subject, &mail.text, &mail.html] {
                for trace in ["{{", "{%", "{#", "none", "undefined"] {
                    // Styles such as `display:none` come from the layout.
                    let text = text
                        .replace("display:none", "")
                        .replace("text-decoration:none", "");
                    assert!(!text.contains(trace), "{tag} {letter:?}: {trace}");
                }
            }
            for loader in ["src=", "url(", "<img", "<link", "<script", "@import"] {
                assert!(!mail.html.contains(loader), "{tag} {letter:?}: {loader}");
            }
            assert!(!mail.subject.contains('\n') && !mail.subject.is_empty());
            assert!(!mail.text.contains("\n\n\n"), "{tag} {letter:?}");
        }
    }
}

#[test]
fn a_mail_says_how_long_its_code_or_link_works() {
    for (letter, english, chinese) in [
        (0, "24 hours", "24 小时"),
        (1, "10 minutes", "10 分钟"),
        (2, "1 hour", "1 小时"),
        (3, "7 days", "7 天"),
        (4, "7 days", "7 天"),
        (6, "7 days", "7 天"),
        (10, "1 hour", "1 小时"),
        (13, "3 days", "3 天"),
        (16, "1 hour", "1 小时"),
    ] {
        let letter = &letters("alice")[letter];
        for (tag, lifetime) in [("en", english), ("zh", chinese)] {
            let mail = compose(letter, tag);
            let text = mail.text.replace('\n', " ");
            assert!(text.contains(lifetime), "{tag} {letter:?}");
            assert!(mail.html.contains(lifetime), "{tag} {letter:?}");
        }
    }
}

#[test]
fn lines_of_text_are_short_enough_for_any_program() {
    // A Chinese character is as wide as two letters. RFC 5322 §2.1.1 recommends at most 78 characters a line.
    let width = |line: &str| {
        line.chars()
            .map(|c| if c.is_ascii() { 1 } else { 2 })
            .sum::<usize>()
    };
    for tag in LOCALES {
        for letter in letters(&"a".repeat(32)) {
            let mail = compose(&letter, tag);
            for line in mail.text.lines().filter(|line| *line != LINK) {
                assert!(width(line) <= 78, "{tag} {letter:?}: {line}");
            }
        }
    }
}

#[test]
fn a_hostile_name_stays_text() {
    let name = "<img src=x onerror=alert(1)>\"'&";
    for tag in LOCALES {
        for letter in letters(name) {
            let mail = compose(&letter, tag);
            assert!(!mail.html.contains("<img"), "{tag} {letter:?}");
            assert!(!mail.html.contains("\"'&"), "{tag} {letter:?}");
        }
    }
    let hostile_link = Letter::ResetPassword {
        username: "alice".to_owned(),
        link: "https://example.org/\" onmouseover=\"alert(1)".to_owned(),
    };
    assert!(!compose(&hostile_link, "en").html.contains("\" onmouseover"));
}

/// Whether some mail program turns a part of `text` into a link: a host, an address, or seven digits with separators as in a telephone number.
fn is_linked(text: &str) -> bool {
    let is_in_host = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_host = text.split(|c| !is_in_host(c)).any(|word| {
        word.contains('@')
            || word.split('.').filter(|label| !label.is_empty()).count() > 1 && word.contains('.')
    });
    let is_number = text
        .split(|c: char| !c.is_ascii_digit() && !" .-_()".contains(c))
        .any(|part| part.bytes().filter(u8::is_ascii_digit).count() >= 7);
    is_host || is_number
}

#[test]
fn no_name_is_made_a_link_of_by_any_mail_program() {
    for linked in [
        "see a.b",
        "x.co",
        "www.paypal-login.com!",
        "mail ann@example",
        "1-800-555-0199",
    ] {
        assert!(is_linked(linked), "{linked}");
    }
    for name in [
        "www.paypal-login.com",
        "paypal.com",
        "a.b",
        "x.co",
        "A.B.C",
        "10.0.0.1",
        "a_b.c-d",
        "18005550199",
        "1-800-555-0199",
        "1.800.555.0199",
        "call.0800123456.now",
        "www-example.com",
    ] {
        for tag in LOCALES {
            for letter in letters(name) {
                let mail = compose(&letter, tag);
                // No program makes a link of stars.
                let without_link = |text: &str| {
                    let text = text.replace(LINK, "").replace(RESET_PAGE, "");
                    text.replace(ADDRESS, "")
                };
                assert!(!is_linked(&mail.subject), "{tag} {name} {}", mail.subject);
                for line in mail.text.lines().map(without_link) {
                    assert!(!is_linked(&line), "{tag} {name}: {line}");
                }
                // A reader of the HTML sees the text between tags.
                let html = resolve(&mail.html);
                let body = html.split_once("<body").map_or("", |(_, body)| body);
                for shown in body.split('<').filter_map(|part| part.split_once('>')) {
                    assert!(!is_linked(&without_link(shown.1)), "{tag} {name}: {}", shown.1);
                }
            }
        }
    }
    let removed = super::removed("ann.b-1980", RemovalOccasion::Rejected);
    assert!(compose(&removed, "en").text.contains("Account: ann . b-1980"));
}

#[test]
fn the_language_follows_the_locale() {
    for (tag, subject, lang) in [
        ("zh-Hant-TW", "【Example】您的登录验证码", "lang=\"zh-Hans\""),
        ("fr", "Example: Your sign-in code", "lang=\"en\""),
    ] {
        let mail = compose(&super::sign_in_code(), tag);
        assert_eq!(mail.subject, subject);
        assert!(mail.html.contains(lang));
    }
    let chinese = Letterhead {
        language: Language::Chinese,
        ..letterhead()
    };
    for (tag, subject) in [
        ("fr", "【Example】您的登录验证码"),
        ("en", "Example: Your sign-in code"),
    ] {
        let mail = compose_under(chinese.clone(), &super::sign_in_code(), tag);
        assert_eq!(mail.subject, subject);
    }
}

#[test]
fn every_mail_says_which_service_it_comes_from_and_why_it_came() {
    for (tag, reason) in [
        ("en", "You receive this mail because "),
        ("zh", "您收到这封邮件，是因为"),
    ] {
        for letter in letters("alice") {
            let mail = compose(&letter, tag);
            assert!(mail.subject.contains(SERVICE), "{tag} {letter:?}");
            assert_eq!(mail.text.lines().next(), Some(SERVICE), "{tag} {letter:?}");
            assert!(
                mail.html.contains(&format!("<title>{SERVICE}: ")),
                "{tag} {letter:?}"
            );
            assert!(mail.html.contains(&format!(">{SERVICE}</p>")), "{tag} {letter:?}");
            for text in [&mail.text, &mail.html] {
                assert!(text.contains(reason), "{tag} {letter:?}");
                assert!(!text.contains("Arkloop"), "{tag} {letter:?}");
            }
        }
    }
}

#[test]
fn a_service_is_called_what_it_is_called_and_nothing_of_it_is_html() {
    let name = "示例 <img src=x> \"A & B\" {{ link }} www.example.org";
    let hostile = Letterhead {
        name: ServiceName::parse(name).expect("it is a name"),
        ..letterhead()
    };
    for tag in LOCALES {
        for letter in letters("alice") {
            let mail = compose_under(hostile.clone(), &letter, tag);
            assert!(mail.subject.contains(name), "{}", mail.subject);
            assert_eq!(mail.text.lines().next(), Some(name), "{tag} {letter:?}");
            assert!(!mail.html.contains("<img"), "{tag} {letter:?}");
            assert!(mail.html.contains("示例 &lt;img src=x&gt;"), "{tag} {letter:?}");
        }
    }
}

#[test]
fn a_mail_advises_nothing_that_is_not_there() {
    const BUTTONS: [&str; 4] = [
        "Yes, this is my account",
        "This was not me",
        "是的，这是我的账号",
        "不是我本人”",
    ];
    const FORGOTTEN: [&str; 2] = ["Forgot password", "忘记密码"];
    for (reset, has_verify_page) in [
        (WayToReset::Page(RESET_PAGE.to_owned()), true),
        (WayToReset::App, false),
        (WayToReset::Operator, false),
    ] {
        let letterhead = Letterhead {
            reset: reset.clone(),
            has_verify_page,
            ..letterhead()
        };
        let mut said = String::new();
        for tag in LOCALES {
            for letter in letters("alice") {
                let mail = compose_under(letterhead.clone(), &letter, tag);
                said.push_str(&mail.text);
                said.push_str(&mail.html);
            }
        }
        let is_said = |words: &[&str]| words.iter().any(|word| said.contains(word));
        assert_eq!(is_said(&BUTTONS), has_verify_page, "{reset:?}");
        assert_eq!(is_said(&FORGOTTEN), reset == WayToReset::App, "{reset:?}");
        assert_eq!(
            is_said(&[RESET_PAGE]),
            reset != WayToReset::App && reset != WayToReset::Operator
        );
    }
}

#[test]
fn a_link_that_the_operator_makes_is_told_from_a_new_account() {
    let subjects = [LinkOccasion::NewAccount, LinkOccasion::NewLink]
        .map(|occasion| compose(&set_password("alice", occasion), "en").subject);
    assert_eq!(
        subjects,
        [
            "Example: Set a password for your new account",
            "Example: Set a password for your account"
        ]
    );
}

#[test]
fn the_owner_of_a_wanted_address_is_not_told_who_wants_it() {
    for tag in LOCALES {
        let wanted = Letter::AddressWanted {
            username: "alice".to_owned(),
        };
        let mail = compose(&wanted, tag);
        assert!(mail.text.contains("alice"), "{tag}");
        assert!(
            !mail.html.contains("href=") && !mail.text.contains("://"),
            "{tag}"
        );
    }
}

#[test]
fn the_former_address_is_told_the_masked_address_and_what_the_undo_does() {
    assert_snapshot!(compose(&super::email_changed("alice", Some(LINK.to_owned())), "en").text, @"
    Example

    The address of your account was changed

    This account has another e-mail address now. Mails about it go there
    from now on, and other devices have been signed out.

        Account: alice
        New address: b***@n***

    If that was you, there is nothing to do. If it was not you, do not
    change the address back yourself: take the account back on this page.

    https://auth.example.org/verify#token=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE

    The link works once, within 3 days. It signs out all devices,
    removes the password, and undoes all later changes. While the link
    works, no other account can have this address.

    You receive this mail because the account belonged to this address. It
    is sent after every change of the address.
    ");
    assert_snapshot!(compose(&super::email_changed("alice", None), "zh").text, @"
    Example

    您账号的邮箱已更换

    以下账号现已使用另一个邮箱地址，今后的邮件将发往该邮箱，
    其他设备均已退出登录。

        账号：alice
        新邮箱：b***@n***

    如果不是您本人操作，请立即告知管理员。

    您收到这封邮件，是因为该账号曾使用此邮箱地址。每次更换邮箱后，
    我们都会发送这样的通知。
    ");
}

#[test]
fn words_are_not_printed() {
    let mail = compose(&super::sign_in_code(), "en");
    assert_eq!(format!("{mail:?}"), "Message(…)");
}
