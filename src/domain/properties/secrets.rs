//! Properties of passwords, codes and tokens.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::{almost, has_no_control, wild_text, wild_text_of};
use crate::domain::typed::{Dashes, secret_of};
use crate::domain::{
    FieldError, InviteCode, LinkToken, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, OneTimeCode, Password,
    PasswordGuess,
};

fn new_password(text: &str) -> Result<Password, FieldError> {
    Password::parse(text, MIN_PASSWORD_CHARS, &["Alice", "Alice@Example.org"])
}

/// The code as a person may type it, with one of `blanks` or nothing before each character; `breaks` chooses which.
fn scattered(code: &str, breaks: &[u8], blanks: [&str; 3]) -> String {
    let pieces = code.chars().zip(breaks.iter().cycle());
    pieces.fold(String::new(), |typed, (c, kind)| {
        let blank = blanks.get(usize::from(*kind)).unwrap_or(&"");
        format!("{typed}{blank}{c}")
    })
}

proptest! {
    #[test]
    fn a_new_password_has_eight_to_128_characters_and_can_be_typed_again(text in wild_text_of(140)) {
        let Ok(password) = new_password(&text) else { return Ok(()) };
        let is_space = |c: &char| c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
        let plain: String = text.chars().map(|c| if is_space(&c) { ' ' } else { c }).collect();
        let composed: String = plain.nfc().collect();
        prop_assert!(has_no_control(&text));
        prop_assert!((8..=128).contains(&composed.chars().count()));
        // With other spaces, and in both normalisation forms.
        for typed in [text.clone(), plain.clone(), composed.clone(), text.nfd().collect()] {
            if typed.len() <= MAX_PASSWORD_BYTES {
                let guess = PasswordGuess::parse(&typed).expect("a guess is not judged");
                prop_assert_eq!(guess.as_bytes(), password.as_bytes());
            }
        }
    }

    #[test]
    fn a_guess_is_refused_for_its_size_only(text in prop_oneof![wild_text_of(140), wild_text_of(600)]) {
        let guess = PasswordGuess::parse(&text);
        prop_assert_eq!(guess.is_ok(), (1..=MAX_PASSWORD_BYTES).contains(&text.len()));
    }

    #[test]
    fn the_accounts_own_names_are_no_password(capitals in "[aA][lL][iI][cC][eE]@[eE]xample\\.[oO]rg") {
        prop_assert_eq!(new_password(&capitals).err(), Some(FieldError::ContainsIdentity));
    }

    #[test]
    fn an_invite_code_is_read_back_however_it_is_typed(
        bytes: [u8; InviteCode::RANDOM_BYTES], breaks in prop::collection::vec(0..6_u8, 1..16), is_lower: bool,
    ) {
        let code = InviteCode::from_random(bytes);
        let shown = if is_lower { code.reveal().to_lowercase() } else { code.reveal() };
        let typed = scattered(&shown.replace('0', "o").replace('1', "l"), &breaks, [" ", "-\u{200b}", "\u{2212}\u{2013}"]);
        prop_assert!(InviteCode::parse(&shown).as_ref() == Ok(&code));
        prop_assert!(InviteCode::parse(&typed).as_ref() == Ok(&code), "{typed}");
    }

    #[test]
    fn what_is_read_as_an_invite_code_is_sixteen_symbols(text in prop_oneof![
        wild_text(), almost("[0-9A-Za-z]{16}"), almost("([0-9A-TV-Z]{4}-){3}[0-9A-TV-Z]{4}"),
    ]) {
        let Ok(code) = InviteCode::parse(&text) else { return Ok(()) };
        let is_symbol = |b: &u8| b.is_ascii_digit() || b.is_ascii_uppercase() && !b"ILOU".contains(b);
        prop_assert!(code.as_bytes().iter().all(is_symbol));
        prop_assert!(InviteCode::parse(&code.reveal()) == Ok(code));
    }

    #[test]
    fn different_bits_are_different_invite_codes(a: [u8; InviteCode::RANDOM_BYTES], b: [u8; InviteCode::RANDOM_BYTES]) {
        prop_assert_eq!(InviteCode::from_random(a) == InviteCode::from_random(b), a == b);
    }

    #[test]
    fn a_one_time_code_has_its_digits_and_is_read_with_spaces(
        bits: [u8; 8], digits in 6..=8_u8, breaks in prop::collection::vec(0..6_u8, 1..8),
    ) {
        let code = OneTimeCode::from_random(bits, digits);
        prop_assert_eq!(code.reveal().len(), usize::from(digits));
        prop_assert!(code.reveal().bytes().all(|b| b.is_ascii_digit()));
        let typed = scattered(code.reveal(), &breaks, [" ", "\u{a0}", "\u{2011}\t"]);
        let read = OneTimeCode::parse(&typed).expect("it is a code");
        prop_assert_eq!(read.reveal(), code.reveal());
    }

    #[test]
    fn a_typed_one_time_code_keeps_everything_else(text in wild_text_of(70)) {
        let kept = secret_of(&text, Dashes::Separate);
        let is_one = (1..=64).contains(&kept.chars().count());
        let parsed = OneTimeCode::parse(&text).ok();
        prop_assert_eq!(parsed.as_ref().map(OneTimeCode::reveal), is_one.then_some(kept.as_str()));
    }

    #[test]
    fn a_link_is_read_back_and_has_one_spelling(bytes: [u8; LinkToken::BYTES], text in almost("[A-Za-z0-9_-]{43}")) {
        let token = LinkToken::from_random(bytes).reveal();
        prop_assert!(token.len() == LinkToken::CHARS && has_no_control(&token));
        let read = LinkToken::parse(&format!(" {token}\n")).ok().flatten().expect("it is a token");
        prop_assert_eq!(*read.as_bytes(), bytes);
        if let Ok(Some(read)) = LinkToken::parse(&text) {
            prop_assert_eq!(read.reveal(), secret_of(&text, Dashes::Count));
        }
    }

    #[test]
    fn what_is_no_link_is_missing_or_merely_wrong(text in wild_text()) {
        match LinkToken::parse(&text) {
            Err(error) => prop_assert!(error == FieldError::Missing && secret_of(&text, Dashes::Count).is_empty()),
            Ok(token) => prop_assert!(token.is_none_or(|token| token.reveal() == secret_of(&text, Dashes::Count))),
        }
    }
}
