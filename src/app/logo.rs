//! Reads the file of `server.logo_file`.

use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::config::Config;
use crate::domain::{Logo, LogoFlaw};
use crate::files::{Untrusted, open_trusted};

/// Why the pages cannot show the logo.
#[derive(Debug, thiserror::Error)]
pub enum LogoError {
    #[error("the file of server.logo_file, {}, cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("the file of server.logo_file, {}, cannot be the logo", .0.display())]
    Unusable(PathBuf, #[source] LogoFlaw),
}

impl LogoError {
    /// What the operator can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable(_, cause) => match Untrusted::within(cause).and_then(Untrusted::mend) {
                Some(command) => format!("run: {command}"),
                None => "name a file that the user who runs arkloop can read, or remove the key".to_owned(),
            },
            Self::Unusable(..) => "name a PNG or a plain SVG, or remove the key".to_owned(),
        }
    }
}

/// The logo of the built-in pages, if the configuration names one. Every visitor of a page gets the file, so only root and the running user may be able to
/// change it.
pub fn read_logo(config: &Config) -> Result<Option<Logo>, LogoError> {
    let Some(path) = &config.server.logo_file else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let read = open_trusted(path).and_then(|file| file.take(Logo::MAX_READ).read_to_end(&mut bytes));
    read.map_err(|error| LogoError::Unreadable(path.clone(), error))?;
    let logo = Logo::parse(bytes).map_err(|flaw| LogoError::Unusable(path.clone(), flaw))?;
    Ok(Some(logo))
}
