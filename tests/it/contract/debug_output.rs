//! No text of the program contains Rust's debug output, which is for programmers and names types that the operator does not know.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a source, without its tests, that write something with `Debug`.
fn debugging_lines(text: &str) -> Vec<&str> {
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    program
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter(|line| {
            let in_a_format = line.contains(":?}") || line.contains(":#?}");
            // `?error` as a field of a log line.
            let as_a_field = ["(?", " ?", "= ?"].iter().any(|sigil| {
                line.match_indices(sigil)
                    .any(|(at, _)| line[at + sigil.len()..].starts_with(|c: char| c.is_ascii_lowercase()))
            });
            in_a_format || as_a_field
        })
        .collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_test = name.is_some_and(|name| name.starts_with("tests") || name.starts_with("properties"));
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(path);
        }
    }
}

#[test]
fn no_text_of_the_program_is_debug_output() {
    let mut paths = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    for path in paths {
        let text = fs::read_to_string(&path).expect("the file can be read");
        assert_eq!(debugging_lines(&text), Vec::<&str>::new(), "{}", path.display());
    }
}
