//! Tests of the module as a whole: every letter in every language, the formatted message, each transport.

mod conversation;
mod files;
mod letters;
mod message;
mod settings;

use super::{Composer, Letterhead, Message, WayToReset};
use crate::domain::{
    Attempts, Email, Language, Letter, LinkOccasion, Locale, MailId, QueuedMail, RemovalOccasion, Sealed,
    ServiceName, Timestamp,
};

const CODE: &str = "047193";
const INVITE: &str = "ABCD-EFGH-JKMN-PQRS";
const LINK: &str = "https://auth.example.org/verify#token=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE";
/// The new address of an account, masked.
const ADDRESS: &str = "b***@n***";
const MESSAGE_ID: &str = "<0198c5a2-7d1e-7000-8000-000000000001@auth.example.org>";
const FROM: &str = "Example <no-reply@example.org>";
const SERVICE: &str = "Example";
const RESET_PAGE: &str = "https://auth.example.org/reset";
/// 2026-01-01T00:00:00Z.
const CREATED_AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Ten minutes later.
const EXPIRES_AT: Timestamp = Timestamp::from_millis(1_767_226_200_000);

/// The letters of each kind; two where a letter depends on its occasion, or on whether there is a link.
fn letters(username: &str) -> Vec<Letter> {
    let (username, link) = (username.to_owned(), LINK.to_owned());
    vec![
        Letter::VerifyEmail {
            username: username.clone(),
            link: link.clone(),
        },
        sign_in_code(),
        Letter::ResetPassword {
            username: username.clone(),
            link: link.clone(),
        },
        set_password(&username, LinkOccasion::NewAccount),
        set_password(&username, LinkOccasion::NewLink),
        Letter::PasswordChanged {
            username: username.clone(),
        },
        Letter::AccountTakenBack {
            username: username.clone(),
            link: Some(link.clone()),
        },
        Letter::AccountTakenBack {
            username: username.clone(),
            link: None,
        },
        removed(&username, RemovalOccasion::Rejected),
        removed(&username, RemovalOccasion::Moved),
        Letter::ChangeEmail {
            username: username.clone(),
            link: link.clone(),
        },
        Letter::ChangeRequested {
            username: username.clone(),
            address: ADDRESS.to_owned(),
        },
        Letter::AddressWanted {
            username: username.clone(),
        },
        email_changed(&username, Some(link.clone())),
        email_changed(&username, None),
        Letter::AccountDeleted {
            username: username.clone(),
        },
        Letter::ChangeUndone {
            username,
            link: link.clone(),
        },
        Letter::Invite {
            code: INVITE.to_owned(),
            link: Some(link),
        },
        Letter::Invite {
            code: INVITE.to_owned(),
            link: None,
        },
        Letter::Test,
    ]
}

pub(super) fn sign_in_code() -> Letter {
    Letter::SignInCode {
        code: CODE.to_owned(),
    }
}

fn set_password(username: &str, occasion: LinkOccasion) -> Letter {
    Letter::SetPassword {
        username: username.to_owned(),
        link: LINK.to_owned(),
        occasion,
    }
}

fn removed(username: &str, occasion: RemovalOccasion) -> Letter {
    Letter::AccountRemoved {
        username: username.to_owned(),
        occasion,
    }
}

fn email_changed(username: &str, undo: Option<String>) -> Letter {
    Letter::EmailChanged {
        username: username.to_owned(),
        address: ADDRESS.to_owned(),
        undo,
    }
}

/// The letterhead of a server with all built-in pages.
fn letterhead() -> Letterhead {
    Letterhead {
        name: ServiceName::parse(SERVICE).expect("it is a name"),
        language: Language::English,
        reset: WayToReset::Page(RESET_PAGE.to_owned()),
        has_verify_page: true,
    }
}

fn locale(tag: &str) -> Locale {
    Locale::from_stored(tag.to_owned())
}

pub(super) fn compose(letter: &Letter, tag: &str) -> Message {
    compose_under(letterhead(), letter, tag)
}

fn compose_under(letterhead: Letterhead, letter: &Letter, tag: &str) -> Message {
    let to = Email::parse("alice@example.org").expect("the address is valid");
    Composer::new(letterhead).compose(letter, &to, &locale(tag))
}

/// A mail in the outbox for `letter`. Its sealed content is empty.
fn queued(letter: &Letter) -> QueuedMail {
    let id: MailId = MESSAGE_ID[1..37].parse().expect("it is an id");
    QueuedMail {
        id,
        kind: letter.kind().to_string(),
        user_id: None,
        sealed: Sealed(Vec::new()),
        message_id: MESSAGE_ID.to_owned(),
        created_at: CREATED_AT,
        expires_at: EXPIRES_AT,
        next_attempt_at: CREATED_AT,
        domain: None,
        is_urgent: false,
        attempts: Attempts::default(),
    }
}
