//! Converts secrets to the characters that input methods and word processors write.

/// `text` with visible ASCII in the full-width forms of East Asian input methods.
pub fn full_width(text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
        other => other,
    };
    text.chars().map(wide).collect()
}

/// One copy of `text` for each other kind of dash, which replaces the hyphens: non-breaking, en, em, minus, small, superscript, Hebrew, wave.
pub fn pasted_dashes(text: &str) -> impl Iterator<Item = String> {
    "\u{2011}\u{2013}\u{2014}\u{2212}\u{fe63}\u{207b}\u{5be}\u{301c}"
        .chars()
        .map(|dash| text.replace('-', &dash.to_string()))
}
