//! The sources of a configuration: the file, the environment, which overrides it, and the flags, which override both.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Location};
use super::format::{Given, Written, absolute, is_quoted};
use crate::files::{Untrusted, read_trusted, runner, shown_user};

/// The prefix of the variables of the configuration.
const PREFIX: &str = "ARKLOOP_";
/// The file that is read if none is named and the working directory has none.
const SYSTEM_FILE: &str = "/etc/arkloop/arkloop.toml";
/// The file that is read if none is named and the working directory has it.
const LOCAL_FILE: &str = "arkloop.toml";

/// All inputs of a configuration, so that tests need no process environment. No `Debug`: variables may be secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub config_flag: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir_flag: Option<PathBuf>,
    /// `--listen` of `serve`.
    pub listen_flag: Option<String>,
    /// The environment; only variables that begin with `ARKLOOP_` are read.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute: relative paths in variables and flags are resolved against it.
    pub cwd: PathBuf,
}

impl Sources {
    /// Reads the file, then the environment, then the flags. Later sources override earlier ones. Returns the file that was read, and every key that was given.
    pub(super) fn read(&self) -> Result<(Option<PathBuf>, BTreeMap<String, Given>), ConfigError> {
        let mut given = BTreeMap::new();
        let file = self.find_file()?;
        if let Some((path, text)) = &file {
            read_toml(path, text, &mut given)?;
        }
        self.read_variables(&mut given);
        refuse_quoted_variables(&given)?;
        self.read_flags(&mut given);
        Ok((file.map(|(path, _)| path), given))
    }

    /// The file to read, and its text; `None` if none is named and neither default file exists.
    fn find_file(&self) -> Result<Option<(PathBuf, String)>, ConfigError> {
        let variable = "ARKLOOP_CONFIG";
        let named = match (&self.config_flag, self.env.get(variable)) {
            (Some(path), _) => Some((path.clone(), Location::Flag("--config"))),
            (None, Some(path)) if !path.is_empty() => {
                let place = Location::Variable(variable.to_owned());
                if is_quoted(path) {
                    return Err(quoted_value(&place));
                }
                Some((path.into(), place))
            }
            _ => None,
        };
        if let Some((path, place)) = named {
            let path = absolute(&self.cwd, &path);
            let text = read_trusted(&path).map_err(|cause| unreadable(&path, &cause, Some(&place)))?;
            return Ok(Some((path, text)));
        }
        // `runuser -u arkloop -- arkloop …` often runs in a directory that the user arkloop may not search, such as /root. That is not an error.
        let may_search = fs::metadata(self.cwd.join(".")).is_ok();
        let local = may_search.then(|| self.cwd.join(LOCAL_FILE));
        for path in local.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
            match read_trusted(&path) {
                Ok(text) => return Ok(Some((path, text))),
                // A dangling link is an error.
                Err(cause) if cause.kind() == ErrorKind::NotFound && !path.is_symlink() => {}
                Err(cause) => return Err(unreadable(&path, &cause, None)),
            }
        }
        Ok(None)
    }

    pub(super) fn read_variables(&self, given: &mut BTreeMap<String, Given>) {
        for (name, value) in &self.env {
            if let Some(key) = key_of_variable(name) {
                let written = Written::Variable(value.clone());
                given.insert(key, self.given(written, Location::Variable(name.clone())));
            }
        }
    }

    fn read_flags(&self, given: &mut BTreeMap<String, Given>) {
        let data_dir = self
            .data_dir_flag
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned());
        let flags = [
            ("data_dir", "--data-dir", data_dir),
            ("server.listen", "--listen", self.listen_flag.clone()),
        ];
        for (key, flag, value) in flags {
            if let Some(value) = value {
                let written = Written::Toml(Some(value.into()));
                given.insert(key.to_owned(), self.given(written, Location::Flag(flag)));
            }
        }
    }

    fn given(&self, written: Written, location: Location) -> Given {
        Given {
            written,
            location,
            base: self.cwd.clone(),
        }
    }
}

