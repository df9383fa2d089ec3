//! Single values, each stored under a name.

use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::Timestamp;

/// The name of a setting. A time is stored in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Setting {
    /// The check value of the key file, in base64url.
    KeyCheck,
    /// The registration mode that the operator set.
    RegistrationMode,
    /// The public URL of the server that ran last.
    ServedPublicUrl,
    /// The app URL of that server, if it had one.
    ServedAppUrl,
    /// The registration mode that the configuration of that server pinned, if any.
    ServedPinnedMode,
    /// The limits of that server, and the ways to sign in that it offers.
    ServedRules,
    /// How that server composed and sent mail, as JSON.
    ServedMailing,
    /// The version of arkloop that last migrated the schema.
    SchemaMadeBy,
    /// When the last verified backup was taken.
    LastBackupAt,
    /// When the operator last requested a new attempt for all mail.
    MailRetriedAt,
    /// When a mail last expired before a mail server accepted it.
    LastMailLostAt,
    /// In a backup only: when it was taken.
    BackupTakenAt,
    /// When the server last wrote only to learn whether the database can be written.
    WriteTriedAt,
}

impl Reader<'_> {
    /// The value of a setting; `None` if it was never set.
    pub fn find_setting(&self, setting: Setting) -> Result<Option<String>> {
        let name: &str = setting.into();
        self.query_opt(
            "SELECT value FROM settings WHERE name = ?1",
            params![name],
            |row| row.take(),
        )
    }

    /// The value of a setting that is a time; `None` if it was never set.
    pub fn find_time(&self, setting: Setting) -> Result<Option<Timestamp>> {
        let text = self.find_setting(setting)?;
        let millis = text.and_then(|text| text.parse().ok());
        Ok(millis.map(Timestamp::from_millis))
    }
}

impl Tx<'_> {
    /// Sets a setting to a time.
    pub fn put_time(&self, setting: Setting, at: Timestamp) -> Result<()> {
        self.put_setting(setting, Some(&at.as_millis().to_string()), at)
    }

    /// Sets a setting, or removes it when `value` is `None`.
    pub fn put_setting(&self, setting: Setting, value: Option<&str>, now: Timestamp) -> Result<()> {
        let name: &str = setting.into();
        match value {
            None => self.execute_counted("DELETE FROM settings WHERE name = ?1", params![name])?,
            Some(value) => self.execute_counted(
                "INSERT INTO settings (name, value, updated_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
                params![name, value, now],
            )?,
        };
        Ok(())
    }
}
