//! Where links point: from the configuration only, never from a request.

use crate::domain::{InviteCode, LinkPurpose, LinkTemplates, LinkToken};

/// The templates of links, and what fills them.
#[derive(Clone, Debug)]
pub struct Links {
    pub templates: LinkTemplates,
    /// The value of `{public_url}`, where the built-in pages are.
    pub public_url: String,
    /// `server.app_url`; `None` if it is not set: then `{app_url}` is `public_url`.
    pub app_url: Option<String>,
    /// Whether the built-in pages are served.
    pub has_pages: bool,
}

impl Links {
    /// The link of a token.
    pub(crate) fn of_token(&self, purpose: LinkPurpose, token: &LinkToken) -> String {
        let template = match purpose {
            LinkPurpose::VerifyEmail => &self.templates.verify,
            LinkPurpose::ResetPassword | LinkPurpose::SetPassword => &self.templates.reset,
            LinkPurpose::ChangeEmail => &self.templates.change,
            LinkPurpose::UndoChange => &self.templates.undo,
        };
        self.at_origin(template).replace("{token}", &token.reveal())
    }

    /// The link of an invite; `None` while there is no page to point to.
    pub(crate) fn of_invite(&self, code: &InviteCode) -> Option<String> {
        let template = &self.templates.invite;
        let link = self.at_origin(template).replace("{code}", &code.reveal());
        self.has_page(template).then_some(link)
    }

    /// A template with the origin at its beginning filled in.
    fn at_origin(&self, template: &str) -> String {
        template
            .replace("{app_url}", self.app_url())
            .replace("{public_url}", &self.public_url)
    }

    /// The value of `{app_url}`.
    fn app_url(&self) -> &str {
        self.app_url.as_deref().unwrap_or(&self.public_url)
    }

    /// Whether a link of this template leads to a page, as far as the configuration tells.
    pub fn has_page(&self, template: &str) -> bool {
        self.has_pages || !self.leads_to_this_server(template)
    }

    /// Whether a link of this template leads to `public_url`.
    pub fn leads_to_this_server(&self, template: &str) -> bool {
        template.starts_with("{public_url}") || (template.starts_with("{app_url}") && self.app_url.is_none())
    }

    /// The host name in the message ids of mails.
    pub(crate) fn host(&self) -> &str {
        let url = self.app_url();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split(['/', ':'])
            .next()
            .filter(|host| !host.is_empty())
            .unwrap_or("localhost")
    }
}
