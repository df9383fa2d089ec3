//! Looking at a database without a trace: no file is made, changed or removed, and nothing can be written.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use super::connection::{self, ConnectionManager, Kind};
use super::health::Health;
use super::lock::{FileLock, Mode, Name};
use super::migrations::{self, Standing};
use super::open::{is_served, recorded_key_check};
use super::store::pool;
use super::writer::WriterHandle;
use super::{OpenOptions, Store};
use crate::store::OpenError;

/// Opens the database at `path`, which must be of the present schema and belong to the key of `options`.
pub(super) fn open(path: PathBuf, options: &OpenOptions) -> Result<Store, OpenError> {
    // Without the file nobody has opened the database with this program; it is not made for this.
    let in_use = FileLock::find(&options.directory, Name::Use)?;
    if let Some(in_use) = &in_use {
        in_use.take(Mode::Shared)?;
    }
    let connection = connection::open(&path, Kind::Looking)?;
    match migrations::standing(&connection, &path)? {
        Standing::Current => {}
        Standing::Empty => return Err(OpenError::Missing(path)),
        Standing::Old(found) => {
            let known = migrations::newest();
            let is_served = is_served(&options.directory)?;
            return Err(OpenError::Older {
                path,
                found,
                known,
                is_served,
            });
        }
    }
    let recorded = recorded_key_check(&connection)?;
    if options.key_check.is_some() && recorded != options.key_check {
        return Err(OpenError::OtherKey { path, recorded });
    }
    let manager = || ConnectionManager::new(path.clone(), Kind::Looking, options.probe.clone());
    Ok(Store {
        readers: pool(manager(), options.readers)?,
        reports: pool(manager(), NonZeroU32::MIN)?,
        writer: WriterHandle::none(),
        health: Arc::new(Health::of([])),
        path,
        _locks: in_use.into_iter().collect(),
    })
}
