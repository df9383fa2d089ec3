//! Every number with a unit in the guides is a value of the program.
//!
//! A fact is a piece of a sentence in which `{}` stands for a value of the program. A guide must contain the piece with the current value, and every
//! number with a unit must be in such a piece. So the test fails if a default changes without its sentences, and if a number is invented.

use std::fs;
use std::path::Path;
use std::time::Duration;

use arkloop::domain::parse_duration;

use super::facts::Value::{self, Computed, Constant, Elsewhere, Key, Per};
use super::facts::{ACCOUNT, FACTS, LINKS};
use super::keys::defaults;
use super::{guides, texts_of_pages};

/// Pages whose other numbers are calculations about attacks, not restated values.
const WITHOUT_COVERAGE: [&str; 1] = ["docs/security.md"];

pub fn guesses_a_day() -> u64 {
    let (Number::Count(guesses), Number::Time(pause)) = (Key(ACCOUNT).read(), Per(ACCOUNT).read()) else {
        panic!("it is a rate");
    };
    guesses * (Duration::from_hours(24).as_secs() / pause.as_secs())
}

pub fn jwks_seconds() -> u64 {
    let text = source("http/pipeline/content.rs");
    let seconds = text
        .split("max-age=")
        .nth(1)
        .expect("the source has a max-age")
        .split('"')
        .next();
    seconds
        .and_then(|text| text.parse().ok())
        .expect("it is a number")
}

pub fn body_kib() -> u64 {
    most_kib("http/pipeline/body/mod.rs")
}

pub fn logo_kib() -> u64 {
    most_kib("domain/logo.rs")
}

/// The `MAX_BYTES` of a file, in KiB.
fn most_kib(file: &'static str) -> u64 {
    match Constant(file, "MAX_BYTES").read() {
        Number::Count(bytes) => bytes / 1024,
        Number::Time(_) => panic!("it is a size"),
    }
}

pub fn link_bits() -> u64 {
    8 * u64::try_from(arkloop::domain::LinkToken::BYTES).expect("it is small")
}

/// A current value of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Count(u64),
    Time(Duration),
}

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of `const NAME: Type = …;`, or of a match arm `NAME => …,`.
fn constant(file: &str, name: &str) -> Number {
    let text = source(file);
    let definition = text.split(&format!("const {name}: ")).nth(1).map(|rest| {
        let (_, value) = rest.split_once(" = ").expect("a constant has a value");
        value.split(';').next().unwrap_or_default()
    });
    let is_number = |arm: &&str| arm.starts_with("Duration") || arm.starts_with(|c: char| c.is_ascii_digit());
    let arms = format!("{name} => ");
    let arm = || text.split(&arms).skip(1).find(is_number)?.split(',').next();
    let value = definition.or_else(arm);
    let value = value.unwrap_or_else(|| panic!("{file} has no {name}"));
    let product = |text: &str| -> u64 {
        let factors = text.split('*').map(|factor| factor.trim().replace('_', ""));
        factors
            .map(|factor| factor.parse::<u64>().expect("a factor is a number"))
            .product()
    };
    let inner = |text: &str| {
        let (_, inner) = text.split_once('(').expect("it has an argument");
        product(inner.trim_end_matches(')'))
    };
    let units = [("from_secs(", 1), ("from_mins(", 60), ("from_hours(", 3_600)];
    match units.iter().find(|(unit, _)| value.contains(unit)) {
        Some((_, seconds)) => Number::Time(Duration::from_secs(inner(value) * seconds)),
        None => Number::Count(product(value)),
    }
}

impl Value {
    fn read(self) -> Number {
        match self {
            Key(key) => {
                let value = defaults(key);
                let value = value.split('/').next().unwrap_or_default();
                parse_duration(value).map_or_else(
                    || Number::Count(value.parse().expect("it is a number")),
                    Number::Time,
                )
            }
            Per(key) => {
                let value = defaults(key);
                let (_, per) = value.split_once('/').expect("it is a rate");
                Number::Time(parse_duration(per).expect("it is a time"))
            }
            Constant(file, name) => constant(file, name),
            Computed(compute) => Number::Count(compute()),
            Elsewhere(value) => Number::Count(value),
        }
    }
}

const WORDS: [&str; 11] = [
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];

/// The ways to write a count.
fn counts(count: u64) -> Vec<String> {
    let digits = count.to_string();
    let mut written = vec![digits.clone()];
    if let Some(word) = usize::try_from(count).ok().and_then(|count| WORDS.get(count)) {
        written.extend([(*word).to_owned(), word[..1].to_uppercase() + &word[1..]]);
    }
    if count == 100 {
        written.extend(["a hundred".to_owned(), "A hundred".to_owned()]);
    }
    if digits.len() > 3 {
        let (thousands, rest) = digits.split_at(digits.len() - 3);
        written.push(format!("{thousands} {rest}"));
    }
    written
}

