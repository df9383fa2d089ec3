//! The fields of a request body: one table of them both reads the body and documents it.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::body::{Member, Object};
use super::exchange::Exchange;
use crate::domain::{FieldError, FieldErrors};
use crate::service::{Change, Error};

/// How many unknown fields are named: nobody mistypes more, and the answer stays smaller than the question.
const MAX_UNKNOWN_NAMED: usize = 16;
/// How long the name of an unknown field may be to be repeated.
const MAX_UNKNOWN_CHARS: usize = 32;
/// Stands for the name of an unknown field that is not repeated.
const UNNAMED: &str = "(unknown)";

/// A field of a body. All of them are texts.
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it means, for the document.
    pub(crate) description: &'static str,
    /// A value that would do, for the document.
    pub(crate) example: &'static str,
    /// The fewest characters, for the document: what is refused is the word's own business.
    pub(crate) min_length: Option<usize>,
    /// The most characters, for the document.
    pub(crate) max_length: Option<usize>,
    /// The form as a regular expression (ECMA-262), for the document.
    pub(crate) pattern: Option<&'static str>,
    /// Whether the body must have it. An optional field that is `null` or empty is absent.
    pub(crate) is_required: bool,
    /// Whether it is only there for clients of the past.
    pub(crate) is_deprecated: bool,
}

impl Field {
    /// The same under another name.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn schema(&self) -> MetaSchema {
        MetaSchema {
            description: Some(self.description),
            example: Some(self.example.into()),
            min_length: self.min_length,
            max_length: self.max_length,
            pattern: self.pattern.map(str::to_owned),
            nullable: !self.is_required,
            deprecated: self.is_deprecated,
            ..MetaSchema::new("string")
        }
    }
}

/// A kind of body.
pub(crate) trait Body: Send + Sync + 'static {
    /// The name of its schema.
    const NAME: &'static str;
    /// Its fields.
    const FIELDS: &'static [&'static Field];
}

/// A body whose fields have been told apart, and everything that is wrong with them so far.
pub(crate) struct Form<B> {
    texts: Vec<Option<String>>,
    /// Which fields were sent as `null` or empty.
    blanks: Vec<bool>,
    errors: FieldErrors,
    kind: PhantomData<fn() -> B>,
}

impl<B: Body> Form<B> {
    fn new(object: Object) -> Self {
        let mut form = Self {
            texts: vec![None; B::FIELDS.len()],
            blanks: vec![false; B::FIELDS.len()],
            errors: FieldErrors::default(),
            kind: PhantomData,
        };
        let mut seen = BTreeSet::new();
        let mut unknown = 0;
        for (name, member) in object.0 {
            let Some(index) = B::FIELDS.iter().position(|field| field.name == name) else {
                unknown += 1;
                if unknown <= MAX_UNKNOWN_NAMED {
                    form.errors.add(repeatable(&name), FieldError::Unknown);
                }
                continue;
            };
            if !seen.insert(index) {
                form.errors.add(&name, FieldError::Duplicate);
                continue;
            }
            match member {
                Member::Null => form.blanks[index] = true,
                Member::Text(text) if text.is_empty() => form.blanks[index] = true,
                Member::Text(text) => form.texts[index] = Some(text),
                Member::Other => form
                    .errors
                    .add(&name, FieldError::WrongType { expected: "string" }),
            }
        }
        form
    }

    /// What was sent as `field`; `None` if it is absent, `null`, empty or no text.
    pub(crate) fn text(&self, field: &Field) -> Option<&str> {
        let index = B::FIELDS.iter().position(|known| known.name == field.name)?;
        self.texts[index].as_deref()
    }

    /// Reads the word in a field that must be there; `None` once something is wrong with it.
    pub(crate) fn required<W>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<W, FieldError>,
    ) -> Option<W> {
        let parsed = self.text(field).map_or(Err(FieldError::Missing), parse);
        self.errors.take(field.name, parsed)
    }

    /// Reads the word in a field that has two names, of which exactly one must be there. The document asks for `field`; old clients
    /// send `other`.
    pub(crate) fn required_as_either<W>(
        &mut self,
        field: &Field,
        other: &Field,
        parse: impl FnOnce(&str) -> Result<W, FieldError>,
    ) -> Option<W> {
        match (self.text(field).is_some(), self.text(other).is_some()) {
            (true, true) => {
                self.errors.add(other.name, FieldError::Duplicate);
                None
            }
            (false, true) => self.required(other, parse),
            (_, false) => self.required(field, parse),
        }
    }

    /// Reads the word in a field that may be absent; `None` also once something is wrong with it.
    pub(crate) fn optional<W>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<W, FieldError>,
    ) -> Option<W> {
        let parsed = self.text(field).map(parse)?;
        self.errors.take(field.name, parsed)
    }

    /// Reads what becomes of something that an account may lack: `null` and an empty text clear it. Kept also once something is wrong with the field.
    pub(crate) fn change<W>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<W, FieldError>,
    ) -> Change<W> {
        let is_blank = |(known, is_blank): (&&Field, &bool)| known.name == field.name && *is_blank;
        if B::FIELDS.iter().zip(&self.blanks).any(is_blank) {
            return Change::Clear;
        }
        self.optional(field, parse).map_or(Change::Keep, Change::Set)
    }

    /// The words that were read, if all the required ones are there and nothing is wrong with any field.
    pub(crate) fn finish<W>(self, words: Option<W>) -> Result<W, Error> {
        words
            .filter(|_| self.errors.is_empty())
            .ok_or(Error::Invalid(self.errors))
    }
}

