//! A mail that the server of a test has accepted, and the codes and links in it.

use mail_parser::{Message, MessageParser};

/// A mail that the server has accepted.
#[derive(Clone)]
pub struct ReceivedMail {
    /// MAIL FROM.
    pub sender: String,
    /// Each RCPT TO.
    pub recipients: Vec<String>,
    /// The bytes between DATA and the final dot.
    pub content: Vec<u8>,
}

impl ReceivedMail {
    /// The mail as parsed by a library other than the one that wrote it.
    pub fn message(&self) -> Message<'_> {
        MessageParser::default()
            .parse(&self.content)
            .expect("the content is a mail")
    }

    /// The plain-text body.
    pub fn text(&self) -> String {
        self.message()
            .body_text(0)
            .expect("a mail has a text")
            .into_owned()
    }

    /// `Message-ID` without its angle brackets.
    pub fn message_id(&self) -> String {
        self.message()
            .message_id()
            .expect("a mail has a Message-ID")
            .to_owned()
    }

    /// The sign-in or invite code, which has a line of its own.
    pub fn code(&self) -> String {
        let text = self.text();
        let is_code = |line: &&str| {
            line.len() >= 6
                && line
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-')
        };
        let code = text.lines().map(str::trim).find(is_code);
        code.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }

    /// The link, which has a line of its own.
    pub fn link(&self) -> String {
        let text = self.text();
        let is_link = |line: &&str| line.starts_with("http://") || line.starts_with("https://");
        let link = text.lines().map(str::trim).find(is_link);
        link.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
    }

    /// The token in the link.
    pub fn token(&self) -> String {
        let link = self.link();
        let tokens = ["#token=", "#change=", "#undo="];
        let token = tokens.iter().find_map(|mark| link.split_once(mark));
        let token = token.map(|(_, token)| token.to_owned());
        token.unwrap_or_else(|| panic!("no token in {link}"))
    }
}
