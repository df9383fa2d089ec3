//! The layering rule of `src/lib.rs`: imports point one way, and each foreign crate has its module.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate each one may name.
const EDGES: [(&str, &[&str]); 18] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "config",
            "service",
            "files",
            "domain",
            "system",
            "telemetry",
        ],
    ),
    ("http", &["service", "limits", "files", "domain", "system"]),
    (
        "app",
        &[
            "http",
            "service",
            "config",
            "store",
            "crypto",
            "captcha",
            "mail",
            "web",
            "files",
            "domain",
            "system",
            "telemetry",
        ],
    ),
    (
        "service",
        &["store", "crypto", "captcha", "mail", "files", "domain", "system"],
    ),
    ("store", &["files", "domain"]),
    ("config", &["files", "domain"]),
    ("crypto", &["files", "domain", "system"]),
    ("captcha", &["web", "domain", "system"]),
    ("web", &["tls"]),
    ("tls", &["domain"]),
    ("mail", &["tls", "files", "domain"]),
    ("limits", &["domain", "system"]),
    ("system", &["domain"]),
    ("files", &["system"]),
    ("telemetry", &["domain"]),
    ("domain", &[]),
    (EVERYWHERE, &[]),
];
/// The module that every other one may name.
const EVERYWHERE: &str = "fault";
/// The files that may name more, and what.
const EXCEPTIONS: [(&str, &str); 2] = [("cli/serve.rs", "http"), ("cli/openapi.rs", "http")];
/// Which module alone names a crate; names are compared from their beginning.
const CRATES: [(&str, &str); 15] = [
    ("rusqlite", "store"),
    ("r2d2", "store"),
    ("poem", "http"),
    ("hyper", "http"),
    ("http_body_util", "http"),
    ("clap", "cli"),
    ("sd_notify", "cli"),
    ("argon2", "crypto"),
    ("jsonwebtoken", "crypto"),
    ("lettre", "mail"),
    ("ureq", "web"),
    ("rustls", "tls"),
    ("webpki", "tls"),
    ("tokio_rustls", "mail"),
    ("governor", "limits"),
];
/// Longer files have more than one thought.
const MAX_LINES: usize = 400;

/// What the file at `path` (within `src`) with `text` breaks, one sentence each.
fn broken_rules(path: &str, text: &str) -> Vec<String> {
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let mut broken = Vec::new();
    if text.lines().count() > MAX_LINES {
        broken.push(format!("{path} has more than {MAX_LINES} lines"));
    }
    let code = without_comments_and_texts(text);
    // `lib.rs` only lists the modules.
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) else {
        if module != "lib" {
            broken.push(format!("{path}: {module} is in no layer"));
        }
        return broken;
    };
    for named in named_modules(&code) {
        let is_allowed = named == module
            || named == EVERYWHERE
            || allowed.contains(&named.as_str())
            || EXCEPTIONS.contains(&(path, named.as_str()));
        if !is_allowed {
            broken.push(format!("{path} names {named}, which {module} must not know"));
        }
    }
    for (name, home) in CRATES {
        if module != home && names_crate(&code, name) {
            broken.push(format!("{path} names {name}, which belongs to {home}"));
        }
    }
    broken
}

/// The top-level modules that stand behind `crate::` (in the executable: `arkloop::`), also within braces.
fn named_modules(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let code = words.join(" ").replace(" ::", "::").replace(":: ", "::");
    let mut named = Vec::new();
    for root in ["crate::", "arkloop::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(is_word) {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => named.extend(group_members(group)),
                None => named.push(first_word(rest)),
            }
        }
    }
    named.sort();
    named.dedup();
    named
}

/// The first words of what stands between commas of the outermost level, up to the closing brace.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut members, mut start) = (0_u32, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(first_word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(first_word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| is_word(*c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `code` has a path that begins with a crate of that name.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        // `.hyper` is a field and `::hyper` some module of that name, except at the root of a path.
        let begins = before.is_none_or(|c| !is_word(c) && c != '.')
            && (!code[..at].ends_with("::")
                || code[..at].trim_end_matches("::").ends_with([' ', '(', '<', '\n']));
        let rest = code[at..].trim_start_matches(is_word);
        begins
            && (rest.starts_with("::")
                || rest.starts_with(" as ")
                || rest.starts_with(';') && code[..at].ends_with("use "))
    })
}

