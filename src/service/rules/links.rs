//! Where links point: from the configuration only, never from a request.

use crate::domain::{InviteCode, LinkPurpose, LinkTemplates, LinkToken};

/// The templates of links, and what fills them.
#[derive(Clone, Debug)]
pub struct Links {
    pub templates: LinkTemplates,
    /// The value of `{app_url}`: `server.app_url`, or `server.public_url` where the built-in pages are served.
    pub app_url: String,
    /// Whether there are pages at `app_url`: `server.app_url` is set, or the built-in pages are served.
    pub has_pages: bool,
}

impl Links {
    /// The link of a token.
    pub(crate) fn of_token(&self, purpose: LinkPurpose, token: &LinkToken) -> String {
        let template = match purpose {
            LinkPurpose::VerifyEmail => &self.templates.verify,
            LinkPurpose::ResetPassword | LinkPurpose::SetPassword => &self.templates.reset,
        };
        template
            .replace("{app_url}", &self.app_url)
            .replace("{token}", &token.reveal())
    }

    /// The link of an invite; `None` while there is no page to point to.
    pub(crate) fn of_invite(&self, code: &InviteCode) -> Option<String> {
        let link = self
            .templates
            .invite
            .replace("{app_url}", &self.app_url)
            .replace("{code}", &code.reveal());
        self.has_page(&self.templates.invite).then_some(link)
    }

    /// Whether a link of this template leads to a page, as far as the configuration tells.
    pub fn has_page(&self, template: &str) -> bool {
        self.has_pages || !template.starts_with("{app_url}")
    }

    /// The host name in the message ids of mails.
    pub(crate) fn host(&self) -> &str {
        let rest = self
            .app_url
            .split_once("://")
            .map_or(self.app_url.as_str(), |(_, rest)| rest);
        rest.split(['/', ':'])
            .next()
            .filter(|host| !host.is_empty())
            .unwrap_or("localhost")
    }
}
