//! The keys that were given, by name, and how one is read as the type it must have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use toml::de::DeValue;

use super::error::{ConfigError, Place};
use super::sources::{absolute, is_quoted};
use crate::files::{Untrusted, read_trusted};

/// A value as it was written. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) enum Value {
    /// From the environment, where everything is text and lists are separated by commas.
    Variable(String),
    /// A string in the file or a flag.
    String(String),
    /// A whole number in the file.
    Integer(i64),
    /// `true` or `false` in the file.
    Boolean(bool),
    /// A list in the file.
    List(Vec<Value>),
    /// Anything that no key accepts.
    Other,
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::String(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Self::Other, Self::Integer)
            }
            DeValue::Boolean(flag) => Self::Boolean(*flag),
            DeValue::Array(items) => Self::List(items.iter().map(|item| item.get_ref().into()).collect()),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Self::Other,
        }
    }
}

impl Value {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Variable(text) | Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// A key that was given.
#[derive(Clone)]
pub(super) struct Given {
    /// What it was set to.
    pub(super) value: Value,
    /// Where.
    pub(super) place: Place,
    /// The directory that a relative path in it counts from.
    pub(super) base: PathBuf,
}

/// Every key that was given. Each reader remembers the name it is called with: the keys that are known are those that somebody reads.
pub(super) struct Settings {
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    given: BTreeMap<String, Given>,
    known: BTreeSet<&'static str>,
}

impl Settings {
    /// The keys in `given`, of which those from a file come from `file`.
    pub(super) fn new(file: Option<PathBuf>, given: BTreeMap<String, Given>) -> Self {
        Self {
            file,
            given,
            known: BTreeSet::new(),
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&Given> {
        self.known.insert(key);
        self.given.get(key)
    }

    /// Where `key` was given; `None` if it was not.
    pub(super) fn place(&self, key: &str) -> Option<&Place> {
        self.given.get(key).map(|given| &given.place)
    }

    /// Reads a text with `parse`, which knows the accepted `form`.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.find(key) else {
            return Ok(None);
        };
        let parsed = given.value.as_text().and_then(parse);
        parsed
            .map(Some)
            .ok_or_else(|| ConfigError::bad_value(key, &given.place, form))
    }

    /// Reads a text as [`Settings::text`] does; an empty one is the same as none.
    pub(super) fn optional_text<T>(
        &mut self,
        key: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |text: &str| {
            if text.is_empty() {
                Some(None)
            } else {
                parse(text).map(Some)
            }
        };
        Ok(self.text(key, form, parse)?.flatten())
    }

