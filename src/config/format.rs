//! The formats of values: which values a key accepts, and how `config show` writes them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use strum::VariantArray;

use super::error::Location;
use crate::domain::{Listen, Rate, TrustedProxies, format_duration, parse_duration};

/// A value as it was written. No `Debug`: it may be a secret.
pub(super) enum Written {
    /// In a variable, where everything is text and lists are separated by commas.
    Variable(String),
    /// In the file or a flag; `None` for a value that no key accepts.
    Toml(Option<toml::Value>),
}

/// A key that was given.
pub(super) struct Given {
    pub(super) written: Written,
    pub(super) location: Location,
    /// The directory against which a relative path is resolved.
    pub(super) base: PathBuf,
}

impl Given {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.written {
            Written::Variable(text) => Some(text),
            Written::Toml(value) => value.as_ref()?.as_str(),
        }
    }

    /// Reads a value that is not text in TOML, such as an integer. In a variable it is text.
    fn typed<T: FromStr>(&self, of_toml: impl Fn(&toml::Value) -> Option<T>) -> Option<T> {
        match &self.written {
            Written::Variable(text) => text.parse().ok(),
            Written::Toml(value) => of_toml(value.as_ref()?),
        }
    }

    /// The items of a list; an empty variable is an empty list.
    fn items(&self) -> Option<Vec<&str>> {
        match &self.written {
            Written::Variable(text) if text.trim().is_empty() => Some(Vec::new()),
            Written::Variable(text) => Some(text.split(',').map(str::trim).collect()),
            Written::Toml(value) => value
                .as_ref()?
                .as_array()?
                .iter()
                .map(toml::Value::as_str)
                .collect(),
        }
    }
}

/// `path`, resolved against `base` if it is relative, and without `.` components.
pub(super) fn absolute(base: &Path, path: &Path) -> PathBuf {
    base.join(path).components().collect()
}

/// Whether a text begins and ends with the same quote. Such quotes were meant for a shell.
pub(super) fn is_quoted(text: &str) -> bool {
    let quoted_by = |quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote);
    quoted_by('"') || quoted_by('\'')
}

type Read<T> = dyn Fn(&Given) -> Option<T>;

/// Which values a key accepts, and how they are shown.
pub(super) struct Format<T> {
    /// The accepted values, as the end of the sentence "it must be …".
    pub(super) accepted: String,
    /// Reads the value of a key; `None` if it is not accepted.
    pub(super) read: Box<Read<T>>,
    pub(super) show: Box<dyn Fn(&T) -> Json>,
}

impl<T: 'static> Format<T> {
    fn new(
        accepted: impl Into<String>,
        read: impl Fn(&Given) -> Option<T> + 'static,
        show: impl Fn(&T) -> Json + 'static,
    ) -> Self {
        Self {
            accepted: accepted.into(),
            read: Box::new(read),
            show: Box::new(show),
        }
    }

    /// The same format for a key that has no default.
    pub(super) fn or_unset(self) -> Format<Option<T>> {
        Format::new(
            self.accepted,
            move |given| (self.read)(given).map(Some),
            move |value| value.as_ref().map_or(Json::Null, |value| (self.show)(value)),
        )
    }

    /// Like [`Format::or_unset`], but an empty text also leaves the key unset.
    pub(super) fn or_empty(self) -> Format<Option<T>> {
        let Format { accepted, read, show } = self.or_unset();
        let read = move |given: &Given| match given.text() {
            Some("") => Some(None),
            _ => read(given),
        };
        Format::new(accepted, read, show)
    }
}

pub(super) fn text<T: Display + 'static>(
    accepted: impl Into<String>,
    parse: impl Fn(&str) -> Option<T> + 'static,
) -> Format<T> {
    let show = |value: &T| json!(value.to_string());
    Format::new(accepted, move |given| parse(given.text()?), show)
}

pub(super) fn boolean() -> Format<bool> {
    let read = |given: &Given| given.typed(toml::Value::as_bool);
    Format::new("true or false", read, |flag| json!(flag))
}

pub(super) fn number<T>(range: RangeInclusive<T>) -> Format<T>
where
    T: TryFrom<i64> + PartialOrd + Copy + Display + Into<Json> + 'static,
{
    let accepted = format!("a whole number from {} to {}", range.start(), range.end());
    let read = move |given: &Given| {
        let number = given.typed(toml::Value::as_integer)?;
        T::try_from(number).ok().filter(|number| range.contains(number))
    };
    Format::new(accepted, read, |number| (*number).into())
}

/// The accepted values of an enum, as the phrase `one of "a", "b"`.
pub(super) fn names<T: VariantArray + Copy + Into<&'static str>>() -> String {
    let quoted = T::VARIANTS.iter().map(|value| format!("\"{}\"", (*value).into()));
    format!("one of {}", quoted.collect::<Vec<_>>().join(", "))
}

pub(super) fn one_of<T>() -> Format<T>
where
    T: VariantArray + Copy + FromStr + Into<&'static str>,
{
    let read = |given: &Given| given.text()?.parse().ok();
    Format::new(names::<T>(), read, |value: &T| Json::from((*value).into()))
}

pub(super) fn duration(range: RangeInclusive<Duration>) -> Format<Duration> {
    let [from, to] = [range.start(), range.end()].map(|end| format_duration(*end));
    let accepted = format!(
        "a duration from {from} to {to}: a whole number and one of the units s, m, h, d, such as \"15m\""
    );
    let read = move |given: &Given| parse_duration(given.text()?).filter(|span| range.contains(span));
    Format::new(accepted, read, |span| json!(format_duration(*span)))
}

/// A rate of `what`, such as "requests".
pub(super) fn rate(what: &str) -> Format<Rate> {
    let [from, to] = [Rate::SHORTEST, Rate::LONGEST].map(format_duration);
    let accepted = format!(
        "a number of {what} from 1 to {}, a slash, and a duration from {from} to {to}, such as \"30/1m\"",
        Rate::MOST_REQUESTS
    );
    text(accepted, Rate::parse)
}

fn list_of(what: &str) -> String {
    format!("a list (separated by commas in a variable) of {what}")
}

pub(super) fn list<T: Display + 'static>(what: &str, parse: fn(&str) -> Option<T>) -> Format<Vec<T>> {
    let show = |items: &Vec<T>| items.iter().map(|item| json!(item.to_string())).collect();
    let read = move |given: &Given| given.items()?.into_iter().map(parse).collect();
    Format::new(list_of(what), read, show)
}

pub(super) fn proxies() -> Format<TrustedProxies> {
    let accepted = list_of("networks such as \"127.0.0.0/8\", addresses, or \"unix\"");
    let read = |given: &Given| TrustedProxies::parse(&given.items()?);
    Format::new(accepted, read, |proxies| json!(proxies.items()))
}

/// A path that is not empty, made absolute.
pub(super) fn path() -> Format<PathBuf> {
    let read = |given: &Given| {
        let path = given.text().filter(|text| !text.is_empty())?;
        Some(absolute(&given.base, Path::new(path)))
    };
    Format::new("a path", read, |path| json!(path.to_string_lossy()))
}

pub(super) fn listen() -> Format<Listen> {
    let accepted =
        "an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path/of/socket\"";
    let read = |given: &Given| match Listen::parse(given.text()?)? {
        Listen::Unix(path) => Some(Listen::Unix(absolute(&given.base, &path))),
        tcp @ Listen::Tcp(_) => Some(tcp),
    };
    Format::new(accepted, read, |listen| json!(listen.to_string()))
}
