//! Proving an address through a mailed link.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::fields::TOKEN;
use super::sign_in::Done;
use crate::domain::LinkToken;
use crate::http::openapi::Tag;
use crate::http::pipeline::bearer::Authenticated;
use crate::http::pipeline::client_address::Visitor;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::service::{Error, PendingVerification};

/// The operations of this noun.
pub(crate) struct EmailApi(pub(crate) Arc<Shared>);

/// The token of a verification link.
struct VerificationToken;

impl Body for VerificationToken {
    const NAME: &'static str = "VerificationTokenRequest";
    const FIELDS: &'static [&'static Field] = &[&TOKEN];
}

impl VerificationToken {
    fn read(mut form: Form<Self>) -> Result<Option<LinkToken>, Error> {
        let token = form.required(&TOKEN, LinkToken::parse);
        form.finish(token)
    }
}

/// What a verification link is about.
#[derive(Object)]
#[oai(example = true)]
struct VerificationPreview {
    /// The name of the account that claims the address.
    username: String,
    /// Whether the address is verified already.
    email_verified: bool,
}

impl Example for VerificationPreview {
    fn example() -> Self {
        Self {
            username: "alice".to_owned(),
            email_verified: false,
        }
    }
}

impl From<PendingVerification> for VerificationPreview {
    fn from(pending: PendingVerification) -> Self {
        Self {
            username: pending.username.as_str().to_owned(),
            email_verified: pending.is_verified,
        }
    }
}

/// Mail that was asked for.
#[derive(ApiResponse)]
pub(super) enum MailResponse {
    /// It is on its way, if there is anybody to send it to.
    #[oai(status = 204)]
    Queued,
}

#[OpenApi(tag = "Tag::Email")]
impl EmailApi {
    /// Mail a link to verify the own address
    ///
    /// At most one a minute, 5 an hour and 10 a day; only the newest link works, for 24 hours.
    #[oai(
        path = "/v1/auth/email/verify/send",
        method = "post",
        operation_id = "send_verification"
    )]
    async fn send_verification(&self, caller: Authenticated) -> poem::Result<MailResponse> {
        self.0.service.send_verification(&caller.0).await?;
        Ok(MailResponse::Queued)
    }

    /// Tell what a verification link is about
    ///
    /// For the page that asks whether to confirm. It uses nothing up.
    #[oai(
        path = "/v1/auth/email/verify/preview",
        method = "post",
        operation_id = "preview_verification"
    )]
    async fn preview_verification(
        &self,
        form: Form<VerificationToken>,
    ) -> poem::Result<Json<VerificationPreview>> {
        let pending = self
            .0
            .service
            .find_verification(VerificationToken::read(form)?)
            .await?;
        Ok(Json(pending.into()))
    }

    /// Verify an address
    ///
    /// Doing it again with the same token is fine while the address is verified.
    #[oai(
        path = "/v1/auth/email/verify/confirm",
        method = "post",
        operation_id = "confirm_verification"
    )]
    async fn confirm_verification(
        &self,
        form: Form<VerificationToken>,
        visitor: Visitor,
    ) -> poem::Result<Json<Done>> {
        self.0
            .service
            .confirm_email(VerificationToken::read(form)?, &visitor.0)
            .await?;
        Ok(Json(Done { ok: true }))
    }

    /// Say "this was not me"
    ///
    /// Deletes the account that claims the address, unless the address was verified meanwhile.
    #[oai(
        path = "/v1/auth/email/verify/reject",
        method = "post",
        operation_id = "reject_verification"
    )]
    async fn reject_verification(
        &self,
        form: Form<VerificationToken>,
        visitor: Visitor,
    ) -> poem::Result<Json<Done>> {
        self.0
            .service
            .reject_email(VerificationToken::read(form)?, &visitor.0)
            .await?;
        Ok(Json(Done { ok: true }))
    }
}
