//! Who may create an account.

/// Who may create an account over HTTP. The names are those on the wire, in the database, on the command line and in the configuration.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
    strum::Display,
)]
#[strum(
    serialize_all = "snake_case",
    const_into_str,
    parse_err_ty = UnknownMode,
    parse_err_fn = UnknownMode::of
)]
pub enum RegistrationMode {
    Open,
    /// A usable invite is needed: the default of a new server.
    #[default]
    InviteOnly,
    Disabled,
}

/// A text that names no registration mode.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a registration mode is one of open, invite_only, disabled")]
pub struct UnknownMode;

impl UnknownMode {
    fn of(_text: &str) -> Self {
        Self
    }
}
