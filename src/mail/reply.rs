//! The replies of a mail server, in a form that is safe to store and show.
//!
//! A reply is a stranger's text that goes to logs, the queue and a terminal. So control characters are removed. If the reply repeats the recipient, a code, a
//! link (filters quote the links that they reject) or the password (servers quote commands that they do not know), these are replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::compose::Message;
use super::stage::Stage;
use crate::domain::is_unprintable;

/// The most bytes of a server's words that are kept.
pub(super) const MAX_WORDS: usize = 300;
/// Replaces the recipient's address.
const RECIPIENT: &str = "<recipient>";
/// Replaces a code, a link or a password.
const SECRET: &str = "<secret>";
/// The separators that mail systems write between the two parts of an address: plain, in URLs, in bounce addresses, in xtext (RFC 3461 §4), and with spaces,
/// which replace the end of a line.
const SEPARATORS: [&str; 9] = ["@", "\"@", "%40", "=", "+40", " @", "@ ", " @ ", " at "];
/// A word of a mail with a digit is hidden from this length on, because it may be a code.
const SHORTEST_CODE: usize = 6;
/// A word of a mail is hidden from this length on, even without a digit, because it may be a token or an invite code.
const SHORTEST_TOKEN: usize = 16;

/// An enhanced status code: class, subject and detail (RFC 3463 §2).
type EnhancedCode = [u16; 3];

/// Codes about the recipient alone: no such mailbox, no such domain, no address, moved (RFC 3463 §3.2), a domain that takes no mail (RFC 7505 §4.1), and a
/// closed mailbox (RFC 3463 §3.3). A full mailbox (5.2.2) is not among them, because its owner will empty it.
const RECIPIENT_CODES: [EnhancedCode; 6] =
    [[5, 1, 1], [5, 1, 2], [5, 1, 3], [5, 1, 6], [5, 1, 10], [5, 2, 1]];

/// Reads the enhanced code at the beginning of a line. Its class must be that of `code`, the code of the reply (RFC 2034 §4).
fn enhanced_code(line: &str, code: u16) -> Option<EnhancedCode> {
    let numbers = line.split_whitespace().next()?.split('.').map(|part| {
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    });
    let numbers: Vec<u16> = numbers.collect::<Option<_>>()?;
    let numbers = EnhancedCode::try_from(numbers).ok()?;
    (numbers[0] == code / 100).then_some(numbers)
}

/// A reply in one line without unprintable characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(super) code: u16,
    enhanced: Option<EnhancedCode>,
    /// The text after the codes. It must not be shown before [`Reply::hide`].
    pub(super) words: String,
}

impl Reply {
    /// Reads the lines of a reply, without their reply codes.
    pub(super) fn new(code: u16, lines: &[impl AsRef<str>]) -> Self {
        let mut enhanced = None;
        let mut words: Vec<String> = Vec::new();
        for line in lines {
            let line = without_unprintable(line.as_ref());
            let found = enhanced_code(&line, code);
            enhanced = enhanced.or(found);
            let text = line.split_whitespace().skip(usize::from(found.is_some()));
            words.extend(text.map(str::to_owned));
        }
        Self {
            code,
            enhanced,
            words: words.join(" "),
        }
    }

    /// Removes secrets from the words, and cuts the words to [`MAX_WORDS`] bytes.
    pub(super) fn hide(&mut self, unsaid: &Redactions) {
        self.words = unsaid.replace_in(&self.words);
        self.words.truncate(self.words.floor_char_boundary(MAX_WORDS));
    }

    /// The codes, as in `550 5.1.1`.
    pub(super) fn status(&self) -> String {
        match self.enhanced {
            Some([class, subject, detail]) => format!("{} {class}.{subject}.{detail}", self.code),
            None => self.code.to_string(),
        }
    }

    /// Whether the server will never take mail for the recipient.
    ///
    /// Servers use 550 and 5.7.x for refusals of every kind: unknown senders, host names, networks, relaying, spam. So an enhanced code counts only if it is
    /// about the recipient, and a reply without one counts only as a reply to RCPT. Codes of other classes are temporary (RFC 5321 §4.2.1).
    pub(super) fn refuses_recipient(&self, stage: Stage) -> bool {
        match (self.enhanced, stage) {
            (Some(enhanced), Stage::Recipient | Stage::Data | Stage::End) => {
                RECIPIENT_CODES.contains(&enhanced)
            }
            (None, Stage::Recipient) => matches!(self.code, 550 | 553),
            _ => false,
        }
    }

    /// The words as the end of a sentence; empty if there are none.
    pub(super) fn quoted(&self) -> String {
        match self.words.as_str() {
            "" => String::new(),
            words => format!(": \"{words}\""),
        }
    }
}

/// Replaces tabs and line ends by spaces, and removes all other control and format characters.
fn without_unprintable(text: &str) -> String {
    let joiners = ['\u{200c}', '\u{200d}'];
    text.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_unprintable(*c) && !joiners.contains(c))
        .collect()
}

/// The texts that a server may repeat and that the program must hide.
#[derive(Clone, Default)]
pub(super) struct Redactions {
    /// Each text in lower case, and its replacement.
    patterns: Vec<(Vec<char>, &'static str)>,
}

impl Redactions {
    /// The password in each form in which a sign-in sends it.
    pub(super) fn of_credentials(user: &str, password: &SecretString) -> Self {
        let password = password.expose_secret();
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        let mut unsaid = Self::default();
        unsaid.add(&plain, SECRET);
        unsaid.add(&STANDARD.encode(password), SECRET);
        // A shorter password may occur inside of ordinary words.
        if password.len() >= SHORTEST_CODE {
            unsaid.add(password, SECRET);
        }
        unsaid
    }

