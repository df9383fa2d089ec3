//! The languages that mails are written in.

use crate::domain::Locale;

/// A language for which every template exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The nearest to what somebody reads: Chinese for every `zh`, whatever script or region follows, and English for the rest.
    pub(super) fn nearest(locale: &Locale) -> Self {
        let language = locale.as_str().split('-').next().unwrap_or_default();
        // Tags have no case: RFC 5646 §2.1.1.
        if language.eq_ignore_ascii_case("zh") {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// The tag for `lang` in HTML: fonts and screen readers choose by it, and the texts are in simplified characters.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen_by_the_first_subtag() {
        for (tag, language) in [
            ("zh", Language::Chinese),
            ("zh-CN", Language::Chinese),
            ("zh-Hant", Language::Chinese),
            ("ZH-hans-cn", Language::Chinese),
            ("en", Language::English),
            ("en-GB", Language::English),
            ("de", Language::English),
            ("zha", Language::English),
            ("de-zh", Language::English),
        ] {
            let locale = Locale::parse(tag).expect("the tag is well formed");
            assert_eq!(Language::nearest(&locale), language, "{tag}");
        }
    }
}
