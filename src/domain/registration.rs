//! Who may create an account.

/// Who may create an account over HTTP. The names are those on the wire, in the database, on the command line and in the configuration.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RegistrationMode {
    Open,
    /// A usable invite is needed: the default of a new server.
    #[default]
    InviteOnly,
    Disabled,
}
