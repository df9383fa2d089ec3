//! The fields of a request body. The same table of fields reads the body and documents it.

use std::collections::BTreeMap;

use super::body::{Member, Object};
use super::code::Code;
use crate::domain::{FieldError, FieldErrors};
use crate::service::Error;

/// How many unknown fields a refusal names. No client mistypes more, and the answer stays smaller than the request.
const MAX_UNKNOWN_NAMED: usize = 16;
/// The maximum length of the name of an unknown field that a refusal repeats.
const MAX_UNKNOWN_CHARS: usize = 32;
/// Replaces the name of an unknown field that is not repeated.
const UNNAMED: &str = "(unknown)";

/// A field of a body. All fields are texts. The lengths and the pattern are for the document; the domain's types decide what is refused.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) example: &'static str,
    /// In characters.
    pub(crate) min_length: Option<usize>,
    /// In characters.
    pub(crate) max_length: Option<usize>,
    /// A regular expression (ECMA-262).
    pub(crate) pattern: Option<&'static str>,
    /// Whether the body must have the field. An optional field that is `null` or empty is absent.
    pub(crate) is_required: bool,
    /// Whether only old clients send it.
    pub(crate) is_deprecated: bool,
    /// The refusals that the field adds to every operation that takes it.
    pub(crate) refusals: &'static [Code],
}

impl Field {
    /// A required text without limits.
    pub(crate) const TEXT: Self = Self {
        name: "",
        description: "",
        example: "",
        min_length: None,
        max_length: None,
        pattern: None,
        is_required: true,
        is_deprecated: false,
        refusals: &[],
    };

