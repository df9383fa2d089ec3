//! How mails read and leave: decided by the configuration of the server, which records it, so that a command mails, links and reports as the server does.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::domain::ServiceName;
use crate::mail::{Letterhead, Medium, WayToReset};
use crate::service::Links;

/// What the built-in page for it is in `links.verify`; what follows is `#` or `?`.
const VERIFY_PAGE: &str = "{app_url}/verify";
/// What the built-in page for it is in `links.reset`.
const RESET_PAGE: &str = "{app_url}/reset";

/// What commands must know of the server's mails; the fields are the configuration's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mailing {
    name: String,
    locale: String,
    transport: String,
    pages: bool,
    verify: String,
    reset: String,
    invite: String,
}

impl Mailing {
    /// What `config` says.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            name: config.service_name().as_str().to_owned(),
            locale: config.mail.locale.into_str().to_owned(),
            transport: config.mail_transport().into_str().to_owned(),
            pages: config.server.pages,
            verify: config.links.verify.clone(),
            reset: config.links.reset.clone(),
            invite: config.links.invite.clone(),
        }
    }

    /// Reads what [`Mailing::to_text`] wrote; `None` if another version wrote it.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is recorded.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("it is made of texts")
    }

    /// The keys that can differ, with the values here.
    pub(super) fn keys(&self) -> [(&'static str, &str); 6] {
        [
            ("server.name", &self.name),
            ("mail.locale", &self.locale),
            ("mail.transport", &self.transport),
            ("links.verify", &self.verify),
            ("links.reset", &self.reset),
            ("links.invite", &self.invite),
        ]
    }

    /// The name of the service; that of `config` if the recorded one is none.
    pub(super) fn name(&self, config: &Config) -> ServiceName {
        ServiceName::parse(&self.name).unwrap_or_else(|| config.service_name())
    }

    /// By which way mail leaves.
    pub(super) fn medium(&self) -> Medium {
        match self.transport.parse() {
            Ok(config::MailTransport::Smtp) => Medium::Smtp,
            Ok(config::MailTransport::File) => Medium::File,
            Ok(config::MailTransport::Off) | Err(_) => Medium::Off,
        }
    }

    /// Where links point. Without an app of its own the links lead to the built-in pages, which the server itself serves.
    pub(super) fn links(&self, public_url: &str, app_url: Option<&str>) -> Links {
        Links {
            verify: self.verify.clone(),
            reset: self.reset.clone(),
            invite: self.invite.clone(),
            has_pages: app_url.is_some() || self.pages,
            app_url: app_url.unwrap_or(public_url).to_owned(),
        }
    }

    /// What mails say of the service, whose links are `links`.
    pub(super) fn letterhead(&self, config: &Config, links: &Links, has_app: bool) -> Letterhead {
        let is_built_in = |link: &str, page: &str| {
            let rest = link.strip_prefix(page);
            !has_app && self.pages && rest.is_some_and(|rest| rest.starts_with(['#', '?']))
        };
        Letterhead {
            name: self.name(config),
            language: self.locale.parse().unwrap_or_default(),
            reset: if is_built_in(&self.reset, RESET_PAGE) {
                WayToReset::Page(RESET_PAGE.replace("{app_url}", &links.app_url))
            } else if links.has_page(&self.reset) {
                WayToReset::App
            } else {
                WayToReset::Operator
            },
            has_verify_page: is_built_in(&self.verify, VERIFY_PAGE),
        }
    }
}
