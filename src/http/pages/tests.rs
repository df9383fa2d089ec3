//! Tests of the built-in pages as a whole: templates, scripts and texts refer to each other, and what the policy forbids is in none of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use strum::{VariantArray as _, VariantNames as _};

use super::built_in::content_security_policy;
use super::embedded;
use super::rendering::tests::most_facts;
use super::rendering::{self, Static, Templates};
use crate::domain::{FieldError, Language, RegistrationMode};
use crate::http::pipeline::Code;

pub(super) const PAGES: [&str; 5] = [
    "sign_in.html",
    "register.html",
    "verify.html",
    "reset.html",
    "account.html",
];

fn text(name: &str) -> String {
    embedded::text::<Static>(name)
}

fn names(extension: &str) -> Vec<String> {
    let names = Static::iter().map(Cow::into_owned);
    names.filter(|name| name.ends_with(extension)).collect()
}

/// Every page in every language and registration mode: its name, the beginning of the names of its files with texts, and its text.
fn rendered() -> Vec<(&'static str, &'static str, String)> {
    let templates = Templates::new(most_facts());
    let mut pages = Vec::new();
    for page in PAGES {
        for &language in Language::VARIANTS {
            for &mode in RegistrationMode::VARIANTS {
                let text = templates.render(page, language, mode);
                pages.push((page, language.into_str(), text));
            }
        }
    }
    pages
}

/// The keys of the texts of an element, or of all elements of a page.
fn keys(page: &str) -> BTreeSet<&str> {
    let labels = between(page, " data-label=\"", '"');
    labels
        .union(&between(page, " data-text=\"", '"'))
        .copied()
        .collect()
}

/// Every text between a `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: char) -> BTreeSet<&'a str> {
    let pieces = text.split(start).skip(1);
    pieces.filter_map(|piece| piece.split(end).next()).collect()
}