/// The code without `//` comments and without what stands in texts, each replaced by nothing.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some(after) = skip_text(rest) {
            code.push_str("\"\"");
            rest = after;
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// What stands behind the text or character that `rest` begins with.
fn skip_text(rest: &str) -> Option<&str> {
    for hashes in ["", "#", "##"] {
        if let Some(raw) = rest.strip_prefix(&format!("r{hashes}\"")) {
            let end = format!("\"{hashes}");
            return raw.find(&end).map(|at| &raw[at + end.len()..]);
        }
    }
    if let Some(character) = rest.strip_prefix("'\"'").or_else(|| rest.strip_prefix("'\\\"'")) {
        return Some(character);
    }
    let text = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it is read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source of the crate: its path within `src`, and its text.
pub(super) fn sources_of_src() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 60, "the sources are there");
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(&src).expect("it is below");
        let text = fs::read_to_string(file).expect("it is text");
        (path.display().to_string(), text)
    };
    files.iter().map(read).collect()
}

#[test]
fn imports_point_one_way() {
    let files = sources_of_src();
    let broken = files.iter().flat_map(|(path, text)| broken_rules(path, text));
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_module_is_a_file_beside_its_directory() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let double: Vec<&PathBuf> = files
        .iter()
        .filter(|file| file.with_extension("").is_dir())
        .collect();
    assert!(double.is_empty(), "{double:?}");
}

#[test]
fn the_layers_have_no_cycle() {
    let mut left: Vec<(&str, &[&str])> = EDGES.to_vec();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, below)| below.iter().any(|name| names.contains(name)));
        assert!(left.len() < before, "a cycle among {names:?}");
    }
}

#[test]
fn what_breaks_the_rule_is_found() {
    for (path, text, expected) in [
        ("domain/user.rs", "use crate::store::Tx;", "store"),
        (
            "http/user.rs",
            "use crate::{domain::User, store::{Tx, self}};",
            "store",
        ),
        (
            "http/user.rs",
            "use crate::{\n    domain,\n    crypto,\n};",
            "crypto",
        ),
        ("store/user.rs", "fn now() { crate::system::now() }", "system"),
        ("cli/user.rs", "use crate::http::document;", "http"),
        ("cli/user.rs", "use crate::store::Store;", "store"),
        ("service/user.rs", "use rusqlite::Connection;", "rusqlite"),
        ("service/user.rs", "fn f(c: &r2d2::Pool<M>) {}", "r2d2"),
        ("service/user.rs", "use poem_openapi::Object;", "poem"),
        ("app/mod.rs", "use ::hyper::Request;", "hyper"),
        ("config/mod.rs", "#[derive(clap::Parser)]\nstruct Flags;", "clap"),
        ("service/sign_in.rs", "use argon2::Argon2;", "argon2"),
        ("service/sign_in.rs", "use jsonwebtoken as jwt;", "jsonwebtoken"),
        ("main.rs", "fn main() { arkloop::store::open() }", "store"),
        ("helper/mod.rs", "", "in no layer"),
        ("store/mod.rs", &"\n".repeat(401), "400 lines"),
    ] {
        let broken = broken_rules(path, text);
        assert_eq!(broken.len(), 1, "{path}: {text}: {broken:?}");
        assert!(broken[0].contains(expected), "{broken:?}");
    }
}

#[test]
fn what_keeps_the_rule_is_not_found() {
    for (path, text) in [
        (
            "http/user.rs",
            "use crate::service::{Error, store};\nuse super::store;",
        ),
        (
            "http/user.rs",
            "use poem::Request;\n// crate::store is not ours to name: rusqlite::Connection",
        ),
        (
            "http/user.rs",
            "const HELP: &str = \"crate::store::Tx \\\" rusqlite::x\";",
        ),
        (
            "http/user.rs",
            "const HELP: &str = r#\"crate::store::Tx \" rusqlite::x\"#;",
        ),
        ("cli/serve.rs", "use crate::http::Server;"),
        (
            "service/user.rs",
            "let count = self.hyper; let x = my_clap::f(); a::rusqlite::b();",
        ),
        ("main.rs", "fn main() { arkloop::cli::run() }"),
        ("lib.rs", "pub mod store;"),
    ] {
        assert_eq!(broken_rules(path, text), Vec::<String>::new(), "{text}");
    }
}
