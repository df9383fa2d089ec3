//! The codes of refused requests, and the messages for refused requests and fields.

use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::domain::FieldError;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident: $status:ident $code:literal, $message:literal;)*) => {
        /// The code of a refusal, on which clients branch: stable and documented. The codes are in the order of their statuses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// The status, the name on the wire, and the message.
            const fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $code, $message),)*
                }
            }

            /// The name of the variant, from which the document builds names of components.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

codes! {
    /// Not JSON, not UTF-8, nested too deep, no object, or nothing at all.
    RequestMalformed: BAD_REQUEST "request.malformed", "The body is not a JSON object.";
    /// No `Authorization` header.
    MissingToken: UNAUTHORIZED "auth.missing_token", "This operation needs an access token.";
    /// An `Authorization` header that is not `Bearer <token>`.
    InvalidAuthorization: UNAUTHORIZED "auth.invalid_authorization", "The Authorization header must be Bearer and an access token.";
    /// An expired access token.
    TokenExpired: UNAUTHORIZED "auth.token_expired", "The access token has expired: refresh it.";
    /// Anything else that is wrong with a token.
    InvalidToken: UNAUTHORIZED "auth.invalid_token", "The token is not valid, or its session has ended.";
    /// A refresh without the cookie.
    RefreshTokenMissing: UNAUTHORIZED "auth.refresh_token_missing", "The refresh token cookie is missing: sign in.";
    /// Wrong login or password.
    InvalidCredentials: UNAUTHORIZED "auth.invalid_credentials", "The login or the password is wrong.";
    /// The flow token of a sign-in by code is not valid any more.
    FlowTokenInvalid: UNAUTHORIZED "auth.flow_token_invalid", "This sign-in has taken too long or was begun elsewhere: begin again.";
    /// The account is suspended.
    UserSuspended: FORBIDDEN "auth.user_suspended", "This account is suspended.";
    /// Registration is off.
    RegistrationDisabled: FORBIDDEN "auth.registration_disabled", "Registration is disabled.";
    /// The request comes from a page of an origin that is not listed.
    OriginForbidden: FORBIDDEN "request.origin_forbidden", "Pages of this origin may not do this.";
    /// An account without a password may set one only shortly after its sign-in.
    ReauthenticationRequired: FORBIDDEN "auth.reauthentication_required", "Sign in again to do this.";
    /// No such path.
    NotFound: NOT_FOUND "http.not_found", "There is nothing here.";
    /// The caller has no such session.
    SessionNotFound: NOT_FOUND "session.not_found", "There is no such session.";
    /// The path has other methods.
    MethodNotAllowed: METHOD_NOT_ALLOWED "http.method_not_allowed", "This path does not have this method; Allow lists those it has.";
    /// The username is taken.
    LoginExists: CONFLICT "auth.login_exists", "This username is taken.";
    /// The address is taken.
    EmailExists: CONFLICT "auth.email_exists", "This e-mail address has an account already.";
    /// A verification mail for an address that needs none.
    EmailAlreadyVerified: CONFLICT "email.already_verified", "This e-mail address is verified already.";
    /// More than 16 KiB.
    RequestTooLarge: PAYLOAD_TOO_LARGE "request.too_large", "The body is larger than 16 KiB.";
    /// The body is not declared as JSON.
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE "request.unsupported_media_type", "The body must be sent as application/json in UTF-8, without a Content-Encoding.";
    /// One or more bad fields.
    ValidationError: UNPROCESSABLE_ENTITY "validation.error", "One or more fields are not acceptable; details.fields names them.";
    /// Registration needs an invite.
    InviteCodeRequired: UNPROCESSABLE_ENTITY "auth.invite_code_required", "Registration needs an invite code.";
    /// The invite cannot be used.
    InviteCodeInvalid: UNPROCESSABLE_ENTITY "auth.invite_code_invalid", "This invite code cannot be used.";
    /// The captcha is on and was not solved.
    CaptchaInvalid: UNPROCESSABLE_ENTITY "auth.captcha_invalid", "The captcha was not solved: try it again.";
    /// The code is wrong, used, expired or locked, or the address is unknown.
    OtpInvalid: UNPROCESSABLE_ENTITY "auth.otp_invalid", "The code is wrong or has expired.";
    /// A verification link that cannot be used.
    EmailTokenInvalid: UNPROCESSABLE_ENTITY "email.token_invalid", "This link has been used or has expired.";
    /// A link to set a password that cannot be used.
    ResetTokenInvalid: UNPROCESSABLE_ENTITY "auth.reset_token_invalid", "This link has been used or has expired.";
    /// `details.limit` says which limit was reached.
    RateLimited: TOO_MANY_REQUESTS "rate_limit.exceeded", "Too many requests: try again after Retry-After.";
    /// Mail was requested too often for this address.
    OtpRateLimited: TOO_MANY_REQUESTS "auth.otp_rate_limited", "Too many mails for this address: try again after Retry-After.";
    /// Too many wrong codes were tried for this address.
    OtpLocked: TOO_MANY_REQUESTS "auth.otp_locked", "Too many wrong codes for this address: sign in otherwise, or try again after Retry-After.";
    /// A fault of the server.
    InternalError: INTERNAL_SERVER_ERROR "internal.error", "Something went wrong here; the log has the cause under this trace id.";
    /// The captcha is on and cannot be checked.
    CaptchaUnavailable: SERVICE_UNAVAILABLE "auth.captcha_unavailable", "The captcha cannot be checked now: try again after Retry-After.";
    /// This server sends no mail.
    MailUnavailable: SERVICE_UNAVAILABLE "mail.unavailable", "This server sends no mail.";
    /// The server cannot serve now.
    Unavailable: SERVICE_UNAVAILABLE "service.unavailable", "The server cannot do this now: try again after Retry-After.";
}

impl Code {
    pub(crate) const fn status(self) -> StatusCode {
        self.row().0
    }

    /// The name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The message for people.
    pub(crate) const fn message(self) -> &'static str {
        self.row().2
    }
}

/// The description of one bad field in a refusal.
pub(crate) fn describe(error: FieldError) -> Value {
    let message = match error {
        FieldError::Missing => "This field is required.".to_owned(),
        FieldError::Unknown => "This operation has no such field.".to_owned(),
        FieldError::Duplicate => "This field stands in the body more than once.".to_owned(),
        FieldError::WrongType { expected } => format!("Must be a {expected}."),
        FieldError::TooShort { min } => format!("Must have at least {min} characters."),
        FieldError::TooLong { max } => format!("Must have at most {max} characters."),
        FieldError::TooManyBytes { max } => format!("Must have at most {max} bytes in UTF-8."),
        FieldError::Invalid { form } => format!("Must be {form}."),
        FieldError::InvalidCharacters { allowed } => format!("May hold only {allowed}."),
        FieldError::CommonPassword => "This password is in every list of common ones.".to_owned(),
        FieldError::ContainsIdentity => "The password must not be the account's own name.".to_owned(),
        FieldError::Incorrect => "This is not the current password.".to_owned(),
    };
    let mut said = json!({ "code": error.into_str(), "message": message });
    match error {
        FieldError::TooShort { min } => said["min"] = json!(min),
        FieldError::TooLong { max } | FieldError::TooManyBytes { max } => said["max"] = json!(max),
        _ => {}
    }
    said
}
