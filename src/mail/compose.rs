//! From a letter to words: subject, text and HTML in one language.

use std::fmt;

use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};

use super::language::Language;
use crate::domain::{Email, Letter, Locale, MailKind};

/// The templates of one mail in one language.
type Sources = [(&'static str, &'static str); 3];

/// Name and text of the three templates of a mail. The file must exist, or the program does not compile.
macro_rules! sources {
    ($directory:literal) => {
        [
            sources!($directory, "/subject.txt"),
            sources!($directory, "/body.txt"),
            sources!($directory, "/body.html"),
        ]
    };
    ($directory:literal, $file:literal) => {
        (
            concat!($directory, $file),
            include_str!(concat!("templates/", $directory, $file)),
        )
    };
}

const LAYOUT: (&str, &str) = ("layout.html", include_str!("templates/layout.html"));

const fn sources(language: Language, kind: MailKind) -> Sources {
    match (language, kind) {
        (Language::English, MailKind::VerifyEmail) => sources!("en/verify_email"),
        (Language::English, MailKind::SignInCode) => sources!("en/sign_in_code"),
        (Language::English, MailKind::ResetPassword) => sources!("en/reset_password"),
        (Language::English, MailKind::SetPassword) => sources!("en/set_password"),
        (Language::English, MailKind::PasswordChanged) => sources!("en/password_changed"),
        (Language::English, MailKind::AccountTakenBack) => sources!("en/account_taken_back"),
        (Language::English, MailKind::AccountRemoved) => sources!("en/account_removed"),
        (Language::English, MailKind::Invite) => sources!("en/invite"),
        (Language::English, MailKind::Test) => sources!("en/test"),
        (Language::Chinese, MailKind::VerifyEmail) => sources!("zh/verify_email"),
        (Language::Chinese, MailKind::SignInCode) => sources!("zh/sign_in_code"),
        (Language::Chinese, MailKind::ResetPassword) => sources!("zh/reset_password"),
        (Language::Chinese, MailKind::SetPassword) => sources!("zh/set_password"),
        (Language::Chinese, MailKind::PasswordChanged) => sources!("zh/password_changed"),
        (Language::Chinese, MailKind::AccountTakenBack) => sources!("zh/account_taken_back"),
        (Language::Chinese, MailKind::AccountRemoved) => sources!("zh/account_removed"),
        (Language::Chinese, MailKind::Invite) => sources!("zh/invite"),
        (Language::Chinese, MailKind::Test) => sources!("zh/test"),
    }
}

/// Writes letters. The templates are part of the program.
pub struct Composer {
    templates: Environment<'static>,
}

impl Composer {
    /// Reads all templates; make one and keep it.
    pub fn new() -> Self {
        const REASON: &str = "the templates are compiled in, and a test parses them all";
        let mut templates = Environment::new();
        // A name that the context lacks is a fault in a template, not an empty place in a mail.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template(LAYOUT.0, LAYOUT.1).expect(REASON);
        for language in Language::ALL {
            for kind in MailKind::ALL {
                for (name, source) in sources(language, kind) {
                    templates.add_template(name, source).expect(REASON);
                }
            }
        }
        Self { templates }
    }

    /// Writes `letter` to the owner of `to` in the mail language nearest to `locale`.
    pub fn compose(&self, letter: &Letter, to: &Email, locale: &Locale) -> Composed {
        let language = Language::nearest(locale);
        let context = context(letter, language);
        let [subject, text, html] = sources(language, letter.kind()).map(|(name, _)| {
            self.templates
                .get_template(name)
                .and_then(|template| template.render(&context))
                .expect("a test renders every mail in every language")
        });
        Composed {
            to: to.as_str().to_owned(),
            subject,
            text,
            html,
        }
    }
}

impl Default for Composer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composer(…)")
    }
}

/// What the templates may name. Each name is there for every letter, so that the layout can ask for it.
fn context(letter: &Letter, language: Language) -> Value {
    let (username, code, link) = match letter {
        Letter::VerifyEmail { username, link }
        | Letter::ResetPassword { username, link }
        | Letter::SetPassword { username, link } => (Some(username), None, Some(link)),
        Letter::AccountTakenBack { username, link } => (Some(username), None, link.as_ref()),
        Letter::PasswordChanged { username } | Letter::AccountRemoved { username } => {
            (Some(username), None, None)
        }
        Letter::SignInCode { code, .. } => (None, Some(code), None),
        Letter::Invite { code, link } => (None, Some(code), link.as_ref()),
        Letter::Test => (None, None, None),
    };
    let minutes = match letter {
        Letter::SignInCode { minutes, .. } => Some(*minutes),
        _ => None,
    };
    context! {
        language => language.tag(),
        username => username.map(|username| unlinkable(username)),
        code => code.map(String::as_str),
        link => link.map(String::as_str),
        minutes,
    }
}

/// A username as it stands in a mail. A stranger may have chosen it, and mail programs make a link of whatever looks like a host or a telephone number.
/// So dots stand apart, and many digits are cut short. (Invisible characters between them would be gone after pasting, and some programs drop them.)
fn unlinkable(username: &str) -> String {
    /// The shortest telephone number that programs look for has seven.
    const FEWEST_DIGITS: usize = 7;
    const SHOWN_DIGITS: usize = 4;
    let digits = || username.char_indices().filter(|(_, c)| c.is_ascii_digit());
    let cut = (digits().count() >= FEWEST_DIGITS)
        .then(|| digits().nth(SHOWN_DIGITS))
        .flatten();
    let shown = match cut {
        Some((end, _)) => format!("{}…", &username[..end]),
        None => username.to_owned(),
    };
    shown.replace('.', " . ")
}

/// A letter in words. It holds what the reader alone may know, so it is stored sealed and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composed {
    /// The address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The body for programs that show text.
    pub text: String,
    /// The body for programs that show HTML.
    pub html: String,
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composed(…)")
    }
}