    /// Reads a whole number of `range`.
    pub(super) fn number<T>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, ConfigError>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let Some(given) = self.find(key) else {
            return Ok(None);
        };
        let number = match &given.value {
            Value::Integer(number) => Some(*number),
            Value::Variable(text) => text.parse().ok(),
            _ => None,
        };
        let number = number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number));
        let form = || format!("a whole number from {} to {}", range.start(), range.end());
        number
            .map(Some)
            .ok_or_else(|| ConfigError::bad_value(key, &given.place, &form()))
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(given) = self.find(key) else {
            return Ok(None);
        };
        let flag = match &given.value {
            Value::Boolean(flag) => Some(*flag),
            Value::Variable(text) => text.parse().ok(),
            _ => None,
        };
        flag.map(Some)
            .ok_or_else(|| ConfigError::bad_value(key, &given.place, "true or false"))
    }

    /// Reads a list, each item with `parse`; an empty variable is an empty list.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        form: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(given) = self.find(key) else {
            return Ok(None);
        };
        let items = match &given.value {
            Value::List(items) => items.iter().map(|item| item.as_text().and_then(&parse)).collect(),
            Value::Variable(text) if text.trim().is_empty() => Some(Vec::new()),
            Value::Variable(text) => text.split(',').map(|item| parse(item.trim())).collect(),
            _ => None,
        };
        let form = || format!("a list (separated by commas in a variable) of {form}");
        items
            .map(Some)
            .ok_or_else(|| ConfigError::bad_value(key, &given.place, &form()))
    }

    /// Reads a path and makes it absolute; an empty one is the same as none.
    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let path = self.optional_text(key, "a path", |text| Some(PathBuf::from(text)))?;
        Ok(path.map(|path| self.absolute(key, &path)))
    }

    /// `path`, which was given in `key`, counted from where that key stands.
    pub(super) fn absolute(&self, key: &str, path: &Path) -> PathBuf {
        self.given
            .get(key)
            .map_or_else(|| path.to_owned(), |given| absolute(&given.base, path))
    }

    /// Reads a secret, which is one line, from `key` or from the file that `file_key` names.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Option<SecretString>, ConfigError> {
        let form = "one line of text without control characters";
        let direct = self.optional_text(key, form, |text| {
            let is_one_line = !text.chars().any(char::is_control);
            is_one_line.then(|| SecretString::from(without_mark(text)))
        })?;
        let Some(path) = self.path(file_key)? else {
            return Ok(direct);
        };
        if let Some(place) = self.place(key).filter(|_| direct.is_some()) {
            let problem = format!("{key} ({place}) and {file_key} are both given");
            return Err(ConfigError::new(problem, "keep one of them"));
        }
        let named_by = self.place(file_key).map(ToString::to_string).unwrap_or_default();
        let refuse = |reason: &str, mend: Option<String>| {
            let problem = format!("cannot read {file_key} {}: {reason} ({named_by})", path.display());
            let hint = "it must be a readable file with the secret as its only line, in UTF-8";
            ConfigError::new(
                problem,
                mend.map_or_else(|| hint.to_owned(), |mend| format!("run: {mend}")),
            )
        };
        let text = read_trusted(&path).map(SecretString::from).map_err(|cause| {
            let mend = Untrusted::within(&cause).and_then(Untrusted::mend);
            refuse(&cause.to_string(), mend)
        })?;
        let line = one_line(secrecy::ExposeSecret::expose_secret(&text));
        line.map(|line| Some(line.into()))
            .map_err(|reason| refuse(reason, None))
    }

    /// Refuses `key` if it `is_asked_for`: what it promises comes with a later release.
    pub(super) fn refuse_later(&self, key: &str, is_asked_for: bool) -> Result<(), ConfigError> {
        match self.place(key) {
            Some(place) if is_asked_for => Err(ConfigError::not_in_this_release(key, place)),
            _ => Ok(()),
        }
    }

    /// Refuses what nobody has read, and gives the places of the rest.
    pub(super) fn finish(self) -> Result<BTreeMap<String, Place>, ConfigError> {
        for (key, given) in &self.given {
            if self.known.contains(key.as_str()) {
                continue;
            }
            return Err(ConfigError::new(
                format!("unknown key {key} ({})", given.place),
                self.known_beside(key),
            ));
        }
        Ok(self
            .given
            .into_iter()
            .map(|(key, given)| (key, given.place))
            .collect())
    }

    /// The keys of the section of `unknown`, or the sections if there is no such one.
    fn known_beside(&self, unknown: &str) -> String {
        if self
            .known
            .iter()
            .any(|key| key.split_once('.').is_some_and(|(section, _)| section == unknown))
        {
            return format!("{unknown} is a section: write [{unknown}] and its keys below it");
        }
        let section = unknown.split_once('.').map(|(section, _)| format!("{section}."));
        let names: Vec<&str> = match &section {
            Some(section) => self
                .known
                .iter()
                .filter_map(|key| key.strip_prefix(section.as_str()))
                .collect(),
            None => self
                .known
                .iter()
                .filter(|key| !key.contains('.'))
                .copied()
                .collect(),
        };
        match (section, names.is_empty()) {
            (Some(section), false) => format!("[{}] has {}", section.trim_end_matches('.'), names.join(", ")),
            (None, _) => format!("outside of a section there are {}", names.join(", ")),
            (Some(_), true) => {
                let sections: BTreeSet<&str> = self
                    .known
                    .iter()
                    .filter_map(|key| key.split_once('.'))
                    .map(|(section, _)| section)
                    .collect();
                format!(
                    "the sections are {}",
                    sections.into_iter().collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

/// The one line of a file with a secret, without what editors put around it: a byte order mark, and line ends behind it.
///
/// # Errors
/// What is wrong with the file, without anything that is in it.
fn one_line(text: &str) -> Result<&str, &'static str> {
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