/// The name of an unknown field if it looks like one. People paste anything, also a password where a name belongs.
fn repeatable(name: &str) -> &str {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= MAX_UNKNOWN_CHARS
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { name } else { UNNAMED }
}

impl<'a, B: Body> ApiExtractor<'a> for Form<B> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_schema::<B, _>(B::NAME.to_owned(), |_| MetaSchema {
            required: B::FIELDS
                .iter()
                .filter(|field| field.is_required)
                .map(|field| field.name)
                .collect(),
            properties: B::FIELDS
                .iter()
                .map(|field| (field.name, MetaSchemaRef::Inline(Box::new(field.schema()))))
                .collect(),
            ..MetaSchema::new("object")
        });
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Reference(B::NAME.to_owned());
        let content = vec![MetaMediaType {
            content_type: "application/json",
            schema,
        }];
        Some(MetaRequest {
            description: None,
            content,
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::new(Exchange::of(request)?.take_body()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::fields::{CAPTCHA_TOKEN, LOGIN, PASSWORD};

    struct Sample;

    impl Body for Sample {
        const NAME: &'static str = "SampleRequest";
        const FIELDS: &'static [&'static Field] = &[&LOGIN, &PASSWORD, &CAPTCHA_TOKEN];
    }

    fn form(members: Vec<(&str, Member)>) -> Form<Sample> {
        Form::new(Object(
            members
                .into_iter()
                .map(|(name, member)| (name.to_owned(), member))
                .collect(),
        ))
    }

    fn text(text: &str) -> Member {
        Member::Text(text.to_owned())
    }

    fn read(mut form: Form<Sample>) -> Result<(String, String), Vec<(String, FieldError)>> {
        let login = form.required(&LOGIN, |text| Ok(text.to_owned()));
        let password = form.required(&PASSWORD, |text| Ok(text.to_owned()));
        form.finish(login.zip(password)).map_err(|error| match error {
            Error::Invalid(fields) => fields
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
        assert_eq!(read(form(members)), Err(named(&expected)));
    }

    #[test]
    fn null_and_empty_are_absent() {
        let absent = vec![
            ("login", Member::Null),
            ("password", text("")),
            ("cf_turnstile_token", Member::Null),
        ];
        let expected = [("login", FieldError::Missing), ("password", FieldError::Missing)];
        assert_eq!(read(form(absent)), Err(named(&expected)));
        let given = vec![
            ("login", text("alice")),
            ("password", text("x")),
            ("cf_turnstile_token", text("")),
        ];
        assert_eq!(read(form(given)), Ok(("alice".to_owned(), "x".to_owned())));
    }

    #[test]
    fn a_name_that_may_be_a_secret_is_not_repeated() {
        for name in ["hunter2", "Pass word", "", "пароль", "_x", &"a".repeat(33)] {
            assert_eq!(repeatable(name), UNNAMED, "{name}");
        }
        assert_eq!(repeatable("invite_cod"), "invite_cod");
    }

    #[test]
    fn not_more_unknown_fields_are_named_than_anybody_mistypes() {
        let names: Vec<String> = ('a'..='z').map(String::from).collect();
        let members = names.iter().map(|name| (name.as_str(), Member::Null)).collect();
        assert_eq!(form(members).errors.iter().count(), MAX_UNKNOWN_NAMED);
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::properties::wild_text;
    use crate::http::api::fields::{CAPTCHA_TOKEN, LOGIN, PASSWORD};

    struct Sample;

    impl Body for Sample {
        const NAME: &'static str = "SampleRequest";
        const FIELDS: &'static [&'static Field] = &[&LOGIN, &PASSWORD, &CAPTCHA_TOKEN];
    }

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
            let form = Form::<Sample>::new(Object(object.collect()));
            let errors: Vec<(&str, FieldError)> = form.errors.iter().collect();
            for (name, _) in &errors {
                prop_assert!(*name == UNNAMED || name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            }
            for field in Sample::FIELDS {
                let sent = members.iter().filter(|(name, _)| name == field.name);
                let kinds: Vec<u8> = sent.map(|(_, kind)| *kind).collect();
                let error = errors.iter().find(|(name, _)| *name == field.name).map(|(_, error)| *error);
                let expected = match kinds[..] {
                    [] | [0 | 2 | 3] => None,
                    [1, ..] => Some(FieldError::WrongType { expected: "string" }),
                    _ => Some(FieldError::Duplicate),
                };
                prop_assert_eq!(error, expected, "{}", field.name);
                prop_assert_eq!(form.text(field).is_some(), kinds.first() == Some(&3));
            }
            let is_known = |name: &str| Sample::FIELDS.iter().any(|field| field.name == name);
            let is_strange = members.iter().any(|(name, _)| !is_known(name));
            prop_assert_eq!(errors.iter().any(|(_, error)| *error == FieldError::Unknown), is_strange);
        }
    }
}
