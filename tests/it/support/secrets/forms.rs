//! Secrets, and every form in which they may have been written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::Answer;
use crate::support::smtp::ReceivedMail;

/// Texts that are shorter, or have fewer different bytes, could be found by chance.
const MIN_BYTES: usize = 12;
const MIN_DIFFERENT_BYTES: usize = 6;
/// The length of the end of a token that is searched for. The bytes before it are not secret (the id of the session), and an id or trace id is shorter.
const TOKEN_BYTES: usize = 32;
/// The length of that end as base64url.
const TOKEN_CHARS: usize = 43;
/// The maximum length of a form that is searched for: too long to be found by chance, and short enough for thousands of secrets.
const MAX_NEEDLE_BYTES: usize = 40;
/// Shorter lines of a mail may also occur elsewhere.
const MIN_LINE_CHARS: usize = 24;

/// Secrets, each with a name for the message of a failure.
#[derive(Clone, Default)]
pub struct Secrets {
    secrets: BTreeMap<Vec<u8>, String>,
    /// Codes of six and seven digits.
    short_codes: BTreeSet<String>,
}

impl Secrets {
    /// Adds a secret, even if it is short.
    pub fn add(&mut self, name: &str, secret: &str) {
        self.add_bytes(name, secret.as_bytes());
    }

    fn add_bytes(&mut self, name: &str, secret: &[u8]) {
        self.secrets
            .entry(secret.to_owned())
            .or_insert_with(|| name.to_owned());
    }

    /// Adds a text that was entered as a secret, unless it could be found by chance.
    pub fn add_typed(&mut self, name: &str, text: &str) {
        self.add_unlikely(name, text.as_bytes());
    }

    fn add_unlikely(&mut self, name: &str, secret: &[u8]) {
        let different: BTreeSet<u8> = secret.iter().copied().collect();
        if secret.len() >= MIN_BYTES && different.len() >= MIN_DIFFERENT_BYTES {
            self.add_bytes(name, secret);
        }
    }

    /// Adds a token in base64url, and the bytes that it encodes. Of a JWT only the signature is added, because the rest is not secret.
    pub fn add_token(&mut self, name: &str, token: &str) {
        let token = match token.split('.').collect::<Vec<_>>()[..] {
            [_, _, signature] => signature,
            _ => token,
        };
        if let Some(end) = token.get(token.len().saturating_sub(TOKEN_CHARS)..) {
            self.add_typed(name, end);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        if let Some(end) = bytes.len().checked_sub(TOKEN_BYTES) {
            self.add_unlikely(&format!("bytes of {name}"), &bytes[end..]);
        }
    }

    /// Adds a one-time code or an invite code, as typed and without separators.
    pub fn add_code(&mut self, name: &str, code: &str) {
        let plain: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        match plain.len() {
            6 | 7 if plain.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.short_codes.insert(plain);
            }
            8 if plain.bytes().all(|byte| byte.is_ascii_digit()) => self.add(name, &plain),
            _ => {
                self.add_typed(name, code);
                self.add_typed(name, &plain);
            }
        }
    }

    /// Adds both tokens of a sign-in.
    pub fn add_sign_in(&mut self, name: &str, answer: &Answer) {
        self.add_token(&format!("access token of {name}"), &answer.access_token());
        self.add_token(&format!("refresh token of {name}"), &answer.cookie());
    }

    /// Adds the long lines, the tokens and the codes of a mail.
    pub fn add_mail(&mut self, mail: &ReceivedMail) {
        for line in mail.text().lines().map(str::trim) {
            if line.chars().count() >= MIN_LINE_CHARS {
                self.add("a line of a mail", line);
            }
            let marks = ["token=", "#change=", "#undo="];
            if let Some((_, token)) = marks.iter().find_map(|mark| line.split_once(mark)) {
                self.add_token("the token in a mail", token);
            }
            let is_code = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || byte == b'-';
            if line.len() >= 6 && line.bytes().all(is_code) {
                self.add_code("the code in a mail", line);
            }
        }
    }

    /// Removes texts that are not secret, because they were also given as a name or an address.
    pub fn remove_public(&mut self, public: &BTreeSet<String>) {
        self.secrets.retain(|secret, _| {
            !std::str::from_utf8(secret).is_ok_and(|text| public.contains(&text.to_lowercase()))
        });
    }

    /// Whether this word is one of the codes that are too short to be searched for in bytes.
    pub(super) fn is_short_code(&self, word: &str) -> bool {
        self.short_codes.contains(word)
    }

    /// Every form of every secret: name, form, needle.
    pub(super) fn needles(&self) -> Vec<(&str, &'static str, Vec<u8>)> {
        let mut needles = Vec::new();
        for (secret, name) in &self.secrets {
            for (form, mut needle) in forms(secret) {
                needle.truncate(MAX_NEEDLE_BYTES);
                needles.push((name.as_str(), form, needle));
            }
        }
        // Several forms of a text without special characters are often equal.
        needles.sort_by(|a, b| a.2.cmp(&b.2));
        needles.dedup_by(|a, b| a.2 == b.2 && a.0 == b.0);
        needles
    }
}

/// Every form in which a secret may have been written: raw, hexadecimal, base64 at each of the three offsets in a group of three bytes, and
/// URL-encoded.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw", secret.to_owned())];
    let (mut lower, mut upper, mut percent, mut lower_percent) =
        (String::new(), String::new(), String::new(), String::new());
    for byte in secret {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
        let _ = write!(percent, "%{byte:02X}");
        let _ = write!(lower_percent, "%{byte:02x}");
    }
    forms.extend([("hex", lower.into_bytes()), ("hex", upper.into_bytes())]);
    forms.extend([percent, lower_percent].map(|text| ("every byte URL-encoded", text.into_bytes())));
    let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
    forms.push(("URL-encoded", encoded.replace('+', "%20").into_bytes()));
    forms.push(("URL-encoded", encoded.into_bytes()));
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for (before, foreign) in [(0, 0), (1, 2), (2, 3)] {
            let bytes = [&vec![0; before], secret].concat();
            let mut text = engine.encode(&bytes);
            // Base64 characters that also encode bits of the bytes before or after the secret are left out, because those bytes vary.
            if bytes.len() % 3 != 0 {
                text.pop();
            }
            forms.push(("base64", text.as_bytes()[foreign..].to_owned()));
        }
    }
    forms
}
