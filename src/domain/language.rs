//! The languages that mails and pages are written in.

use super::Locale;

/// A language for which every mail exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The name in the configuration: the primary subtag of BCP 47.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The language of that name. Tags have no case: RFC 5646 §2.1.1.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| name.eq_ignore_ascii_case(language.as_str()))
    }

    /// The nearest to a language tag, whatever script or region follows; `None` if none is near.
    pub fn nearest(tag: &str) -> Option<Self> {
        Self::from_name(tag.split('-').next().unwrap_or_default())
    }

    /// The tag for `lang` in HTML: fonts and screen readers choose by it.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

impl From<Language> for Locale {
    fn from(language: Language) -> Self {
        Self::from_stored(language.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen_by_the_first_subtag() {
        for (tag, language) in [
            ("zh", Some(Language::Chinese)),
            ("zh-CN", Some(Language::Chinese)),
            ("zh-Hant", Some(Language::Chinese)),
            ("ZH-hans-cn", Some(Language::Chinese)),
            ("en", Some(Language::English)),
            ("en-GB", Some(Language::English)),
            ("de", None),
            ("zha", None),
            ("de-zh", None),
            ("", None),
        ] {
            assert_eq!(Language::nearest(tag), language, "{tag}");
        }
    }
}
