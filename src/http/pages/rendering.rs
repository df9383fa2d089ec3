//! The templates of the pages, which are compiled in, and the values that they use.

use minijinja::{Environment, UndefinedBehavior, context};
use rust_embed::RustEmbed;

use super::embedded;
use crate::domain::{Language, Logo, LogoFormat, MailTransport};
use crate::http::pipeline::Shared;

/// A file for each page, and the pieces that pages share.
#[derive(RustEmbed)]
#[folder = "src/http/pages/templates"]
struct Files;

/// What differs between servers.
pub(super) struct Facts {
    pub(super) service: String,
    /// The path of the picture beside the name.
    pub(super) logo: &'static str,
    pub(super) password_min_length: usize,
    pub(super) app_origin: Option<String>,
    /// The origins that a person may go back to after signing in, with a blank between two.
    pub(super) return_to: String,
    /// How people sign in and come back in without their password: a list of words that scripts read.
    pub(super) ways: &'static str,
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
            ways: match (service.mail_transport(), service.has_codes()) {
                (MailTransport::Off, _) => "",
                (_, false) => "resets",
                (_, true) => "codes resets",
            },
            has_docs: settings.docs,
        }
    }
}

/// The templates, parsed, for one server.
pub(super) struct Templates {
    environment: Environment<'static>,
    facts: Facts,
}

impl Templates {
    pub(super) fn new(facts: Facts) -> Self {
        let mut environment = Environment::new();
        // An unknown name in a template is a fault, and must not become a gap in a page.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for name in Files::iter() {
            let source = embedded::text::<Files>(&name);
            let added = environment.add_template_owned(name, source);
            added.expect("the templates are compiled in, and a test renders them all");
        }
        Self { environment, facts }
    }

    /// The path of the picture that the pages show.
    pub(super) const fn logo(&self) -> &'static str {
        self.facts.logo
    }

    /// The page of the template `name`, without the indentation of the template. The ending of the name makes minijinja escape every value.
    pub(super) fn render(&self, name: &str, language: Language) -> String {
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
            ways => facts.ways,
            has_docs => facts.has_docs,
        };
        let template = self.environment.get_template(name);
        let text = template.and_then(|template| template.render(context));
        let text = text.expect("the templates are compiled in, and a test renders them all");
        let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}
