//! The part of the configuration that decides what mails say, where their links lead and how they are sent.
//!
//! The server records this part. Commands then write the same mails and links, although they cannot know with which configuration the server was started.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::domain::{LinkTemplates, MailTransport, ServiceName};
use crate::mail::{Letterhead, WayToReset};
use crate::service::Links;

/// The path of the built-in page to verify an address; `#` or `?` follows in a link.
const VERIFY_PAGE: &str = "/verify";
/// The path of the built-in page to set a password; `#` or `?` follows in a link.
const RESET_PAGE: &str = "/reset";

/// What commands must know about the server's mails. The names of the fields are those in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mailing {
    name: String,
    locale: String,
    transport: String,
    pages: bool,
    #[serde(flatten)]
    links: LinkTemplates,
}

impl Mailing {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            name: config.service_name().as_str().to_owned(),
            locale: config.mail.locale.into_str().to_owned(),
            transport: config.mail_transport().into_str().to_owned(),
            pages: config.server.pages,
            links: config.links.clone(),
        }
    }

    /// The configuration keys that a command compares with its own, and their values.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let own = [
            ("server.name", self.name.as_str()),
            ("mail.locale", &self.locale),
            ("mail.transport", &self.transport),
        ];
        own.into_iter().chain(self.links.by_key())
    }

    /// The recorded name of the service, or the name in `config` if the recorded one is not valid.
    pub(super) fn name(&self, config: &Config) -> ServiceName {
        ServiceName::parse(&self.name).unwrap_or_else(|| config.service_name())
    }

    pub(super) fn mail_transport(&self) -> MailTransport {
        self.transport.parse().unwrap_or(MailTransport::Off)
    }

    /// The links of mails. Without an app URL they lead to the built-in pages of the server.
    pub(super) fn links(&self, public_url: &str, app_url: Option<&str>) -> Links {
        Links {
            templates: self.links.clone(),
            public_url: public_url.to_owned(),
            app_url: app_url.map(str::to_owned),
            has_pages: self.pages,
        }
    }

    pub(super) fn letterhead(&self, config: &Config, links: &Links) -> Letterhead {
        let is_built_in = |link: &str, page: &str| {
            let path = link.split_once('}').map_or(link, |(_, path)| path);
            let rest = path.strip_prefix(page);
            self.pages
                && links.leads_to_this_server(link)
                && rest.is_some_and(|rest| rest.starts_with(['#', '?']))
        };
        Letterhead {
            name: self.name(config),
            language: self.locale.parse().unwrap_or_default(),
            reset: if is_built_in(&self.links.reset, RESET_PAGE) {
                WayToReset::Page(format!("{}{RESET_PAGE}", links.public_url))
            } else if links.has_page(&self.links.reset) {
                WayToReset::App
            } else {
                WayToReset::Operator
            },
            has_verify_page: is_built_in(&self.links.verify, VERIFY_PAGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_version_0_1_has_the_default_links_of_a_change() {
        let record = r#"{"name":"Example","locale":"en","transport":"off","pages":true,"verify":"v","reset":"r","invite":"i"}"#;
        let mailing: Mailing = serde_json::from_str(record).expect("it is a record");
        assert_eq!(mailing.links.invite, "i");
        assert_eq!(mailing.links.change, LinkTemplates::default_change());
        assert_eq!(mailing.links.undo, LinkTemplates::default_undo());
    }
}
