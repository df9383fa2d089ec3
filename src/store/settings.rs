//! Settings: what there is one of.

use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Tx};
use crate::domain::Timestamp;

/// The name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The check value of the key file, in base64url.
    KeyCheck,
    /// The registration mode that the operator set.
    RegistrationMode,
    /// The public URL of the server that ran last.
    ServedPublicUrl,
    /// Its app URL, if it had one.
    ServedAppUrl,
    /// The registration mode that its configuration pinned, if it did.
    ServedPinnedMode,
    /// Which limits and ways to sign in it had.
    ServedRules,
    /// How its mails read and leave, as JSON.
    ServedMailing,
    /// The version of this program that brought the schema to where it is.
    SchemaMadeBy,
    /// When the last verified backup was taken, in milliseconds since 1970.
    LastBackupAt,
    /// When the operator last had all mail tried again, in milliseconds since 1970.
    MailRetriedAt,
    /// When a mail last expired before the mail server took it, in milliseconds since 1970.
    LastMailLostAt,
    /// In a backup only: when it was taken, in milliseconds since 1970.
    BackupTakenAt,
    /// When the server last tried whether it can write, in milliseconds since 1970.
    WriteTriedAt,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::KeyCheck => "key_check",
            Self::RegistrationMode => "registration_mode",
            Self::ServedPublicUrl => "served_public_url",
            Self::ServedAppUrl => "served_app_url",
            Self::ServedPinnedMode => "served_pinned_mode",
            Self::ServedRules => "served_rules",
            Self::ServedMailing => "served_mailing",
            Self::SchemaMadeBy => "schema_made_by",
            Self::LastBackupAt => "last_backup_at",
            Self::MailRetriedAt => "mail_retried_at",
            Self::LastMailLostAt => "last_mail_lost_at",
            Self::BackupTakenAt => "backup_taken_at",
            Self::WriteTriedAt => "write_tried_at",
        }
    }
}

impl Reader<'_> {
    /// The value of a setting; `None` if it was never set.
    pub fn find_setting(&self, setting: Setting) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
        Ok(statement
            .query_row([setting.name()], |row| row.get(0))
            .optional()?)
    }

    /// A setting that is a moment; `None` if it was never set.
    pub fn find_moment(&self, setting: Setting) -> Result<Option<Timestamp>, StoreError> {
        let text = self.find_setting(setting)?;
        Ok(text
            .and_then(|text| text.parse().ok())
            .map(Timestamp::from_millis))
    }
}

impl Tx<'_> {
    /// Sets a setting to a moment.
    pub fn put_moment(&self, setting: Setting, moment: Timestamp) -> Result<(), StoreError> {
        self.put_setting(setting, Some(&moment.as_millis().to_string()), moment)
    }

    /// Sets a setting, or removes it when `value` is `None`.
    pub fn put_setting(
        &self,
        setting: Setting,
        value: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(value) = value else {
            self.connection
                .prepare_cached("DELETE FROM settings WHERE name = ?1")?
                .execute([setting.name()])?;
            return Ok(());
        };
        self.connection
            .prepare_cached(
                "INSERT INTO settings (name, value, updated_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
            )?
            .execute(params![setting.name(), value, now.as_millis()])?;
        Ok(())
    }
}
