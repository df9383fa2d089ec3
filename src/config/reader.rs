//! Reads the given keys one by one, and records the known keys and their values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};

use super::error::{ConfigError, Location, Locations};
use super::format::{Format, Given, is_quoted, path, text};
use crate::files::{Untrusted, read_trusted};

/// Shown instead of a secret.
const MASK: &str = "********";

/// Every key that was given. A key becomes known by being read.
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    known: BTreeSet<String>,
    shown: Vec<(String, Json)>,
}

impl Reader {
    pub(super) fn new(given: BTreeMap<String, Given>) -> Self {
        Self {
            given,
            known: BTreeSet::new(),
            shown: Vec::new(),
        }
    }

    fn location(&self, key: &str) -> Option<&Location> {
        self.given.get(key).map(|given| &given.location)
    }

    /// Reads `key`, whose value is `default` if it was not given.
    pub(super) fn read<T: 'static>(
        &mut self,
        key: &str,
        format: &Format<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let value = self.find(key, format)?.unwrap_or(default);
        self.shown.push((key.to_owned(), (format.show)(&value)));
        Ok(value)
    }

    fn find<T: 'static>(&mut self, key: &str, format: &Format<T>) -> Result<Option<T>, ConfigError> {
        self.known.insert(key.to_owned());
        let Some(given) = self.given.get(key) else {
            return Ok(None);
        };
        let value = (format.read)(given).ok_or_else(|| {
            ConfigError::new(
                format!("the value of {key} is not acceptable ({})", given.location),
                format!("it must be {}", format.accepted),
            )
        });
        value.map(Some)
    }

    /// Reads a secret of one line, from `key` or from the file that `<key>_file` names.
    pub(super) fn read_secret(&mut self, key: &str) -> Result<Option<SecretString>, ConfigError> {
        let one_line = text("one line of text without control characters", |text| {
            let is_one_line = !text.chars().any(char::is_control);
            is_one_line.then(|| without_mark(text).to_owned())
        });
        let direct = self.find(key, &one_line.or_empty())?.flatten();
        let file_key = format!("{key}_file");
        let file = self.find(&file_key, &path().or_empty())?.flatten();
        let secret = match (direct, file) {
            (direct, None) => direct.map(SecretString::from),
            (None, Some(file)) => Some(self.read_secret_file(&file_key, &file)?),
            (Some(_), Some(_)) => {
                let place = self.location(key).map(ToString::to_string).unwrap_or_default();
                let problem = format!("{key} ({place}) and {file_key} are both given");
                return Err(ConfigError::new(problem, "keep one of them"));
            }
        };
        let mask = if secret.is_some() { MASK } else { "" };
        self.shown.push((key.to_owned(), json!(mask)));
        Ok(secret)
    }

    /// The refusal of a secret of one line that was read, but is not `accepted`.
    pub(super) fn refusal_of_secret(&self, key: &str, accepted: &str) -> ConfigError {
        let file_key = format!("{key}_file");
        let location = self.location(key).or_else(|| self.location(&file_key));
        let place = location.map(ToString::to_string).unwrap_or_default();
        ConfigError::new(
            format!("the value of {key} is not acceptable ({place})"),
            format!("it must be {accepted}"),
        )
    }

    fn read_secret_file(&self, file_key: &str, path: &Path) -> Result<SecretString, ConfigError> {
        let named_by = self
            .location(file_key)
            .map(ToString::to_string)
            .unwrap_or_default();
        let refuse = |reason: &str, mend: Option<String>| {
            let hint = "it must be a readable file with the secret as its only line, in UTF-8";
            ConfigError::new(
                format!("cannot read {file_key} {}: {reason} ({named_by})", path.display()),
                mend.map_or_else(|| hint.to_owned(), |mend| format!("run: {mend}")),
            )
        };
        let content = read_trusted(path).map(SecretString::from).map_err(|cause| {
            let mend = Untrusted::within(&cause).and_then(Untrusted::mend);
            refuse(&cause.to_string(), mend)
        })?;
        let line = only_line(content.expose_secret());
        line.map(SecretString::from)
            .map_err(|reason| refuse(reason, None))
    }

    /// Refuses unknown keys. Returns every known key with its value, and the locations of the given keys.
    pub(super) fn finish(self) -> Result<(Vec<(String, Json)>, Locations), ConfigError> {
        if let Some((key, given)) = self.given.iter().find(|(key, _)| !self.known.contains(*key)) {
            let problem = format!("unknown key {key} ({})", given.location);
            return Err(ConfigError::new(problem, self.known_beside(key)));
        }
        let locations = self.given.into_iter().map(|(key, given)| (key, given.location));
        Ok((self.shown, locations.collect()))
    }

    /// A hint that lists the keys in the section of `unknown`, or the sections if there is no such section.
    fn known_beside(&self, unknown: &str) -> String {
        let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for key in &self.known {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            sections.entry(section).or_default().push(name);
        }
        if !unknown.is_empty() && sections.contains_key(unknown) {
            return format!("{unknown} is a section: write [{unknown}] and its keys below it");
        }
        let (section, _) = unknown.split_once('.').unwrap_or_default();
        match sections.get(section) {
            Some(names) if section.is_empty() => {
                format!("outside of a section there are {}", names.join(", "))
            }
            Some(names) => format!("[{section}] has {}", names.join(", ")),
            None => {
                let names: Vec<&str> = sections.into_keys().filter(|name| !name.is_empty()).collect();
                format!("the sections are {}", names.join(", "))
            }
        }
    }
}

/// The one line of a file with a secret, without a byte order mark and the line ends that editors add.
///
/// # Errors
/// The fault of the file, without its content.
fn only_line(text: &str) -> Result<&str, &'static str> {
    let line = without_mark(text).trim_end_matches(['\n', '\r']);
    if line.is_empty() {
        return Err("it is empty");
    }
    if line.contains(['\n', '\r']) {
        return Err("it has several lines");
    }
    if line.contains('\0') {
        return Err("there is a NUL byte in it");
    }
    if line.chars().any(char::is_control) {
        return Err("there is a control character in it");
    }
    if is_quoted(line) {
        return Err("it begins and ends with a quote, which would be part of the secret");
    }
    Ok(line)
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