    /// Adds the recipient and the secrets of a mail.
    pub(super) fn with_mail(&self, message: &Message) -> Self {
        let mut unsaid = self.clone();
        unsaid.add_address(&message.to);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for part in message.text.split(|c| !is_part(c)) {
            let has_digit = part.bytes().any(|byte| byte.is_ascii_digit());
            if part.len() >= SHORTEST_TOKEN || (part.len() >= SHORTEST_CODE && has_digit) {
                unsaid.add(part, SECRET);
            }
        }
        unsaid
    }

    /// Adds an address with its domain in ASCII and in Unicode, and also without its `+tag`, because servers may name only the mailbox.
    fn add_address(&mut self, address: &str) {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return self.add(address, RECIPIENT);
        };
        let (unicode, _) = idna::domain_to_unicode(domain);
        let untagged = local.split_once('+').map_or(local, |(mailbox, _)| mailbox);
        for local in [local, untagged] {
            for domain in [domain, &unicode] {
                for separator in SEPARATORS {
                    self.add(&format!("<{local}{separator}{domain}>"), RECIPIENT);
                    self.add(&format!("{local}{separator}{domain}"), RECIPIENT);
                }
            }
        }
    }

    fn add(&mut self, text: &str, shown: &'static str) {
        let pattern: Vec<char> = text.chars().map(folded).collect();
        if !pattern.is_empty() {
            self.patterns.push((pattern, shown));
        }
    }

    /// Replaces every pattern, ignoring case. Where several match, the longest is replaced.
    fn replace_in(&self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let folded: Vec<char> = chars.iter().map(|c| folded(*c)).collect();
        let mut replaced = String::with_capacity(text.len());
        let mut at = 0;
        while at < chars.len() {
            let rest = &folded[at..];
            let matching = self
                .patterns
                .iter()
                .filter(|(pattern, _)| rest.starts_with(pattern));
            if let Some((pattern, shown)) = matching.max_by_key(|(pattern, _)| pattern.len()) {
                replaced.push_str(shown);
                at += pattern.len();
            } else {
                replaced.push(chars[at]);
                at += 1;
            }
        }
        replaced
    }
}

/// A character in lower case. This simple rule is enough for addresses.
fn folded(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::tests::{compose, sign_in_code};

    fn hidden(lines: &[&str], unsaid: &Redactions) -> Reply {
        let mut reply = Reply::new(550, lines);
        reply.hide(unsaid);
        reply
    }

    fn words(to: &str, line: &str) -> String {
        let mut message = compose(&sign_in_code(), "en");
        message.to = to.to_owned();
        let unsaid = Redactions::of_credentials("arkloop", &"hunter2".into()).with_mail(&message);
        hidden(&[line], &unsaid).words
    }

    #[test]
    fn the_recipient_is_not_repeated_however_it_is_written() {
        for text in [
            "alice@example.org",
            "<alice@example.org>",
            "Alice@EXAMPLE.org",
            "\"alice\"@example.org",
            "ali\u{0}ce@exam\u{200b}ple.org",
            "alice%40example.org",
            "alice=example.org",
        ] {
            let shown = words("alice@example.org", text);
            let rest = shown.trim_matches('"');
            assert_eq!(rest, "<recipient>", "{text}");
        }
        let international = "Jana+shop@xn--bcher-kva.example";
        for text in [
            "jana+SHOP@B\u{dc}CHER.example",
            "jana@xn--bcher-kva.example",
            "<jana@b\u{fc}cher.example>",
        ] {
            assert_eq!(words(international, text), "<recipient>", "{text}");
        }
        assert_eq!(
            words("a@b.example", "mail from a@b.example.net refused"),
            "mail from <recipient>.net refused"
        );
    }

    #[test]
    fn what_is_in_the_mail_and_the_password_are_not_repeated() {
        assert_eq!(
            words("a@b.example", "spam: \"code 047193\""),
            "spam: \"code <secret>\""
        );
        let auth = "unknown command AUTH PLAIN AGFya2xvb3AAaHVudGVyMg==";
        assert_eq!(words("a@b.example", auth), "unknown command AUTH PLAIN <secret>");
    }

    #[test]
    fn words_are_one_short_line_that_moves_no_cursor() {
        let short = |lines: &[&str]| hidden(lines, &Redactions::default());
        let reply = short(&["5.7.1 no\u{1b}[31m\ttoday", "5.7.1  and\u{202e} not tomorrow"]);
        assert_eq!(reply.status(), "550 5.7.1");
        assert_eq!(reply.quoted(), ": \"no[31m today and not tomorrow\"");
        let long = short(&["\u{e9}".repeat(500).as_str()]);
        assert_eq!(long.words.len(), MAX_WORDS);
        let odd = short(&[format!("x{}", "\u{e9}".repeat(500)).as_str()]);
        assert_eq!(odd.words.len(), MAX_WORDS - 1);
        let word = short(&[""]);
        assert_eq!((word.status(), word.quoted()), ("550".to_owned(), String::new()));
    }

    #[test]
    fn an_enhanced_code_has_three_numbers_and_the_class_of_the_reply() {
        let read = |line| Reply::new(550, &[line]).enhanced;
        assert_eq!(read("5.1.10 no null MX"), Some([5, 1, 10]));
        for line in [
            "4.1.1 x",
            "5.1 x",
            "5.1.1.1 x",
            "5.1.x",
            "5..1 x",
            "5.1.1111 x",
            "",
            "5.1.1: x",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
