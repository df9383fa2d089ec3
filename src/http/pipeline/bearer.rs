//! The access token of a request (RFC 6750 §2.1; never in the query or in a form).

use poem::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use poem::http::{HeaderMap, HeaderValue};

use super::code::Code;
use super::error::Refusal;
use crate::domain::Client;
use crate::service::{Caller, Error, Service};

/// The challenge to a bad token (RFC 6750 §3).
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Finds the account and the session of the access token of a request.
pub(super) async fn authenticate(
    headers: &HeaderMap,
    service: &Service,
    client: Client,
) -> Result<Caller, Refusal> {
    let token = bearer_token(headers)?;
    service
        .authenticate(token, client)
        .await
        .map_err(|error| match error {
            Error::TokenExpired | Error::InvalidToken => {
                Refusal::from(error).with_header(WWW_AUTHENTICATE, INVALID_TOKEN)
            }
            _ => error.into(),
        })
}

/// As [`authenticate`], for a request that needs no access token; `None` if it has no `Authorization` header.
pub(super) async fn authenticate_if_sent(
    headers: &HeaderMap,
    service: &Service,
    client: Client,
) -> Result<Option<Caller>, Refusal> {
    if headers.contains_key(AUTHORIZATION) {
        authenticate(headers, service, client).await.map(Some)
    } else {
        Ok(None)
    }
}

/// The token of the only `Authorization` header, `Bearer <token>`. The scheme is compared without regard to case (RFC 9110 §11.1).
fn bearer_token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| Refusal::new(Code::MissingToken))?;
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, token)| {
            let token = token.trim_matches(' ');
            let is_bearer = scheme.eq_ignore_ascii_case("bearer") && is_token(token);
            is_bearer.then_some(token)
        });
    match (token, values.next()) {
        (Some(token), None) => Ok(token),
        _ => Err(Refusal::new(Code::InvalidAuthorization)),
    }
}

/// `b64token` of RFC 6750 §2.1.
fn is_token(text: &str) -> bool {
    let symbols = text.trim_end_matches('=');
    // No early end: without branches the hundreds of characters of a token cost a few instructions each.
    let are_known = symbols
        .bytes()
        .fold(true, |known, byte| known & SYMBOLS[usize::from(byte)]);
    !symbols.is_empty() && are_known
}

/// The bytes that a `b64token` has before its padding.
const SYMBOLS: [bool; 256] = {
    let mut symbols = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        symbols[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    symbols
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_these_characters_only() {
        let characters = (0..=255).map(char::from);
        let admitted: String = characters
            .filter(|character| is_token(&format!("a{character}b")))
            .collect();
        assert_eq!(
            admitted,
            "+-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
        );
        assert!(is_token("a=="));
        assert!(!is_token("=="));
    }
}

#[cfg(test)]
mod properties {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::properties::wild_text;

    fn headers(values: &[Vec<u8>]) -> HeaderMap {
        let values = values
            .iter()
            .filter_map(|value| HeaderValue::from_bytes(value).ok());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    proptest! {
        #[test]
        fn a_bearer_token_is_read_as_it_was_sent(
            scheme in "[bB][eE][aA][rR][eE][rR]", blanks in " {1,3}", token in "[A-Za-z0-9._~+/-]{1,60}={0,2}",
        ) {
            let headers = headers(&[format!("{scheme}{blanks}{token}").into_bytes()]);
            prop_assert_eq!(bearer_token(&headers).ok(), Some(token.as_str()));
        }

        #[test]
        fn any_other_header_is_refused(values in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            wild_text().prop_map(String::into_bytes),
            wild_text().prop_map(|text| format!("Bearer {text}").into_bytes()),
        ], 0..3)) {
            let headers = headers(&values);
            if let Ok(token) = bearer_token(&headers) {
                prop_assert_eq!(headers.len(), 1);
                prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b';'), "{token}");
            }
        }
    }
}