/// Refuses variables whose value is in quotes: `docker run --env-file`, unlike a shell and systemd, keeps quotes as part of the value.
fn refuse_quoted_variables(given: &BTreeMap<String, Given>) -> Result<(), ConfigError> {
    let is_quoted_variable =
        |given: &&Given| matches!(&given.written, Written::Variable(text) if is_quoted(text));
    match given.values().find(is_quoted_variable) {
        None => Ok(()),
        Some(given) => Err(quoted_value(&given.location)),
    }
}

fn quoted_value(place: &Location) -> ConfigError {
    ConfigError::new(
        format!("a value begins and ends with a quote, which would be part of it ({place})"),
        "leave the quotes out: docker run --env-file and others take them literally; to set a value that begins and ends with quotes, use the configuration file",
    )
}

/// Whether the configuration reads the variable `name`.
pub fn is_config_variable(name: &str) -> bool {
    name == "ARKLOOP_CONFIG" || key_of_variable(name).is_some()
}

/// The key that a variable sets; `None` if it sets no key.
///
/// Orchestrators set variables such as `ARKLOOP_SERVICE_HOST`, so a name without `__` is a key only for the two keys outside of a section. A name with
/// `__` always counts as a key, and is refused later if there is no such key.
fn key_of_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    match rest {
        "DATA_DIR" | "KEY_FILE" => Some(rest.to_lowercase()),
        // Each variable has one spelling, so a name in lower case must not become a known key.
        _ if rest.chars().any(char::is_lowercase) => rest.contains("__").then(|| rest.to_owned()),
        _ => rest
            .split_once("__")
            .map(|(section, key)| format!("{section}.{key}").to_lowercase()),
    }
}

/// Parses `text`, the content of the file at `path`, and adds its keys to `given`.
pub(super) fn read_toml(
    path: &Path,
    text: &str,
    given: &mut BTreeMap<String, Given>,
) -> Result<(), ConfigError> {
    let location = |offset: usize| Location::File {
        path: path.to_owned(),
        line: text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1,
    };
    let table = DeTable::parse(text).map_err(|error| {
        let location = location(error.span().map_or(0, |span| span.start));
        let problem = format!("this is not valid TOML: {} ({location})", error.message());
        ConfigError::new(problem, "see https://toml.io")
    })?;
    let mut give = |key: String, name_at: usize, value: Spanned<DeValue<'_>>| {
        let value = toml::Value::deserialize(value.into_deserializer());
        let key_given = Given {
            written: Written::Toml(value.ok()),
            location: location(name_at),
            base: path.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        given.insert(key, key_given);
    };
    for (name, value) in table.into_inner() {
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            give(name.get_ref().to_string(), name.span().start, value);
            continue;
        }
        if let DeValue::Table(section) = value.into_inner() {
            for (key, value) in section {
                give(
                    format!("{}.{}", name.get_ref(), key.get_ref()),
                    key.span().start,
                    value,
                );
            }
        }
    }
    Ok(())
}

fn unreadable(path: &Path, cause: &std::io::Error, place: Option<&Location>) -> ConfigError {
    let named_by = place.map(|place| format!(" ({place})")).unwrap_or_default();
    let reason = match cause.kind() {
        ErrorKind::NotFound if is_pipe(path) => "it is a pipe, and only files are read".to_owned(),
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => format!("{} may not read it", shown_user(runner())),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => cause.to_string(),
    };
    let another = "name another with --config FILE or ARKLOOP_CONFIG";
    let hint = match Untrusted::within(cause).map(Untrusted::mend) {
        Some(Some(command)) => {
            format!("it controls this program, so find out who wrote it; then run: {command}, or {another}")
        }
        None if cause.kind() == ErrorKind::PermissionDenied => {
            format!(
                "run this as the user of the server, which must be allowed to read the file, or {another}"
            )
        }
        Some(None) | None => another.to_owned(),
    };
    let path = path.display();
    let problem = format!("cannot read the configuration file {path}: {reason}{named_by}");
    ConfigError::new(problem, hint)
}

/// Whether the path leads to an anonymous pipe, such as `/dev/stdin` or `<(…)` of a shell.
fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}
