//! The fields of request bodies, as the `OpenAPI` document describes them.
//!
//! The types in [`crate::domain`] decide what is accepted. A pattern accepts every text that its type accepts. It excludes other texts as far as it can
//! without the tables of Unicode.

use crate::domain::{Locale, MAX_PASSWORD_BYTES, Timezone};
use crate::http::pipeline::Code;
use crate::http::pipeline::request_body::Field;

/// A text with more than white space. U+001C to U+001F are listed because in Python, `\s` also matches these, which the server does not trim. White space is
/// not listed, because generators would write U+2028 into JavaScript without escaping it, where it ends the line.
const NOT_BLANK: &str = r"\S|[\x1c-\x1f]";

/// The username or the address of an account.
pub(crate) const LOGIN: Field = Field {
    name: "login",
    description: "Username or e-mail address of at most 254 characters, in any case; white space and invisible format characters around \
                  it are dropped first.",
    example: "alice",
    min_length: Some(1),
    pattern: Some(NOT_BLANK),
    ..Field::TEXT
};

pub(super) const NEW_LOGIN: Field = Field {
    name: "login",
    description: "The username: 2 to 32 letters A to Z, digits, `.`, `_` and `-`, beginning and ending with a letter or a \
                  digit. Unique without regard to case; white space and invisible format characters around it are dropped.",
    example: "alice",
    pattern: Some("^[^!-~]*[A-Za-z0-9][A-Za-z0-9._-]{0,30}[A-Za-z0-9][^!-~]*$"),
    ..Field::TEXT
};

/// The new username of an account.
pub(super) const USERNAME: Field = Field {
    description: "The new username, as at registration.",
    pattern: Some("^([^!-~]*[A-Za-z0-9][A-Za-z0-9._-]{0,30}[A-Za-z0-9][^!-~]*)?$"),
    is_required: false,
    ..NEW_LOGIN.named("username")
};

pub(super) const EMAIL: Field = Field {
    name: "email",
    description: "One plain e-mail address of at most 254 characters, unique without regard to case; white space and \
                  invisible format characters around it are dropped first. International domains are accepted too, and \
                  kept in their ASCII form.",
    example: "alice@example.org",
    pattern: Some(
        "^[^!-~]*[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[^!-,/:-@\\[-`{-~]+$",
    ),
    ..Field::TEXT
};

/// The address that an account is to have.
pub(super) const NEW_EMAIL: Field = Field {
    description: "The new address, as at registration. The present one, repeated exactly, is refused; another spelling of it is not.",
    example: "alice@example.net",
    ..EMAIL.named("new_email")
};

pub(super) const NEW_PASSWORD: Field = Field {
    name: "password",
    description: "8 to 128 characters after Unicode normalisation (NFC); the operator may ask for more than 8. No control \
                  characters; every other kind of space is read as a plain one (RFC 8265 §4.2). Not one of the common \
                  passwords, and not the account's own username or address. Nothing is trimmed.",
    example: "correct horse battery staple",
    // Normalisation makes some texts longer and others shorter, so a schema cannot count as the server does.
    min_length: Some(1),
    max_length: Some(MAX_PASSWORD_BYTES),
    ..Field::TEXT
};

/// The password that a caller signs in with.
pub(crate) const PASSWORD: Field = Field {
    name: "password",
    description: "The password, at most 1024 bytes. Accents and spaces count the same however they were typed.",
    example: "correct horse battery staple",
    min_length: Some(1),
    max_length: Some(MAX_PASSWORD_BYTES),
    ..Field::TEXT
};

pub(super) const INVITE_CODE: Field = Field {
    name: "invite_code",
    description: "The invite code, such as `ABCD-EFGH-JKMN-PQRS`, as it was typed or pasted: case, full-width forms, dashes, white \
                  space, invisible format characters and a full stop at the end do not matter. Needed while registration is by \
                  invite.",
    example: "ABCD-EFGH-JKMN-PQRS",
    is_required: false,
    ..Field::TEXT
};

