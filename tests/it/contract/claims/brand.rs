//! The name of the program is always written "arkloop". "Arkloop" is the app whose API the program serves, and the web client of that app.

use std::fs;
use std::path::Path;

/// The texts that follow "Arkloop" where the app is meant.
const THE_OTHER: [&str; 3] = ["'s own web client", " auth API", "’s own web client"];

/// Adds every file below `directory` to `found`.
fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_name_is_written_one_way_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = [
        "README.md",
        "SECURITY.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "THIRD-PARTY.md",
        "arkloop.toml.example",
        "openapi/arkloop.json",
        "Cargo.toml",
    ]
    .map(|name| root.join(name))
    .into();
    for directory in ["src", "docs", "packaging", "migrations"] {
        files(&root.join(directory), &mut paths);
    }
    let mut others = Vec::new();
    for path in paths {
        // Tests may use any name for senders. Files that are not UTF-8, such as pictures, are skipped.
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (at, name) in text.match_indices("Arkloop").chain(text.match_indices("ArkLoop")) {
            let rest = &text[at + name.len()..];
            if !THE_OTHER.iter().any(|other| rest.starts_with(other)) {
                let line = text[..at].lines().count();
                others.push(format!("{}:{line}", path.display()));
            }
        }
    }
    assert!(others.is_empty(), "the program is called arkloop: {others:#?}");
}
