//! No secret is printed by accident: a type that holds one has neither `Display` nor `Serialize`, and derives no `Debug` that would print it.
//!
//! The test reads the sources, so that it also covers new types. `faults/secrets.rs` tests that no secret is in a log or in the
//! database.

use std::collections::{BTreeMap, BTreeSet};

use arkloop::config::{Config, Sources};
use arkloop::domain::{
    FlowToken, InviteCode, Letter, LinkToken, MIN_PASSWORD_CHARS, OneTimeCode, Password, PasswordGuess,
    PasswordHash, Sealed, SessionNonce,
};
use arkloop::service::RefreshCookie;
use syn::visit::{self, Visit};

use super::layering::sources_of_src;

/// The types that are a secret, or hold one in a form that could be printed.
const SECRETS: [&str; 22] = [
    "Exchange",
    "Fields",
    "FlowToken",
    "Given",
    "InviteCode",
    "InviteWithCode",
    "Keyring",
    "Keys",
    "Letter",
    "LinkToken",
    "Member",
    "Message",
    "Object",
    "OneTimeCode",
    "Password",
    "PasswordGuess",
    "PasswordHash",
    "PresentedRefreshToken",
    "RefreshTokens",
    "SessionNonce",
    "SigningKey",
    "Sources",
];
/// Words in the names of fields that indicate a secret.
const SECRET_WORDS: [&str; 16] = [
    "body",
    "code",
    "cookie",
    "html",
    "link",
    "nonce",
    "otp",
    "passphrase",
    "password",
    "phc",
    "pkcs8",
    "plaintext",
    "private",
    "secret",
    "token",
    "tokens",
];
/// Types whose `Debug` prints their content.
const PRINTED: [&str; 8] = ["Bytes", "Cow", "OsString", "String", "Value", "Vec", "str", "u8"];
/// Fields that have the name of a secret but hold none: the answer of another server.
const HARMLESS: [(&str, &str); 1] = [("Answer", "body")];
/// Types that may be written although they hold a secret: a mail is serialized to be sealed.
const WRITTEN: [(&str, &str); 1] = [("Message", "Serialize")];
/// Traits that write a value as text or data.
const WRITERS: [&str; 3] = ["Display", "LowerHex", "Serialize"];

/// A struct or an enum of the sources.
#[derive(Default)]
struct Type {
    /// The traits that the file implements for the type.
    traits: BTreeSet<String>,
    derives: BTreeSet<String>,
    /// The fields, including those of variants, each with the names of all types in the type of the field.
    fields: Vec<(String, BTreeSet<String>)>,
}

/// The types of the sources, without tests, which may print anything.
#[derive(Default)]
struct Catalogue {
    /// The file that is being read.
    file: String,
    /// Keyed by file and name, because two files may use one name for different types.
    types: BTreeMap<(String, String), Type>,
}

/// The last word of every path in a type.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let last = path.segments.last().map(|segment| segment.ident.to_string());
        self.0.extend(last);
        visit::visit_path(self, path);
    }
}

fn is_of_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        let names = attribute.parse_args::<syn::Path>();
        attribute.path().is_ident("cfg") && names.is_ok_and(|name| name.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

fn derives(attributes: &[syn::Attribute]) -> BTreeSet<String> {
    let mut derived = BTreeSet::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        let read = attribute.parse_nested_meta(|meta| {
            derived.extend(meta.path.segments.last().map(|segment| segment.ident.to_string()));
            Ok(())
        });
        read.expect("a derive lists traits");
    }
    derived
}

impl Catalogue {
    fn read(&mut self, file: &str, text: &str) {
        file.clone_into(&mut self.file);
        self.visit_file(&syn::parse_file(text).expect("it is Rust"));
    }

    fn entry(&mut self, name: &syn::Ident) -> &mut Type {
        self.types
            .entry((self.file.clone(), name.to_string()))
            .or_default()
    }

    fn add(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], fields: Vec<&syn::Field>) {
        let described = self.entry(name);
        described.derives.extend(derives(attributes));
        for field in fields {
            let mut names = Names::default();
            names.visit_type(&field.ty);
            // A field without a name counts as a field with the name of its type.
            let called = field.ident.as_ref().unwrap_or(name).to_string().to_lowercase();
            described.fields.push((called, names.0));
        }
    }

    /// The faults of the types, one sentence each.
    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for ((_, name), described) in &self.types {
            let is_secret = SECRETS.contains(&name.as_str());
            let holds = |names: &BTreeSet<String>| {
                names
                    .iter()
                    .any(|name| name == "SecretString" || SECRETS.contains(&name.as_str()))
            };
            let holds_secret = is_secret || described.fields.iter().any(|(_, names)| holds(names));
            for writer in WRITERS {
                let writes = described.derives.contains(writer) || described.traits.contains(writer);
                if holds_secret && writes && !WRITTEN.contains(&(name.as_str(), writer)) {
                    mistakes.push(format!("{name} holds a secret and is {writer}"));
                }
            }
            for (field, names) in &described.fields {
                let is_named_so = field.split('_').any(|word| SECRET_WORDS.contains(&word));
                let is_printed = names.iter().any(|name| PRINTED.contains(&name.as_str()));
                let is_harmless = HARMLESS.contains(&(name.as_str(), field.as_str()));
                let is_digest = names.iter().any(|name| name.ends_with("Digest"));
                if described.derives.contains("Debug")
                    && (is_secret || is_named_so)
                    && is_printed
                    && !is_digest
                    && !is_harmless
                {
                    mistakes.push(format!("{name} derives Debug over {field}"));
                }
            }
        }
        mistakes
    }
}

