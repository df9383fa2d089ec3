//! What the mail server of a test has taken, and what a person finds in it.

use mail_parser::{Message, MessageParser};

/// A mail that the server has taken.
#[derive(Clone)]
pub struct ReceivedMail {
    /// MAIL FROM.
    pub sender: String,
    /// Each RCPT TO.
    pub recipients: Vec<String>,
    /// What stood between DATA and the final dot, byte for byte.
    pub content: Vec<u8>,
}

impl ReceivedMail {
    /// The mail as a library reads it that did not write it.
    pub fn message(&self) -> Message<'_> {
        MessageParser::default()
            .parse(&self.content)
            .expect("the content is a mail")
    }

    /// The body for programs that show text.
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

    /// The sign-in or invite code: what stands alone in its line.
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

    /// The link: what stands alone in its line.
    pub fn link(&self) -> String {
        let text = self.text();
        let is_link = |line: &&str| line.starts_with("http://") || line.starts_with("https://");
        let link = text.lines().map(str::trim).find(is_link);
        link.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
    }

    /// The token in the link.
    pub fn token(&self) -> String {
        let link = self.link();
        let token = link.split_once("#token=").map(|(_, token)| token.to_owned());
        token.unwrap_or_else(|| panic!("no token in {link}"))
    }
}