    /// The same field under another name.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// The fields of one request, and the errors that were found in them so far.
#[derive(Default)]
pub(crate) struct Fields {
    /// The value is `None` if the field was sent as `null`, empty or not as text.
    texts: BTreeMap<&'static str, Option<String>>,
    errors: FieldErrors,
}

impl Fields {
    /// Reads the members of `object`. Unknown and duplicate fields, and fields that are not text, are errors.
    pub(crate) fn new(known: &[&'static Field], object: Object) -> Self {
        let mut fields = Self::default();
        let mut unknown = 0;
        for (name, member) in object.0 {
            let Some(field) = known.iter().find(|field| field.name == name) else {
                unknown += 1;
                if unknown <= MAX_UNKNOWN_NAMED {
                    fields.errors.add(repeatable(&name), FieldError::Unknown);
                }
                continue;
            };
            if fields.texts.contains_key(field.name) {
                fields.errors.add(field.name, FieldError::Duplicate);
                continue;
            }
            let text = match member {
                Member::Text(text) => Some(text).filter(|text| !text.is_empty()),
                Member::Null => None,
                Member::Other => {
                    let error = FieldError::WrongType { expected: "string" };
                    fields.errors.add(field.name, error);
                    None
                }
            };
            fields.texts.insert(field.name, text);
        }
        fields
    }

    /// The text of `field`. `None` if it is absent, `null`, empty or not text.
    pub(crate) fn text(&self, field: &Field) -> Option<&str> {
        self.texts.get(field.name)?.as_deref()
    }

    /// Takes the text of a field that is not parsed.
    pub(crate) fn take(&mut self, field: &Field) -> Option<String> {
        self.texts.remove(field.name)?
    }

    /// Parses a field that must be there. `None` if it has an error.
    pub(crate) fn required<T>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Option<T> {
        let parsed = self.text(field).map_or(Err(FieldError::Missing), parse);
        self.errors.take(field.name, parsed)
    }

    /// Parses a field that has two names, of which exactly one must be there. The document asks for `field`; old clients send `other`.
    pub(crate) fn required_as_either<T>(
        &mut self,
        field: &Field,
        other: &Field,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Option<T> {
        match (self.text(field).is_some(), self.text(other).is_some()) {
            (true, true) => {
                self.errors.add(other.name, FieldError::Duplicate);
                None
            }
            (false, true) => self.required(other, parse),
            (_, false) => self.required(field, parse),
        }
    }

    /// Parses a field that may be absent. `None` also if it has an error.
    pub(crate) fn optional<T>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Option<T> {
        let parsed = self.text(field).map(parse)?;
        self.errors.take(field.name, parsed)
    }

    /// Parses a change of a property that an account may lack. `Some(None)`, for `null` and an empty text, clears the property; `None` leaves it as it is. If
    /// the field has an error, [`Self::finish`] fails, and the value has no meaning.
    pub(crate) fn change<T>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Option<Option<T>> {
        if self.texts.get(field.name) == Some(&None) {
            return Some(None);
        }
        self.optional(field, parse).map(Some)
    }

    /// Returns `parsed` if all required fields are there and no field has an error.
    pub(crate) fn finish<T>(self, parsed: Option<T>) -> Result<T, Error> {
        parsed
            .filter(|_| self.errors.is_empty())
            .ok_or(Error::Invalid(self.errors))
    }
}

/// The name of an unknown field if it looks like a field name, otherwise [`UNNAMED`]: a client may send a password where a name belongs.
fn repeatable(name: &str) -> &str {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= MAX_UNKNOWN_CHARS
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { name } else { UNNAMED }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Field = Field::TEXT.named("login");
    const PASSWORD: Field = Field::TEXT.named("password");
    const CAPTCHA_TOKEN: Field = Field::TEXT.named("cf_turnstile_token");
    pub(super) const SAMPLE: [&Field; 3] = [&LOGIN, &PASSWORD, &CAPTCHA_TOKEN];

    fn fields(members: Vec<(&str, Member)>) -> Fields {
        let members = members.into_iter();
        let members = members.map(|(name, member)| (name.to_owned(), member));
        Fields::new(&SAMPLE, Object(members.collect()))
    }

    fn text(text: &str) -> Member {
        Member::Text(text.to_owned())
    }

    fn read(mut fields: Fields) -> Result<(String, String), Vec<(String, FieldError)>> {
        let login = fields.required(&LOGIN, |text| Ok(text.to_owned()));
        let password = fields.required(&PASSWORD, |text| Ok(text.to_owned()));
        fields.finish(login.zip(password)).map_err(|error| match error {
            Error::Invalid(errors) => errors
                .iter()
                .map(|(name, error)| (name.to_owned(), error))
                .collect(),
            other => panic!("{other}"),
        })
    }

    fn named(errors: &[(&str, FieldError)]) -> Vec<(String, FieldError)> {
        errors
            .iter()
            .map(|(name, error)| ((*name).to_owned(), *error))
            .collect()
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let members = vec![
            ("login", text("alice")),
            ("login", text("bob")),
            ("password", Member::Other),
            ("extra", Member::Null),
        ];
        let expected = [
            ("extra", FieldError::Unknown),
            ("login", FieldError::Duplicate),
            ("password", FieldError::WrongType { expected: "string" }),
        ];
        assert_eq!(read(fields(members)), Err(named(&expected)));
    }

    #[test]
    fn null_and_empty_are_absent() {
        let absent = vec![
            ("login", Member::Null),
            ("password", text("")),
            ("cf_turnstile_token", Member::Null),
        ];
        let expected = [("login", FieldError::Missing), ("password", FieldError::Missing)];
        assert_eq!(read(fields(absent)), Err(named(&expected)));
        let given = vec![
            ("login", text("alice")),
            ("password", text("x")),
            ("cf_turnstile_token", text("")),
        ];
        assert_eq!(read(fields(given)), Ok(("alice".to_owned(), "x".to_owned())));
    }

    #[test]
    fn a_name_that_may_be_a_secret_is_not_repeated() {
        for name in ["hunter2", "Pass word", "", "пароль", "_x", &"a".repeat(33)] {
            assert_eq!(repeatable(name), UNNAMED, "{name}");
        }
        assert_eq!(repeatable("invite_cod"), "invite_cod");
    }

    #[test]
    fn only_so_many_unknown_fields_are_named() {
        let names: Vec<String> = ('a'..='z').map(String::from).collect();
        let members = names.iter().map(|name| (name.as_str(), Member::Null)).collect();
        assert_eq!(fields(members).errors.iter().count(), MAX_UNKNOWN_NAMED);
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::tests::SAMPLE;
    use super::*;
    use crate::domain::properties::wild_text;

    fn member() -> impl Strategy<Value = (String, u8)> {
        let name = prop_oneof![
            Just("login".to_owned()),
            Just("password".to_owned()),
            "[a-z_]{1,34}",
            wild_text()
        ];
        (name, 0..4_u8)
    }

    proptest! {
        #[test]
        fn every_member_is_read_or_named_and_no_odd_name_is_repeated(members in prop::collection::vec(member(), 0..6)) {
            let object = members.iter().map(|(name, kind)| {
                let member = match kind {
                    0 => Member::Null,
                    1 => Member::Other,
                    2 => Member::Text(String::new()),
                    _ => Member::Text("a text".to_owned()),
                };
                (name.clone(), member)
            });
            let fields = Fields::new(&SAMPLE, Object(object.collect()));
            let errors: Vec<(&str, FieldError)> = fields.errors.iter().collect();
            for (name, _) in &errors {
                prop_assert!(*name == UNNAMED || name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            }
            for field in SAMPLE {
                let sent = members.iter().filter(|(name, _)| name == field.name);
                let kinds: Vec<u8> = sent.map(|(_, kind)| *kind).collect();
                let error = errors.iter().find(|(name, _)| *name == field.name).map(|(_, error)| *error);
                let expected = match kinds[..] {
                    [] | [0 | 2 | 3] => None,
                    [1, ..] => Some(FieldError::WrongType { expected: "string" }),
                    _ => Some(FieldError::Duplicate),
                };
                prop_assert_eq!(error, expected, "{}", field.name);
                prop_assert_eq!(fields.text(field).is_some(), kinds.first() == Some(&3));
            }
            let is_known = |name: &str| SAMPLE.iter().any(|field| field.name == name);
            let is_strange = members.iter().any(|(name, _)| !is_known(name));
            prop_assert_eq!(errors.iter().any(|(_, error)| *error == FieldError::Unknown), is_strange);
        }
    }
}
