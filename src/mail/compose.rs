//! Writes a letter as a message: subject, text and HTML in one language.

use std::fmt;
use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::domain::{Email, Language, Letter, LinkOccasion, Locale, MailKind, ServiceName};

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

/// What mails say of the service that sends them.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// What it is called.
    pub name: ServiceName,
    /// The language of those whose own is none of [`Language`].
    pub language: Language,
    /// How the owner of an account gets another password.
    pub reset: WayToReset,
    /// Whether links to verify an address lead to the built-in page, whose buttons a mail can name.
    pub has_verify_page: bool,
}

/// How the owner of an account gets another password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayToReset {
    /// The built-in page at this address asks for a mail.
    Page(String),
    /// The app does.
    App,
    /// There is no page for it.
    Operator,
}

/// Writes letters. The templates are part of the program.
pub struct Composer {
    templates: Environment<'static>,
    letterhead: Letterhead,
}

impl Composer {
    /// Reads all templates; make one and keep it.
    pub fn new(letterhead: Letterhead) -> Self {
        const REASON: &str = "the templates are compiled in, and a test parses them all";
        let mut templates = Environment::new();
        // A name that the context lacks is a fault in a template, not an empty place in a mail.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template(LAYOUT.0, LAYOUT.1).expect(REASON);
        for language in Language::VARIANTS {
            for kind in MailKind::VARIANTS {
                for (name, source) in sources(*language, *kind) {
                    templates.add_template(name, source).expect(REASON);
                }
            }
        }
        Self {
            templates,
            letterhead,
        }
    }

    /// What mails call the service.
    pub fn name(&self) -> &ServiceName {
        &self.letterhead.name
    }

    /// The language of an account or a mail for which nobody has chosen one.
    pub fn default_locale(&self) -> Locale {
        self.letterhead.language.into()
    }

    /// Writes `letter` to the owner of `to` in the mail language nearest to `locale`.
    pub fn compose(&self, letter: &Letter, to: &Email, locale: &Locale) -> Message {
        let language = Language::nearest(locale.as_str()).unwrap_or(self.letterhead.language);
        let context = self.context(letter, language);
        let [subject, text, html] = sources(language, letter.kind()).map(|(name, _)| {
            self.templates
                .get_template(name)
                .and_then(|template| template.render(&context))
                .expect("a test renders every mail in every language")
        });
        let name = &self.letterhead.name;
        Message {
            to: to.as_str().to_owned(),
            subject: match language {
                Language::English => format!("{name}: {subject}"),
                Language::Chinese => format!("【{name}】{subject}"),
            },
            text: format!("{name}\n\n{text}"),
            html,
        }
    }

    /// What the templates may name. Each name is there for every letter, so that the layout can ask for it.
    fn context(&self, letter: &Letter, language: Language) -> Value {
        let (username, code, link) = match letter {
            Letter::VerifyEmail { username, link }
            | Letter::ResetPassword { username, link }
            | Letter::SetPassword { username, link, .. } => (Some(username), None, Some(link)),
            Letter::AccountTakenBack { username, link } => (Some(username), None, link.as_ref()),
            Letter::PasswordChanged { username } | Letter::AccountRemoved { username } => {
                (Some(username), None, None)
            }
            Letter::SignInCode { code } => (None, Some(code), None),
            Letter::Invite { code, link } => (None, Some(code), link.as_ref()),
            Letter::Test => (None, None, None),
        };
        let reset_page = match &self.letterhead.reset {
            WayToReset::Page(page) => Some(page),
            WayToReset::App | WayToReset::Operator => None,
        };
        context! {
            service => self.letterhead.name.as_str(),
            language => language.tag(),
            username => username.map(|username| unlinkable(username)),
            code => code.map(String::as_str),
            link => link.map(String::as_str),
            lifetime => letter.lifetime().map(|lifetime| in_words(lifetime, language)),
            is_new_account => matches!(letter, Letter::SetPassword { occasion: LinkOccasion::NewAccount, .. }),
            reset_page,
            can_reset => self.letterhead.reset != WayToReset::Operator,
            has_verify_page => self.letterhead.has_verify_page,
        }
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composer(…)")
    }
}

/// A lifetime as people say it: in days from two on, else in hours, else in minutes.
fn in_words(lifetime: Duration, language: Language) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = lifetime.as_secs();
    let (number, english, chinese) = match seconds {
        _ if seconds >= 2 * DAY && seconds.is_multiple_of(DAY) => (seconds / DAY, "day", "天"),
        _ if seconds >= HOUR && seconds.is_multiple_of(HOUR) => (seconds / HOUR, "hour", "小时"),
        _ => (seconds / MINUTE, "minute", "分钟"),
    };
    let plural = if number == 1 { "" } else { "s" };
    match language {
        Language::English => format!("{number} {english}{plural}"),
        Language::Chinese => format!("{number} {chinese}"),
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

/// A letter as its recipient reads it. It holds secrets of the recipient, so it is stored sealed and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The recipient's address.
    pub to: String,
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message(…)")
    }
}
