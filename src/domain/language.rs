//! The languages of mails and pages, and the language tags of accounts.

use super::FieldError;
use super::newtype::stored_text;
use super::typed::folded;

/// The primary subtags other than `zh` that mean Chinese: its other codes in ISO 639, and the members of that macrolanguage. Devices send these too, as in
/// `yue-Hant-HK`.
const CHINESE: [&str; 16] = [
    "zho", "chi", "cmn", "yue", "wuu", "hak", "nan", "gan", "hsn", "cdo", "cjy", "cpx", "czh", "czo", "mnp",
    "lzh",
];
/// Primary subtags that mean no language (ISO 639-2: undetermined, uncoded, several, none).
const NO_LANGUAGE: [&str; 4] = ["und", "mis", "mul", "zxx"];
/// The modifiers of POSIX locales that name a script, and the subtag of that script (ISO 15924).
const SCRIPTS: [(&str, &str); 3] = [("latin", "latn"), ("cyrillic", "cyrl"), ("devanagari", "deva")];

/// A language in which every mail exists. Its name in the configuration is its primary subtag of BCP 47, in upper or lower case (RFC 5646 §2.1.1).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(ascii_case_insensitive, const_into_str)]
pub enum Language {
    #[default]
    #[strum(serialize = "en")]
    English,
    /// In simplified characters.
    #[strum(serialize = "zh")]
    Chinese,
}

impl Language {
    /// The language of `hint`, in any form that [`Locale::from_hint`] reads. Script and region are ignored.
    pub fn nearest(hint: &str) -> Option<Self> {
        let locale = Locale::from_hint(hint).ok().flatten()?;
        match locale.0.split('-').next().unwrap_or_default() {
            "eng" => Some(Self::English),
            other if CHINESE.contains(&other) => Some(Self::Chinese),
            other => other.parse().ok(),
        }
    }

    /// The value of `lang` in HTML. Browsers choose fonts by it, and screen readers choose voices.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

/// The language of an account's mails: a BCP 47 tag that begins with a language. A mail is sent in the [`Language::nearest`] to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale(String);

impl Locale {
    /// The maximum length of a tag: RFC 5646 §4.4.1 asks for room for at least 35.
    const MAX_CHARS: usize = 35;
    /// The maximum length of a hint: more than a device sends, even with all extensions.
    pub const MAX_HINT_CHARS: usize = 100;

    /// Reads a BCP 47 tag, a POSIX locale (`zh_CN.UTF-8`, `sr_RS@latin`) or a Java locale (`zh_TW_#Hant`). Full-width letters, dashes of any kind, and white
    /// space instead of dashes are accepted.
    ///
    /// `None` if the text names no language, as do `C`, `x-private` and `i-klingon`. A tag that is too long loses subtags at its end (RFC 5646 §4.4.2).
    ///
    /// # Errors
    /// [`FieldError::TooLong`] only.
    pub fn from_hint(text: &str) -> Result<Option<Self>, FieldError> {
        if text.chars().count() > Self::MAX_HINT_CHARS {
            return Err(FieldError::TooLong {
                max: Self::MAX_HINT_CHARS,
            });
        }
        let text = folded(text).collect::<String>().to_ascii_lowercase();
        let (tag, modifier) = text.trim().split_once('@').unwrap_or((text.trim(), ""));
        let tag = tag.split('.').next().unwrap_or_default();
        let mut subtags = tag
            .split(|c: char| matches!(c, '-' | '_') || c.is_whitespace())
            .map(|subtag| subtag.trim_start_matches('#'));
        let language = subtags.next().unwrap_or_default();
        let is_language = (2..=3).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_alphabetic())
            && !NO_LANGUAGE.contains(&language);
        if !is_language {
            return Ok(None);
        }
        let mut rest: Vec<&str> = subtags
            .filter(|subtag| !subtag.is_empty())
            .take_while(|subtag| subtag.len() <= 8 && subtag.bytes().all(|b| b.is_ascii_alphanumeric()))
            .collect();
        put_script_first(&mut rest, modifier);
        let mut kept = language.len() + rest.iter().map(|subtag| 1 + subtag.len()).sum::<usize>();
        // A subtag of one character begins an extension, so a tag may not end with it.
        while let Some(last) = rest.pop_if(|last| kept > Self::MAX_CHARS || last.len() == 1) {
            kept -= 1 + last.len();
        }
        rest.insert(0, language);
        Ok(Some(Self(in_canonical_case(&rest))))
    }
}

