//! The operator's logo, which the built-in pages show: a small PNG or SVG picture that runs nothing and loads nothing.

/// Pages wait for the logo on their first load, so it is small.
const MAX_BYTES: usize = 64 * 1024;
/// The longest side of a PNG. A larger one only takes memory in the browser: the pages show it 28 pixels high.
const MAX_PIXELS: u32 = 4_096;
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Without this name of its elements, browsers do not show an SVG file (SVG 2, §5.1). SVG that stands in HTML often lacks it.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";
/// What makes an SVG more than a picture, in lower case. An element may have the prefix of a namespace: `<x:script`.
const FORBIDDEN: [&str; 8] = [
    "<!entity",
    "<!attlist",
    "<?xml-stylesheet",
    "<script",
    ":script",
    "javascript:",
    "foreignobject",
    "@import",
];

/// The format of a logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoFormat {
    Png,
    Svg,
}

/// A picture that a page can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    bytes: Vec<u8>,
    format: LogoFormat,
}

/// Why a file is no logo.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoFlaw {
    #[error("it is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    #[error("it is neither a PNG nor an SVG picture")]
    OtherFormat,
    #[error("it must have 1 to {MAX_PIXELS} pixels on each side")]
    Sides,
    #[error("it lacks xmlns=\"{NAMESPACE}\" in its first element, without which browsers do not show it")]
    NoNamespace,
    #[error("it contains \"{0}\", which a logo must not have")]
    Forbidden(&'static str),
    #[error("it has an attribute that runs a script, as onload does")]
    Handler,
    #[error("it refers to something outside the file: href and url() may begin with # or data: only")]
    Reference,
}

impl Logo {
    /// The most bytes to read of a file: with one more than a logo may have, the file is refused.
    pub const MAX_READ: u64 = MAX_BYTES as u64 + 1;

    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`LogoFlaw`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, LogoFlaw> {
        if bytes.len() > MAX_BYTES {
            return Err(LogoFlaw::TooLarge);
        }
        let format = if bytes.starts_with(PNG_SIGNATURE) {
            check_png(&bytes)?;
            LogoFormat::Png
        } else {
            check_svg(std::str::from_utf8(&bytes).map_err(|_| LogoFlaw::OtherFormat)?)?;
            LogoFormat::Svg
        };
        Ok(Self { bytes, format })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub const fn format(&self) -> LogoFormat {
        self.format
    }
}

/// The header, which holds width and height, comes first (PNG §5.6, §11.2.1).
fn check_png(bytes: &[u8]) -> Result<(), LogoFlaw> {
    let side = |at: usize| {
        let side = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(side))
    };
    let sides = side(16).zip(side(20)).filter(|_| &bytes[12..16] == b"IHDR");
    let (width, height) = sides.ok_or(LogoFlaw::OtherFormat)?;
    let is_good = |side: u32| (1..=MAX_PIXELS).contains(&side);
    if is_good(width) && is_good(height) {
        Ok(())
    } else {
        Err(LogoFlaw::Sides)
    }
}

/// Refuses an SVG that is more than a picture, so that the operator knows before visitors see it.
///
/// Visitors do not depend on this check, which an author can evade, for example by character references in a style. In an `<img>`, browsers run and load
/// nothing (SVG Integration, "secure animated mode"); for a visit to the file itself, the policy that it is served with forbids the same.
fn check_svg(text: &str) -> Result<(), LogoFlaw> {
    let folded = text.to_ascii_lowercase();
    if let Some(found) = FORBIDDEN.iter().find(|forbidden| folded.contains(**forbidden)) {
        return Err(LogoFlaw::Forbidden(found));
    }
    let root = root_of(text).and_then(|root| root.strip_prefix("<svg"));
    if !root.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '>')) {
        return Err(LogoFlaw::OtherFormat);
    }
    if !text.contains(NAMESPACE) {
        return Err(LogoFlaw::NoNamespace);
    }
    if folded.match_indices("on").any(|(at, _)| is_handler(&folded, at)) {
        return Err(LogoFlaw::Handler);
    }
    let after = |name: &'static str| folded.split(name).skip(1).map(str::trim_start);
    let of_attributes = after("href").filter_map(|rest| rest.strip_prefix('='));
    if of_attributes.chain(after("url(")).all(is_within) {
        Ok(())
    } else {
        Err(LogoFlaw::Reference)
    }
}

/// The text from the first element on: after a byte order mark, a declaration, comments and a document type.
fn root_of(text: &str) -> Option<&str> {
    const BEFORE_IT: [(&str, &str); 3] = [("<?", "?>"), ("<!--", "-->"), ("<!DOCTYPE", ">")];
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some((_, end)) = BEFORE_IT.iter().find(|(start, _)| rest.starts_with(start)) {
        rest = rest.split_once(end)?.1.trim_start();
    }
    Some(rest)
}