impl<'ast> Visit<'ast> for Catalogue {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_of_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.ident, &item.attrs, item.fields.iter().collect());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let fields = item.variants.iter().flat_map(|variant| variant.fields.iter());
        self.add(&item.ident, &item.attrs, fields.collect());
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let (Some((_, path, _)), syn::Type::Path(of)) = (&item.trait_, &*item.self_ty) else {
            return;
        };
        let (Some(implemented), Some(of)) = (path.segments.last(), of.path.segments.last()) else {
            return;
        };
        let described = self.entry(&of.ident);
        described.traits.insert(implemented.ident.to_string());
    }
}

#[test]
fn no_type_of_the_sources_prints_a_secret() {
    let mut catalogue = Catalogue::default();
    for (path, text) in sources_of_src() {
        if !path.contains("/tests/") && !path.contains("/properties") {
            catalogue.read(&path, &text);
        }
    }
    for name in SECRETS {
        let is_there = catalogue
            .types
            .iter()
            .any(|((_, known), found)| known == name && !found.fields.is_empty());
        assert!(is_there, "there is no type {name}");
    }
    assert_eq!(catalogue.mistakes(), Vec::<String>::new());
}

/// The values formatted with `{:?}` and `{:#?}`.
macro_rules! printed {
    ($($value:expr),+ $(,)?) => {
        [$(format!("{0:?} {0:#?}", $value)),+]
    };
}

/// A configuration with two secrets.
fn configuration_with(secret: &str) -> Config {
    let env = [
        ("ARKLOOP_MAIL__TRANSPORT", "smtp"),
        ("ARKLOOP_MAIL__SMTP_URL", "smtp://localhost"),
        ("ARKLOOP_MAIL__SMTP_USER", "arkloop"),
        ("ARKLOOP_MAIL__SMTP_PASSWORD", secret),
        ("ARKLOOP_TURNSTILE__SITE_KEY", "site"),
        ("ARKLOOP_TURNSTILE__SECRET_KEY", secret),
    ];
    let sources = Sources {
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        cwd: "/nowhere".into(),
        ..Sources::default()
    };
    Config::load(&sources).expect("it is a configuration")
}

#[test]
fn nothing_secret_is_in_what_debug_prints() {
    const MARK: &str = "zq7x-secret";
    let mark = || MARK.to_owned();
    let letters = [
        Letter::VerifyEmail {
            username: "alice".to_owned(),
            link: mark(),
        },
        Letter::SignInCode { code: mark() },
        Letter::ResetPassword {
            username: "alice".to_owned(),
            link: mark(),
        },
        Letter::Invite {
            code: mark(),
            link: Some(mark()),
        },
    ];
    let shown = printed![
        Password::parse(MARK, MIN_PASSWORD_CHARS, &[]).expect("it is accepted"),
        PasswordGuess::parse(MARK).expect("it is a guess"),
        PasswordHash::new(mark()),
        OneTimeCode::parse(MARK).expect("the code is valid"),
        InviteCode::from_random(*b"zq7x-secre"),
        LinkToken::from_random(*b"zq7x-secretzq7x-secretzq7x-secre"),
        FlowToken::new(Sealed(MARK.into())),
        SessionNonce(*b"zq7x-secretzq7x-"),
        RefreshCookie {
            value: mark().into(),
            max_age: std::time::Duration::ZERO,
            expires_at: arkloop::domain::Timestamp::from_millis(0)
        },
        configuration_with(MARK),
        letters,
    ];
    let code = InviteCode::from_random(*b"zq7x-secre").reveal();
    let token = LinkToken::from_random(*b"zq7x-secretzq7x-secretzq7x-secre").reveal();
    for text in shown {
        // The list of the bytes of the mark begins with 122, 113; in hexadecimal they begin with 7a71.
        for secret in [MARK, code.as_str(), token.as_str(), "122, 113", "7a71"] {
            assert!(
                !text
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .contains(secret),
                "{text}"
            );
        }
    }
}