/// The texts of a file by their keys.
fn texts(source: &str) -> BTreeMap<&str, &str> {
    let lines = source.lines().filter_map(|line| line.strip_prefix("  "));
    let entries = lines.filter_map(|line| line.split_once(": \""));
    entries.map(|(key, text)| (key.trim_matches('"'), text)).collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The files with the texts of a page.
fn text_files(page: &str, language: &str) -> BTreeSet<String> {
    let parts = between(page, "data-texts=\"", '"');
    let parts = parts.iter().flat_map(|parts| parts.split_whitespace());
    parts.map(|part| format!("{language}-{part}.js")).collect()
}

/// What the scripts of this file import at once.
fn imports(script: &str) -> BTreeSet<String> {
    let source = text(script);
    between(&source, " from \"./", '"')
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn only_a_captcha_opens_the_policy_and_only_to_its_own_host() {
    let policy = |captcha_on| {
        content_security_policy(captcha_on).replace(&rendering::style_source(), "the style sheet")
    };
    assert_eq!(
        policy(false),
        "default-src 'none'; script-src 'self'; style-src 'the style sheet'; img-src 'self' data:; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(
        policy(true),
        "default-src 'none'; script-src 'self' https://challenges.cloudflare.com; \
         frame-src https://challenges.cloudflare.com; style-src 'the style sheet'; img-src 'self' data:; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
}

#[test]
fn every_file_that_is_asked_for_is_there() {
    for (name, language, page) in rendered() {
        let files = between(&page, "\"/pages/", '"').into_iter().map(str::to_owned);
        for asked in files.chain(text_files(&page, language)) {
            assert!(Static::get(&asked).is_some(), "{name} asks for {asked}");
        }
    }
    for name in names(".js") {
        let source = text(&name);
        let later = between(&source, "import(\"./", '"')
            .into_iter()
            .map(str::to_owned);
        for asked in later.chain(imports(&name)) {
            assert!(Static::get(&asked).is_some(), "{name} asks for {asked}");
        }
    }
}

#[test]
fn the_pages_hold_nothing_that_the_policy_forbids() {
    for (name, _, page) in rendered() {
        // A browser shows the indentation of the last two, which rendering drops.
        for forbidden in [" style=", "javascript:", "//", "<pre", "<textarea"] {
            assert!(!page.contains(forbidden), "{name} has {forbidden}");
        }
        // The policy allows the style sheet byte for byte.
        let styles = format!("<style>{}</style>", include_str!("templates/pages.css"));
        assert!(page.contains(&styles), "{name} has other styles");
        assert_eq!(page.matches("<style").count(), 1, "{name}");
        let is_handler = |word: &str| word.starts_with("on") && word.contains('=');
        assert!(!page.split_whitespace().any(is_handler), "{name} has a handler");
        let scripts = page.matches("<script").count();
        let modules = page.matches("<script type=\"module\" src=").count();
        assert_eq!(scripts, modules, "{name} has a script of its own");
    }
}

/// Says in which the texts of the languages differ, beyond their words.
fn compare<'a>(what: &str, english: &BTreeMap<&'a str, &'a str>, chinese: &BTreeMap<&'a str, &'a str>) {
    let keys = |texts: &BTreeMap<&'a str, &'a str>| texts.keys().copied().collect::<Vec<_>>();
    assert_eq!(keys(english), keys(chinese), "{what}");
    for (key, said) in english {
        let translated = chinese[key];
        let gaps = |text| between(text, "{", '}');
        assert_eq!(gaps(said), gaps(translated), "{what} {key}");
        let said = said.replace("one hour", "1 hour");
        assert_eq!(digits(&said), digits(translated), "{what} {key}");
    }
}

#[test]
fn both_languages_have_the_same_texts_with_the_same_gaps() {
    let [english, chinese] = ["en.json", "zh.json"].map(text);
    compare("pages", &texts(&english), &texts(&chinese));
    // The server fills this gap and no other.
    let mut with_gaps = texts(&english);
    with_gaps.retain(|_, text| text.replace("{min}", "").contains('{'));
    assert_eq!(with_gaps, BTreeMap::new());
    let of = |language: &str| {
        let files = names(".js").into_iter();
        files
            .filter_map(|name| name.strip_prefix(language).map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of("en-"), of("zh-"));
    for part in of("en-") {
        let [english, chinese] = ["en", "zh"].map(|language| text(&format!("{language}-{part}")));
        compare(&part, &texts(&english), &texts(&chinese));
    }
}

#[test]
fn every_text_of_a_page_is_written_into_it() {
    let mut used = BTreeSet::new();
    let pages = rendered();
    for (name, language, page) in &pages {
        // A key that no text has makes rendering panic.
        for element in page
            .split('<')
            .filter(|element| element.contains(" data-text=\""))
        {
            assert!(!element.ends_with('>'), "{name} in {language}: {element}");
        }
        used.extend(keys(page));
    }
    let english = text("en.json");
    let known: BTreeSet<&str> = texts(&english).into_keys().collect();
    assert_eq!(known, used);
}

#[test]
fn every_text_is_in_one_place() {
    let mut seen = BTreeMap::new();
    // A page may have its own text for a key that all pages know.
    let is_own = |key: &str| key.starts_with("field.") || key.starts_with("here.");
    let files = names(".js").into_iter().filter(|name| name.starts_with("en-"));
    for name in files.chain(["en.json".to_owned()]) {
        for key in texts(&text(&name)).into_keys().filter(|key| !is_own(key)) {
            let before = seen.insert(key.to_owned(), name.clone());
            assert_eq!(before, None, "{key} is also in {name}");
        }
    }
}

/// The scripts that a page loads at once or later.
fn scripts(page: &str) -> BTreeSet<String> {
    let named = between(page, "<script type=\"module\" src=\"/pages/", '"');
    let mut found: BTreeSet<String> = named.into_iter().map(str::to_owned).collect();
    loop {
        let later = |name: &String| {
            between(&text(name), "import(\"./", '"')
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        let more: Vec<BTreeSet<String>> = found
            .iter()
            .flat_map(|name| [imports(name), later(name)])
            .collect();
        let before = found.len();
        found.extend(more.into_iter().flatten());
        if found.len() == before {
            return found;
        }
    }
}

#[test]
fn every_key_in_a_script_has_a_text_on_the_page() {
    let mut number = 0;
    for (name, language, page) in rendered() {
        let scripts = scripts(&page);
        let sources: Vec<String> = scripts.iter().map(|name| text(name)).collect();
        let mut files = text_files(&page, language);
        files.extend(sources.iter().flat_map(|source| {
            let parts = between(source, "addTexts(\"", '"');
            parts
                .into_iter()
                .map(|part| format!("{language}-{part}.js"))
                .collect::<Vec<_>>()
        }));
        let files: Vec<String> = files.iter().map(|file| text(file)).collect();
        let mut known: BTreeSet<&str> = files.iter().flat_map(|file| texts(file).into_keys()).collect();
        known.extend(keys(&page));
        let beginnings: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
        let literals = sources.iter().flat_map(|source| source.lines());
        for literal in literals.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let is_key = literal.contains('.')
                && literal
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte))
                && beginnings.contains(literal.split('.').next().unwrap_or_default());
            // Codes of refusals look alike, and their texts have a prefix.
            let is_known = known.contains(literal) || known.contains(format!("error.{literal}").as_str());
            assert!(
                !is_key || is_known || is_of_refusals(literal),
                "{name} asks for {literal}"
            );
            number += usize::from(is_key);
        }
    }
    assert!(number > 100, "{number}");
}

/// Whether `refusal.js`, which every page has, names this code; a page has texts for the codes that its requests can get.
fn is_of_refusals(literal: &str) -> bool {
    text("refusal.js").contains(&format!("\"{literal}\""))
}

#[test]
fn the_page_knows_every_warning_of_a_registration() {
    let (service, script) = (include_str!("../../service/registration.rs"), text("register.js"));
    let (_, list) = script.split_once("const WARNINGS = [").expect("it has a list");
    let (list, _) = list.split_once("];").expect("the list ends");
    let beginnings = between(list, "  [\"", '"');
    assert_eq!(beginnings.len(), 3);
    for beginning in beginnings {
        assert!(service.contains(&format!("\"{beginning}")), "{beginning}");
    }
}

#[test]
fn every_text_about_a_link_of_a_change_is_there_and_shown() {
    let (script, english) = (text("address_link.js"), text("en-address.js"));
    let asked = between(&script, "\"link.", '"');
    let known = texts(&english).into_keys();
    let known: BTreeSet<&str> = known.filter_map(|key| key.strip_prefix("link.")).collect();
    for key in &asked {
        assert!(known.contains(key), "{key}");
    }
    for key in &known {
        let of_title = key.strip_suffix("_title");
        let is_shown = asked.contains(key) || of_title.is_some_and(|key| asked.contains(key));
        assert!(is_shown, "{key}");
    }
    // A text that ends the steps has a title.
    let last = between(&script, "done(\"link.", '"');
    for key in last.iter().chain(&["over", "undo_over", "taken"]) {
        assert!(known.contains(format!("{key}_title").as_str()), "{key}");
    }
}

#[test]
fn every_code_has_a_sentence() {
    let files = ["en-common.js", "en-entry.js"].map(text);
    let known: BTreeSet<&str> = files.iter().flat_map(|file| texts(file).into_keys()).collect();
    let refusals = text("refusal.js");
    let (_, alike) = refusals
        .split_once("const ALIKE")
        .expect("it lists codes that one sentence explains");
    let is_alike = |code: &str| alike.contains(&format!("\"{code}\": \""));
    let client = include_str!("browser_client/arkloop.js");
    let of_client = between(client, "\"client.", '"')
        .into_iter()
        .map(|code| format!("client.{code}"));
    let of_server = Code::VARIANTS.iter().map(|code| code.as_str().to_owned());
    let codes: Vec<String> = of_server.chain(of_client).collect();
    assert!(
        codes.iter().any(|code| code == "client.user_changed"),
        "{codes:?}"
    );
    for code in codes {
        assert!(
            known.contains(format!("error.{code}").as_str()) || is_alike(&code),
            "{code}"
        );
    }
    for code in FieldError::VARIANTS {
        // The pages never send bodies with these errors.
        let is_of_bodies = ["unknown", "duplicate", "wrong_type"].contains(code);
        let is_explained = known
            .iter()
            .any(|key| key.starts_with("field.") && key.rsplit('.').next() == Some(*code));
        assert!(is_of_bodies || is_explained, "{code}");
    }
}

#[test]
fn the_first_load_of_each_page_is_light() {
    const MOST: usize = 60_000;
    for (name, language, page) in rendered() {
        let named = between(&page, "\"/pages/", '"').into_iter().map(str::to_owned);
        let mut files: BTreeSet<String> = named.chain(text_files(&page, language)).collect();
        loop {
            let more: BTreeSet<String> = files.iter().flat_map(|file| imports(file)).collect();
            let before = files.len();
            files.extend(more);
            if files.len() == before {
                break;
            }
        }
        let client = include_str!("browser_client/arkloop.js").len();
        let weight = page.len() + client + files.iter().map(|file| text(file).len()).sum::<usize>();
        assert!(weight < MOST, "{name} in {language} weighs {weight} bytes");
    }
}

#[test]
fn every_page_says_what_the_service_is_called() {
    for (name, language, page) in rendered() {
        assert_eq!(page.matches("Example").count(), 3, "{name} in {language}");
    }
}

#[test]
fn a_password_field_names_the_length_that_the_server_asks_for() {
    for (name, language, page) in rendered() {
        let expected = usize::from(["register.html", "reset.html", "account.html"].contains(&name));
        assert_eq!(
            page.matches("minlength=\"12\"").count(),
            expected,
            "{name} in {language}"
        );
    }
}