/// Whether an attribute that begins at `at` runs a script when something happens, as `onload` does.
fn is_handler(text: &str, at: usize) -> bool {
    let rest = text[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    text[..at].ends_with(|c: char| c.is_ascii_whitespace()) && rest.trim_start().starts_with('=')
}

/// Whether a reference leads to a part of the file, or is itself what it refers to. Quotes inside an attribute are often references to characters.
fn is_within(reference: &str) -> bool {
    let reference = reference.trim_start();
    let quotes = ["&quot;", "&apos;", "&#34;", "&#39;", "\"", "'"];
    let inner = quotes.iter().find_map(|quote| reference.strip_prefix(quote));
    let target = inner.unwrap_or(reference).trim_start();
    target.starts_with('#') || target.starts_with("data:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let header = [PNG_SIGNATURE, &13_u32.to_be_bytes(), b"IHDR"].concat();
        [
            header,
            width.to_be_bytes().into(),
            height.to_be_bytes().into(),
            vec![8, 6, 0, 0, 0],
        ]
        .concat()
    }

    fn flaw(text: &str) -> Option<LogoFlaw> {
        Logo::parse(text.as_bytes().to_vec()).err()
    }

    /// An SVG with this content.
    fn svg(content: &str) -> String {
        format!("<svg xmlns=\"{NAMESPACE}\">{content}</svg>")
    }

    #[test]
    fn a_png_has_a_header_and_sides_that_a_page_can_show() {
        let format = |bytes: Vec<u8>| Logo::parse(bytes).map(|logo| logo.format());
        assert_eq!(format(png(1, 4096)), Ok(LogoFormat::Png));
        for (width, height) in [(0, 1), (1, 0), (4097, 1), (1, u32::MAX)] {
            assert_eq!(
                format(png(width, height)),
                Err(LogoFlaw::Sides),
                "{width} {height}"
            );
        }
        assert_eq!(format(png(1, 1)[..20].to_vec()), Err(LogoFlaw::OtherFormat));
        assert_eq!(format(vec![0; MAX_BYTES + 1]), Err(LogoFlaw::TooLarge));
    }

    #[test]
    fn a_picture_as_programs_write_it_is_a_logo() {
        let before = "\u{feff}<?xml version=\"1.0\"?>\n<!-- drawn <by> hand -->\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \
                      \"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd\">\n";
        assert_eq!(flaw(&format!("{before}{}", svg(""))), None);
        for good in [
            "<desc>A description, once upon a time</desc><use xlink:href = '#a'/>",
            "<image href=\"data:image/png;base64,AA\"/>",
            "<style>.a { fill: url(#b); src: url('data:font/woff2;base64,AA') }</style>",
            "<path style=\"fill:url(&quot;#b&quot;)\"/>",
        ] {
            assert_eq!(flaw(&svg(good)), None, "{good}");
        }
    }

    #[test]
    fn what_is_no_svg_file_is_refused() {
        for bad in [
            "",
            "GIF89a",
            "<html><svg/></html>",
            "<svgs/>",
            "<!-- <svg>",
            "<svg",
        ] {
            assert_eq!(flaw(bad), Some(LogoFlaw::OtherFormat), "{bad}");
        }
        let wide: Vec<u8> = svg("").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Logo::parse(wide), Err(LogoFlaw::OtherFormat));
        assert_eq!(
            flaw("<svg viewBox=\"0 0 1 1\"></svg>"),
            Some(LogoFlaw::NoNamespace)
        );
    }

    #[test]
    fn an_svg_is_a_picture_only() {
        for (bad, expected) in [
            ("<Script/>", LogoFlaw::Forbidden("<script")),
            ("<x:script/>", LogoFlaw::Forbidden(":script")),
            ("<foreignObject/>", LogoFlaw::Forbidden("foreignobject")),
            ("<a href=\"JavaScript:1\"/>", LogoFlaw::Forbidden("javascript:")),
            ("<style>@import 'a.css'</style>", LogoFlaw::Forbidden("@import")),
            ("<g onload=\"f()\"/>", LogoFlaw::Handler),
            ("<g x='' onLoad\n=\"f()\"/>", LogoFlaw::Handler),
            ("<image href=\"https://a.example/\"/>", LogoFlaw::Reference),
            ("<image href=\"&#104;ttps://a.example/\"/>", LogoFlaw::Reference),
            ("<use xlink:href = '/a.svg#b'/>", LogoFlaw::Reference),
            ("<path fill=\"url(a.svg#b)\"/>", LogoFlaw::Reference),
            (
                "<path style='fill: URL( \"//a.example/\" )'/>",
                LogoFlaw::Reference,
            ),
        ] {
            assert_eq!(flaw(&svg(bad)), Some(expected), "{bad}");
        }
        for (declaration, name) in [
            ("<!DOCTYPE svg [ <!ENTITY a \"b\"> ]>", "<!entity"),
            (
                "<!DOCTYPE svg [ <!ATTLIST svg onload CDATA \"f()\"> ]>",
                "<!attlist",
            ),
            ("<?xml-stylesheet href=\"#a\"?>", "<?xml-stylesheet"),
        ] {
            let bad = format!("{declaration}{}", svg(""));
            assert_eq!(flaw(&bad), Some(LogoFlaw::Forbidden(name)), "{bad}");
        }
    }
}
