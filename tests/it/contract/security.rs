//! Every test that `docs/security.md` names exists, and so does every requirement that the page cites.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/security.md")).expect("the file can be read")
}

/// Paths of tests between backticks, such as `api::bearer::a_missing_token_is_refused_like_this`.
fn named_tests(text: &str) -> BTreeSet<&str> {
    let is_test =
        |name: &&str| name.contains("::") && name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
    text.split('`').skip(1).step_by(2).filter(is_test).collect()
}

/// The file with the tests of a module: a black-box test, or a source with unit tests.
fn file_of(module: &str) -> Option<PathBuf> {
    let module = module.replace("::", "/");
    // Unit tests are in a module inside the file that they test.
    let within = module.rsplit_once('/').map_or("", |(file, _)| file).to_owned();
    let in_tests = [
        format!("tests/it/{module}.rs"),
        format!("tests/it/{module}/mod.rs"),
    ];
    let beside = [&module, &within].map(|path| [format!("src/{path}.rs"), format!("src/{path}/mod.rs")]);
    let candidates = in_tests.into_iter().chain(beside.into_iter().flatten());
    candidates
        .map(|path| root().join(path))
        .find(|path| path.is_file())
}

fn exists(named: &str) -> bool {
    let Some((module, name)) = named.rsplit_once("::") else {
        return false;
    };
    let source = file_of(module).and_then(|file| fs::read_to_string(file).ok());
    source.is_some_and(|source| source.contains(&format!("fn {name}(")))
}

#[test]
fn every_test_that_the_document_names_is_there() {
    let document = document();
    let named = named_tests(&document);
    let missing: Vec<&&str> = named.iter().filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The requirements of OWASP ASVS 5.0.0 at levels 1 and 2, chapters 1 to 16: the numbers of each section.
const REQUIREMENTS: &[(&str, &[u32])] = &[
    ("1.1", &[1, 2]),
    ("1.2", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("1.3", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("1.4", &[1, 2, 3]),
    ("1.5", &[1, 2]),
    ("2.1", &[1, 2, 3]),
    ("2.2", &[1, 2, 3]),
    ("2.3", &[1, 2, 3, 4]),
    ("2.4", &[1]),
    ("3.2", &[1, 2]),
    ("3.3", &[1, 2, 3, 4]),
    ("3.4", &[1, 2, 3, 4, 5, 6]),
    ("3.5", &[1, 2, 3, 4, 5]),
    ("3.7", &[1, 2]),
    ("4.1", &[1, 2, 3]),
    ("4.2", &[1]),
    ("4.3", &[1, 2]),
    ("4.4", &[1, 2, 3, 4]),
    ("5.1", &[1]),
    ("5.2", &[1, 2, 3]),
    ("5.3", &[1, 2]),
    ("5.4", &[1, 2, 3]),
    ("6.1", &[1, 2, 3]),
    ("6.2", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("6.3", &[1, 2, 3, 4]),
    ("6.4", &[1, 2, 3, 4]),
    ("6.5", &[1, 2, 3, 4, 5]),
    ("6.6", &[1, 2, 3]),
    ("6.8", &[1, 2, 3, 4]),
    ("7.1", &[1, 2, 3]),
    ("7.2", &[1, 2, 3, 4]),
    ("7.3", &[1, 2]),
    ("7.4", &[1, 2, 3, 4, 5]),
    ("7.5", &[1, 2]),
    ("7.6", &[1, 2]),
    ("8.1", &[1, 2]),
    ("8.2", &[1, 2, 3]),
    ("8.3", &[1]),
    ("8.4", &[1]),
    ("9.1", &[1, 2, 3]),
    ("9.2", &[1, 2, 3, 4]),
    ("10.1", &[1, 2]),
    ("10.2", &[1, 2]),
    ("10.3", &[1, 2, 3, 4]),
    ("10.4", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("10.5", &[1, 2, 3, 4, 5]),
    ("10.6", &[1, 2]),
    ("10.7", &[1, 2, 3]),
    ("11.1", &[1, 2]),
    ("11.2", &[1, 2, 3]),
    ("11.3", &[1, 2, 3]),
    ("11.4", &[1, 2, 3, 4]),
    ("11.5", &[1]),
    ("11.6", &[1]),
    ("12.1", &[1, 2, 3]),
    ("12.2", &[1, 2]),
    ("12.3", &[1, 2, 3, 4]),
    ("13.1", &[1]),
    ("13.2", &[1, 2, 3, 4, 5]),
    ("13.3", &[1, 2]),
    ("13.4", &[1, 2, 3, 4, 5]),
    ("14.1", &[1, 2]),
    ("14.2", &[1, 2, 3, 4]),
    ("14.3", &[1, 2, 3]),
    ("15.1", &[1, 2, 3]),
    ("15.2", &[1, 2, 3]),
    ("15.3", &[1, 2, 3, 4, 5, 6, 7]),
    ("16.1", &[1]),
    ("16.2", &[1, 2, 3, 4, 5]),
    ("16.3", &[1, 2, 3, 4]),
    ("16.4", &[1, 2, 3]),
    ("16.5", &[1, 2, 3]),
];

/// The requirements in the first column of tables. `6.2.1–6.2.3` is a range that includes both ends.
fn cited(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split('|').next());
    let mut cited = Vec::new();
    for item in cells.flat_map(|cell| cell.split(',')).map(str::trim) {
        let (first, last) = item.split_once('–').unwrap_or((item, item));
        let (Some((section, from)), Some((_, to))) = (first.rsplit_once('.'), last.rsplit_once('.')) else {
            continue;
        };
        if let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) {
            cited.extend((from..=to).map(|number| format!("{section}.{number}")));
        }
    }
    cited
}

#[test]
fn every_requirement_of_levels_one_and_two_has_one_answer() {
    let document = document();
    let cited = cited(&document);
    let expected: BTreeSet<String> = REQUIREMENTS
        .iter()
        .flat_map(|(section, numbers)| numbers.iter().map(move |number| format!("{section}.{number}")))
        .collect();
    let unique: BTreeSet<String> = cited.iter().cloned().collect();
    assert_eq!(unique.len(), cited.len(), "a requirement is in two rows");
    let unanswered: Vec<&String> = expected.difference(&unique).collect();
    let unknown: Vec<&String> = unique.difference(&expected).collect();
    assert!(
        unanswered.is_empty() && unknown.is_empty(),
        "unanswered: {unanswered:?}, unknown: {unknown:?}"
    );
}

#[test]
fn no_page_writes_html_or_keeps_anything_but_the_language_and_the_link() {
    let folder = root().join("src/http/pages/static");
    let entries = fs::read_dir(folder).expect("the pages are there");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the entry can be read").path())
        .collect();
    scripts.retain(|path| path.extension().is_some_and(|kind| kind == "js"));
    assert!(!scripts.is_empty(), "the pages have scripts");
    for other in ["src/http/pages/browser_client/arkloop.js", "openapi/ui/init.js"] {
        scripts.push(root().join(other));
    }
    for script in &scripts {
        let text = fs::read_to_string(script).expect("the file can be read");
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "setHTML",
            "createContextualFragment",
            "DOMParser",
            "srcdoc",
            "document.write",
            "eval(",
            "new Function",
            "localStorage",
            "indexedDB",
            "document.cookie",
        ] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", script.display());
        }
        let keeps = script.ends_with("i18n.js") || script.ends_with("link.js");
        assert!(keeps || !text.contains("sessionStorage"), "{}", script.display());
    }
}