stored_text!(Locale);

impl From<Language> for Locale {
    fn from(language: Language) -> Self {
        Self(language.into_str().to_owned())
    }
}

/// Moves the script directly behind the language, as in BCP 47. Java writes it last, and POSIX writes it as a modifier.
fn put_script_first(subtags: &mut Vec<&str>, modifier: &str) {
    let extensions = subtags.iter().position(|subtag| subtag.len() == 1);
    let is_script = |subtag: &&str| subtag.len() == 4 && subtag.bytes().all(|b| b.is_ascii_alphabetic());
    let place = subtags.iter().position(is_script);
    let of_modifier = SCRIPTS.iter().find(|(name, _)| modifier == *name);
    match (place, of_modifier) {
        (Some(place), _) if place < extensions.unwrap_or(usize::MAX) => subtags[..=place].rotate_right(1),
        (_, Some((_, script))) => subtags.insert(0, script),
        _ => {}
    }
}

/// Joins lower-case subtags to a tag in the case that RFC 5646 §2.1.1 recommends: `zh-Hant-TW`.
fn in_canonical_case(subtags: &[&str]) -> String {
    let extensions = subtags.iter().position(|subtag| subtag.len() == 1);
    let mut tag = String::new();
    for (place, subtag) in subtags.iter().enumerate() {
        let capitals = match subtag.len() {
            _ if place == 0 || extensions.is_some_and(|first| place > first) => 0,
            2 => 2,
            4 => 1,
            _ => 0,
        };
        if place > 0 {
            tag.push('-');
        }
        let (head, rest) = subtag.split_at(capitals);
        tag.push_str(&head.to_ascii_uppercase());
        tag.push_str(rest);
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen_by_the_first_subtag() {
        for (hint, language) in [
            ("zh", Some(Language::Chinese)),
            ("zh-CN", Some(Language::Chinese)),
            ("zh-Hant", Some(Language::Chinese)),
            ("ZH-hans-cn", Some(Language::Chinese)),
            ("zh_CN.UTF-8", Some(Language::Chinese)),
            ("zh-min-nan", Some(Language::Chinese)),
            ("yue-Hant-HK", Some(Language::Chinese)),
            ("en", Some(Language::English)),
            ("en-GB", Some(Language::English)),
            (" EN_us@calendar=buddhist", Some(Language::English)),
            ("eng", Some(Language::English)),
            ("de", None),
            ("zha", None),
            ("de-zh", None),
            ("x-zh", None),
            ("C", None),
            ("", None),
        ] {
            assert_eq!(Language::nearest(hint), language, "{hint}");
        }
    }

    #[test]
    fn a_tag_has_its_subtags_in_order_and_keeps_to_its_length() {
        for (hint, tag) in [
            ("zh-Hant-TW", "zh-Hant-TW"),
            ("zh_TW_#Hant", "zh-Hant-TW"),
            ("sr_RS@Latin", "sr-Latn-RS"),
            ("sr_Cyrl_RS@latin", "sr-Cyrl-RS"),
            ("th_TH_TH_#u-nu-thai", "th-TH-TH-u-nu-thai"),
            ("en-u-thai-nu", "en-u-thai-nu"),
            ("en_US.UTF-8.x@y@z", "en-US"),
            (" \u{ff5a}\u{ff48} \u{2013} tw\u{200b}", "zh-TW"),
            ("en-US-\u{fc}-GB", "en-US"),
            ("de-x", "de"),
            ("EN-latn-us-U-NU-LATN", "en-Latn-US-u-nu-latn"),
            ("zh-x-TW-HANT", "zh-x-tw-hant"),
            (
                "zh-Hans-CN-u-ca-chinese-fw-mon-nu-x-hanidec",
                "zh-Hans-CN-u-ca-chinese-fw-mon-nu",
            ),
        ] {
            let locale = Locale::from_hint(hint).ok().flatten();
            assert_eq!(locale.as_ref().map(Locale::as_str), Some(tag), "{hint}");
        }
    }
}