/// The ways to write a time: in the largest unit of which it is a multiple, or in the next smaller unit.
fn times(time: Duration) -> Vec<String> {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let whole = units
        .iter()
        .filter(|(size, _)| seconds.is_multiple_of(*size))
        .take(2);
    whole
        .flat_map(|(size, unit)| {
            let number = seconds / size;
            let plural = if number == 1 { "" } else { "s" };
            counts(number)
                .into_iter()
                .map(move |count| format!("{count} {unit}{plural}"))
        })
        .collect()
}

/// Every form of a fact with its current value. A computed count may be a number of seconds, as in [`jwks_seconds`], so it is also written as a time.
fn readings(piece: &str, value: Value) -> Vec<String> {
    let written = match value.read() {
        Number::Time(time) => times(time),
        Number::Count(count) => {
            let mut written = counts(count);
            if matches!(value, Computed(_)) && count.is_multiple_of(60) {
                written.extend(times(Duration::from_secs(count)));
            }
            written
        }
    };
    written
        .iter()
        .map(|written| piece.replace("{}", written))
        .collect()
}

/// The positions of numbers with a unit in a text: from the start of the number to the end of the unit.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    const UNITS: [&str; 16] = [
        "second",
        "seconds",
        "minute",
        "minutes",
        "hour",
        "hours",
        "day",
        "days",
        "characters",
        "tries",
        "failures",
        "guesses",
        "wrong",
        "KiB",
        "bits",
        "codes",
    ];
    let mut found = Vec::new();
    let mut at = 0;
    let words: Vec<(usize, &str)> = text
        .split(' ')
        .map(|word| {
            let start = at;
            at += word.len() + 1;
            (start, word)
        })
        .collect();
    for pair in words.windows(2) {
        let [(start, number), (next, unit)] = pair else {
            continue;
        };
        let number = number.trim_start_matches(['(', '"']);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            || WORDS[1..].contains(&number.to_lowercase().as_str())
            || number == "hundred";
        let unit = unit.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        if is_number && UNITS.contains(&unit) {
            found.push((*start, next + unit.len()));
        }
    }
    found
}

#[test]
fn every_number_with_a_unit_in_a_guide_is_one_of_the_program() {
    let facts: Vec<(&str, Vec<String>)> = FACTS
        .iter()
        .map(|(piece, value)| (*piece, readings(piece, *value)))
        .collect();
    let guides: Vec<(String, String)> = guides()
        .into_iter()
        .chain(texts_of_pages("en"))
        .map(|guide| (guide.name.clone(), guide.flat()))
        .collect();
    let is_said = |readings: &[String]| {
        let mut texts = guides.iter().map(|(_, text)| text);
        texts.any(|text| readings.iter().any(|reading| text.contains(reading.as_str())))
    };
    let stale: Vec<_> = facts.iter().filter(|(_, readings)| !is_said(readings)).collect();
    assert!(
        stale.is_empty(),
        "no guide says this with the current value: {stale:#?}"
    );
    let mut made_up = Vec::new();
    for (name, text) in guides
        .iter()
        .filter(|(name, _)| !WITHOUT_COVERAGE.contains(&name.as_str()))
    {
        let mut covered = Vec::new();
        for reading in facts.iter().flat_map(|(_, readings)| readings) {
            covered.extend(
                text.match_indices(reading.as_str())
                    .map(|(at, piece)| (at, at + piece.len())),
            );
        }
        for (start, end) in numbers(text) {
            if !covered.iter().any(|(from, to)| *from <= start && end <= *to) {
                let from = text[..start].char_indices().rev().nth(40).map_or(0, |(at, _)| at);
                let to = text[end..]
                    .char_indices()
                    .nth(20)
                    .map_or(text.len(), |(at, _)| end + at);
                made_up.push(format!("{name}: …{}…", &text[from..to]));
            }
        }
    }
    assert!(
        made_up.is_empty(),
        "no fact in facts.rs has these numbers: {made_up:#?}"
    );
}

#[test]
fn the_pages_in_chinese_say_the_lifetimes_of_links() {
    const HOURS: &str = " 小时";
    let known = [
        "Self::VerifyEmail",
        "Self::ChangeEmail | Self::ResetPassword",
        "Self::UndoChange",
    ]
    .map(|purpose| match constant(LINKS, purpose) {
        Number::Time(ttl) => (ttl.as_secs() / 3_600).to_string(),
        Number::Count(_) => panic!("it is a time"),
    });
    let pages: Vec<String> = texts_of_pages("zh").into_iter().map(|page| page.text).collect();
    let pages = pages.concat();
    let parts: Vec<&str> = pages.split(HOURS).collect();
    let said = parts[..parts.len() - 1].iter();
    let said: Vec<&str> = said
        .map(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or(""))
        .collect();
    assert!(said.len() >= 3, "{said:?}");
    assert!(
        said.iter().all(|hours| known.iter().any(|known| known == hours)),
        "{said:?}"
    );
}