/// The language of an account's mails.
pub(super) const LOCALE: Field = Field {
    name: "locale",
    description: "The language of mails, as a hint: it is refused only if it is too long. A BCP 47 tag, or the form that devices send: `en_US`, `zh_CN.UTF-8`, \
                  `sr_RS@latin`. It is kept as a BCP 47 tag in its canonical case, and mails are in the nearest available language. A text that names no \
                  language, such as `C`, stands for the default of the server.",
    example: "en",
    max_length: Some(Locale::MAX_HINT_CHARS),
    is_required: false,
    ..Field::TEXT
};

/// The time zone of an account's owner.
pub(super) const TIMEZONE: Field = Field {
    name: "timezone",
    description: "The name of a time zone in the IANA database (its release 2026f, which is compiled in). Old names are accepted too, in any case; the name is \
                  stored in the spelling of the database. `null` or an empty text clears it.",
    example: "Europe/Berlin",
    max_length: Some(Timezone::MAX_CHARS),
    pattern: Some("^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*)*)?$"),
    is_required: false,
    ..Field::TEXT
};

/// The token from the captcha widget. Its length is not documented, since a token that is too long may make the whole body too long.
pub(crate) const CAPTCHA_TOKEN: Field = Field {
    name: "cf_turnstile_token",
    description: "The token of the Turnstile widget, where the captcha is on.",
    example: "",
    is_required: false,
    refusals: &[Code::CaptchaInvalid, Code::CaptchaUnavailable],
    ..Field::TEXT
};

/// The secret of a link.
pub(super) const TOKEN: Field = Field {
    name: "token",
    description: "The token of the link, as it was pasted: white space, invisible format characters and a full stop at the end \
                  are dropped, full-width forms and dashes of other kinds are read as ASCII.",
    example: "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw",
    pattern: Some(NOT_BLANK),
    ..Field::TEXT
};

/// The address that a mail is requested for, or that a code was mailed to.
pub(super) const MAIL_ADDRESS: Field = Field {
    description: "The address of the account.",
    ..EMAIL
};

pub(super) const OTP: Field = Field {
    name: "otp",
    description: "The code from the mail, as it was typed or pasted: full-width digits, dashes, white space, invisible format \
                  characters and a full stop at the end do not matter. At most 64 other characters.",
    example: "123 456",
    pattern: Some(NOT_BLANK),
    ..Field::TEXT
};

/// The former name of [`OTP`].
pub(super) const CODE: Field = Field {
    description: "The former name of `otp`. The server still accepts it instead of `otp`, but not both.",
    is_required: false,
    is_deprecated: true,
    pattern: None,
    ..OTP.named("code")
};

/// The username or the address that a person enters first.
pub(super) const IDENTITY: Field = LOGIN.named("identity");

pub(super) const FLOW_TOKEN: Field = Field {
    name: "flow_token",
    description: "The `flow_token` from the answer of `resolve`. White space and invisible format characters around it are dropped.",
    example: "c2VhbGVkIGFuZCBvcGFxdWUsIDg0IGJ5dGVzIGluIGFsbA",
    pattern: Some(NOT_BLANK),
    ..Field::TEXT
};

/// [`OTP`], as Arkloop's own web client calls it.
pub(super) const RESOLVED_CODE: Field = OTP.named("code");

/// The password that replaces the present one.
pub(super) const REPLACING_PASSWORD: Field = Field {
    description: "The new password; see `password` of registration.",
    ..NEW_PASSWORD.named("new_password")
};

/// The password that is replaced.
pub(super) const CURRENT_PASSWORD: Field = Field {
    description: "The present password; required if the account has one.",
    is_required: false,
    min_length: None,
    ..PASSWORD.named("current_password")
};

/// The password that stands for an access token.
pub(super) const LINK_PASSWORD: Field = Field {
    description: "The present password; required in a request without an access token.",
    ..CURRENT_PASSWORD
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_the_time_zones_is_the_one_that_is_compiled_in() {
        let release = format!("release {},", Timezone::DATABASE);
        assert!(TIMEZONE.description.contains(&release), "{release}");
    }
}
