//! The templates of the pages, which are compiled in, and the values that they use.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, context};
use rust_embed::RustEmbed;

use super::embedded;
use crate::domain::{Language, Logo, LogoFormat, MailTransport, RegistrationMode};
use crate::http::pipeline::Shared;

/// A file for each page, the pieces that pages share, and their style sheet.
#[derive(RustEmbed)]
#[folder = "src/http/pages/templates"]
struct Files;

/// The scripts of the pages, their texts and their icon.
#[derive(RustEmbed)]
#[folder = "src/http/pages/static"]
pub(super) struct Static;

/// The style sheet, which is written into every page: without a request for it, the browser paints the page sooner.
const STYLES: &str = "pages.css";

/// The source in a content security policy that allows the style sheet (CSP Level 3, §2.3.1).
pub(super) fn style_source() -> String {
    let styles = Files::get(STYLES).expect("the file is compiled in");
    format!("sha256-{}", BASE64_STANDARD.encode(styles.metadata.sha256_hash()))
}

/// The texts of the pages by key, without those that only scripts say.
type Texts = HashMap<String, String>;

fn texts(language: Language) -> Texts {
    let file = embedded::text::<Static>(&format!("{}.json", language.into_str()));
    serde_json::from_str(&file).expect("the texts are compiled in, and a test reads them all")
}

/// What differs between servers.
pub(super) struct Facts {
    pub(super) service: String,
    /// The path of the picture beside the name.
    pub(super) logo: &'static str,
    pub(super) password_min_length: usize,
    pub(super) app_origin: Option<String>,
    /// The origins that a person may go back to after signing in, with a blank between two.
    pub(super) return_to: String,
    /// Whether mail is sent: people can come back in without their password.
    pub(super) has_mail: bool,
    /// Whether people can sign in by a mailed code.
    pub(super) has_codes: bool,
    /// Turnstile's, empty without a captcha.
    pub(super) captcha_site_key: String,
    pub(super) has_docs: bool,
}

impl Facts {
    pub(super) fn of(shared: &Shared) -> Self {
        let (service, settings) = (&shared.service, &shared.settings);
        Self {
            service: service.name().as_str().to_owned(),
            logo: match settings.logo.as_ref().map(Logo::format) {
                None => "/pages/icon.svg",
                Some(LogoFormat::Png) => "/pages/logo.png",
                Some(LogoFormat::Svg) => "/pages/logo.svg",
            },
            password_min_length: service.password_min_length(),
            app_origin: settings.app_origin.clone(),
            return_to: settings.return_origins().join(" "),
            has_mail: service.mail_transport() != MailTransport::Off,
            has_codes: service.mail_transport() != MailTransport::Off && service.has_codes(),
            captcha_site_key: service.captcha_site_key().to_owned(),
            has_docs: settings.docs,
        }
    }
}

/// The templates for one server; each is parsed when a page needs it.
pub(super) struct Templates {
    environment: Environment<'static>,
    facts: Facts,
}

impl Templates {
    pub(super) fn new(facts: Facts) -> Self {
        let mut environment = Environment::new();
        // An unknown name in a template is a fault, and must not become a gap in a page.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_loader(|name| Ok(Files::get(name).map(|_| embedded::text::<Files>(name))));
        Self { environment, facts }
    }

    /// The path of the picture that the pages show.
    pub(super) const fn logo(&self) -> &'static str {
        self.facts.logo
    }

    /// The page of the template `name`, without the indentation of the template. The ending of the name makes minijinja escape every value.
    pub(super) fn render(&self, name: &str, language: Language, mode: RegistrationMode) -> String {
        let facts = &self.facts;
        let context = context! {
            language => language.tag(),
            // The beginning of the names of the files with texts.
            texts_of => language.into_str(),
            zh => language == Language::Chinese,
            service => facts.service.as_str(),
            logo => facts.logo,
            min_length => facts.password_min_length,
            app => facts.app_origin.as_deref(),
            return_to => facts.return_to.as_str(),
            has_mail => facts.has_mail,
            has_codes => facts.has_codes,
            captcha_key => facts.captcha_site_key.as_str(),
            mode => mode.into_str(),
            has_docs => facts.has_docs,
        };
        let template = self.environment.get_template(name);
        let text = template.and_then(|template| template.render(context));
        let text = text.expect("the templates are compiled in, and a test renders them all");
        let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
        let page: String = lines.flat_map(|line| [line, "\n"]).collect();
        let styles = format!("<style>{}</style>", embedded::text::<Files>(STYLES));
        let texts = texts(language);
        with_texts(&page, &texts, facts.password_min_length).replacen("<style></style>", &styles, 1)
    }
}

/// Writes the texts into the elements of a page that name them, as `i18n.js` does when a person changes the language: `data-text` is what the element shows,
/// `data-label` what screen readers call it. The attributes of the templates hold no `>`.
fn with_texts(page: &str, texts: &Texts, min_length: usize) -> String {
    let text = |tag: &str, attribute: &str| {
        let (_, key) = tag.split_once(attribute)?;
        let (key, _) = key.split_once('"')?;
        let text = texts[key].replace("{min}", &min_length.to_string());
        Some(HtmlEscape(&text).to_string())
    };
    let mut filled = String::with_capacity(2 * page.len());
    for piece in page.split_inclusive('>') {
        match (piece.strip_suffix('>'), text(piece, " data-label=\"")) {
            (Some(tag), Some(label)) => filled.extend([tag, " aria-label=\"", &label, "\">"]),
            _ => filled.push_str(piece),
        }
        filled.extend(text(piece, " data-text=\""));
    }
    filled
}

#[cfg(test)]
pub(super) mod tests {
    use strum::VariantArray as _;

    use super::*;
    use crate::http::pages::tests::PAGES;

    /// A server that has everything.
    pub(in crate::http::pages) fn most_facts() -> Facts {
        Facts {
            service: "Example".to_owned(),
            logo: "/pages/icon.svg",
            password_min_length: 12,
            app_origin: Some("https://app.example.org".to_owned()),
            return_to: "https://app.example.org http://localhost:5173".to_owned(),
            has_mail: true,
            has_codes: true,
            captcha_site_key: "0x4AAAAAAAsite".to_owned(),
            has_docs: true,
        }
    }

    /// A server that has nothing that can be absent.
    fn fewest_facts() -> Facts {
        Facts {
            app_origin: None,
            return_to: String::new(),
            has_mail: false,
            has_codes: false,
            captcha_site_key: String::new(),
            has_docs: false,
            ..most_facts()
        }
    }

    /// Pages are rendered when they are asked for, so no start of a server finds a fault in one.
    #[test]
    fn every_page_is_rendered_with_the_most_and_with_the_fewest_facts() {
        for facts in [most_facts(), fewest_facts()] {
            let templates = Templates::new(facts);
            for page in PAGES.iter().chain(&["home.html"]) {
                for &language in Language::VARIANTS {
                    for &mode in RegistrationMode::VARIANTS {
                        let text = templates.render(page, language, mode);
                        assert!(text.ends_with("</html>\n"), "{page}");
                    }
                }
            }
        }
    }
}
