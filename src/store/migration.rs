//! Migrations as they are compiled in.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use rust_embed::RustEmbed;

use super::{Result, Setting, Tx};
use crate::domain::Timestamp;

/// One step of the schema.
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) sql: String,
    /// The digest of its text. A database records it, and is refused if it was made by another text.
    pub(super) sha256: Vec<u8>,
}

/// How the schema of a database compares with that of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaState {
    /// The database has no tables.
    Empty,
    /// The database has an older schema, of this version.
    Old(u32),
    /// The database has the schema of this program.
    Current,
}

/// The `NNNN_name.sql` files of a folder in the order of their numbers.
pub(super) fn in_order<Files: RustEmbed>() -> Vec<Migration> {
    let mut names: Vec<String> = Files::iter().map(Cow::into_owned).collect();
    names.sort_unstable();
    let read = |name: String| {
        let file = Files::get(&name)?;
        let (number, rest) = name.split_once('_')?;
        Some(Migration {
            version: number.parse().ok()?,
            name: rest.trim_end_matches(".sql").to_owned(),
            sha256: digest(&SHA256, &file.data).as_ref().to_vec(),
            sql: String::from_utf8(file.data.into_owned()).ok()?,
        })
    };
    names.into_iter().filter_map(read).collect()
}

/// Records which key file and which version of the program a migrated database belongs to.
pub(super) fn note_origin(tx: &Tx<'_>, key_check: Option<&str>, now: Timestamp) -> Result<()> {
    if tx.find_setting(Setting::KeyCheck)?.is_none() {
        tx.put_setting(Setting::KeyCheck, key_check, now)?;
    }
    // An older program that refuses this schema names this version.
    tx.put_setting(Setting::SchemaMadeBy, Some(env!("CARGO_PKG_VERSION")), now)
}
