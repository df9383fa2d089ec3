//! Writes a letter as a message: subject, text and HTML in one language.

use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use crate::domain::{
    Email, Language, Letter, LinkOccasion, Locale, MailKind, RemovalOccasion, ServiceName, redacted,
};

/// The templates, compiled in: `layout.html`, and `subject.txt`, `body.txt` and `body.html` in `<language>/<kind>/`.
#[derive(RustEmbed)]
#[folder = "src/mail/templates/"]
struct Templates;

/// What mails say about the service that sends them. The advice in a mail depends on it: no mail names a page that the service does not have.
#[derive(Clone, Debug)]
pub struct Letterhead {
    pub name: ServiceName,
    /// The language for recipients who have chosen none, or a language without templates.
    pub language: Language,
    pub reset: WayToReset,
    /// Whether links to verify an address lead to the built-in page; a mail can then name its buttons.
    pub has_verify_page: bool,
}

/// How the owner of an account gets another password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayToReset {
    /// The built-in page at this address asks for a mail.
    Page(String),
    /// A page of the app asks for a mail.
    App,
    /// There is no page: the operator helps.
    Operator,
}

/// What a visitor can ask for. These templates are parsed at the start: a request that parsed them because an account has another language would tell
/// that there is an account.
const ASKED: [MailKind; 2] = [MailKind::ResetPassword, MailKind::SignInCode];

/// The names of the templates of a mail: subject, text and HTML.
fn paths(language: Language, kind: MailKind) -> [String; 3] {
    ["subject.txt", "body.txt", "body.html"].map(|file| format!("{language}/{kind}/{file}"))
}

/// Writes letters with the templates.
pub struct Composer {
    templates: Environment<'static>,
    letterhead: Letterhead,
}

impl Composer {
    /// Keeps each template that it has used, parsed, so a caller creates one composer and keeps it.
    pub fn new(letterhead: Letterhead) -> Self {
        const REASON: &str = "the templates are compiled in, and a test renders them all";
        let mut templates = Environment::new();
        // An unknown name in a template is a fault, and must not become a gap in a mail.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_loader(|name| {
            let file = Templates::get(name);
            Ok(file.map(|file| String::from_utf8(file.data.into_owned()).expect(REASON)))
        });
        for language in Language::VARIANTS {
            for path in ASKED.iter().flat_map(|kind| paths(*language, *kind)) {
                templates.get_template(&path).expect(REASON);
            }
        }
        Self {
            templates,
            letterhead,
        }
    }

    /// The name of the service in mails.
    pub fn name(&self) -> &ServiceName {
        &self.letterhead.name
    }

    /// The language of an account or a mail for which none was chosen.
    pub fn default_locale(&self) -> Locale {
        self.letterhead.language.into()
    }

    /// Writes `letter` to the owner of `to`, in the language of mails that is nearest to `locale`.
    pub fn compose(&self, letter: &Letter, to: &Email, locale: &Locale) -> Message {
        let language = Language::nearest(locale.as_str()).unwrap_or(self.letterhead.language);
        let context = self.context(letter, language);
        let [subject, text, html] = paths(language, letter.kind()).map(|path| {
            self.templates
                .get_template(&path)
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

    /// The values that templates can use. Every letter defines all of them, so that the layout can test for each.
    fn context(&self, letter: &Letter, language: Language) -> Value {
        let (username, code, link) = match letter {
            Letter::VerifyEmail { username, link }
            | Letter::ResetPassword { username, link }
            | Letter::SetPassword { username, link, .. }
            | Letter::ChangeEmail { username, link }
            | Letter::ChangeUndone { username, link } => (Some(username), None, Some(link)),
            Letter::AccountTakenBack { username, link } => (Some(username), None, link.as_ref()),
            Letter::EmailChanged { username, undo, .. } => (Some(username), None, undo.as_ref()),
            Letter::PasswordChanged { username }
            | Letter::AccountRemoved { username, .. }
            | Letter::AccountDeleted { username }
            | Letter::ChangeRequested { username, .. }
            | Letter::AddressWanted { username } => (Some(username), None, None),
            Letter::SignInCode { code } => (None, Some(code), None),
            Letter::Invite { code, link } => (None, Some(code), link.as_ref()),
            Letter::Test => (None, None, None),
        };
        let address = match letter {
            Letter::ChangeRequested { address, .. } | Letter::EmailChanged { address, .. } => Some(address),
            _ => None,
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
            address => address.map(String::as_str),
            lifetime => letter.lifetime().map(|lifetime| in_words(lifetime, language)),
            is_new_account => matches!(letter, Letter::SetPassword { occasion: LinkOccasion::NewAccount, .. }),
            is_moved => matches!(letter, Letter::AccountRemoved { occasion: RemovalOccasion::Moved, .. }),
            reset_page,
            can_reset => self.letterhead.reset != WayToReset::Operator,
            has_verify_page => self.letterhead.has_verify_page,
        }
    }
}

redacted!(Composer);

/// A lifetime in words: whole days if it is at least two, otherwise whole hours, otherwise minutes.
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

/// A username as a mail shows it. A stranger may have chosen it, and mail programs turn a text that looks like a host or a telephone number into a link. So
/// spaces surround each dot, and a long row of digits is cut. (Invisible characters would not help: pasting loses them, and some programs drop them.)
fn unlinkable(username: &str) -> String {
    /// The shortest telephone number that mail programs recognise has seven digits.
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

/// A letter as its recipient reads it. It holds secrets of the recipient, so it is stored sealed and is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The recipient's address.
    pub to: String,
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

redacted!(Message);
