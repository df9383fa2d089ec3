//! The layering rule of `src/lib.rs`: imports point one way, no files import each other in a cycle, and only one module uses each foreign crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::imports::Imports;

/// Which other modules of the crate each module may name.
const EDGES: [(&str, &[&str]); 19] = [
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
    ("store", &["tls", "files", "domain"]),
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
    // `lib.rs` only lists the modules.
    ("lib", &[]),
];
/// A room is a subdirectory of a module. For each room, the other rooms of the module that it may name. Files outside of rooms may name every room,
/// and every room may name them.
const ROOMS: [(&str, &[&str]); 10] = [
    ("http/transport", &["http/pipeline"]),
    ("http/pipeline", &[]),
    ("http/api", &["http/pipeline"]),
    ("http/openapi", &["http/pipeline", "http/api"]),
    ("http/pages", &["http/pipeline"]),
    ("store/sqlite", &[]),
    ("store/postgres", &[]),
    ("service/rules", &[]),
    ("service/operator", &["service/rules"]),
    ("service/upkeep", &["service/rules"]),
];
/// The module that every other module may name.
const EVERYWHERE: &str = "fault";
/// The files that may name one more module, and that module.
const EXCEPTIONS: [(&str, &str); 2] = [("cli/serve.rs", "http"), ("cli/openapi.rs", "http")];
/// The only modules, or rooms of a module, that may name each crate. A name in this list stands for every crate whose name begins with it.
const CRATES: [(&str, &[&str]); 17] = [
    ("rusqlite", &["store/sqlite"]),
    ("postgres", &["store/postgres"]),
    ("r2d2", &["store/sqlite", "store/postgres"]),
    ("scheduled_thread_pool", &["store/sqlite", "store/postgres"]),
    ("poem", &["http"]),
    ("hyper", &["http"]),
    ("http_body_util", &["http"]),
    ("clap", &["cli"]),
    ("sd_notify", &["cli"]),
    ("argon2", &["crypto"]),
    ("jsonwebtoken", &["crypto"]),
    ("lettre", &["mail"]),
    ("ureq", &["web"]),
    ("rustls", &["tls"]),
    ("webpki", &["tls"]),
    ("tokio_rustls", &["mail", "store/postgres"]),
    ("governor", &["limits"]),
];
/// The maximum length of a file. A longer file has more than one subject.
const MAX_LINES: usize = 400;
/// The maximum length of a handler, which only parses its input, calls one method of the service and converts the result.
const MAX_HANDLER_LINES: usize = 15;

/// Adds the files below `directory` whose names have one of these extensions.
fn sources(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            sources(&path, extensions, found);
        } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
            found.push(path);
        }
    }
}

/// Every source of the crate: its path within `src`, and its text.
pub(super) fn sources_of_src() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &["rs"], &mut files);
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(&src).expect("it is below");
        let text = fs::read_to_string(file).expect("the file can be read");
        (path.display().to_string(), text)
    };
    files.iter().map(read).collect()
}

#[test]
fn imports_point_one_way() {
    let sources = sources_of_src();
    let imports = Imports::of(&sources);
    let mut broken = Vec::new();
    for (at, module) in imports.modules() {
        let (file, from) = (&*module.file, top(&module.file));
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == from) else {
            broken.push(format!("{file}: {from} is in no layer"));
            continue;
        };
        let outside = module.tops(at).into_iter().filter(|to| *to != from);
        let forbidden = outside
            .filter(|to| *to != EVERYWHERE && !allowed.contains(to) && !EXCEPTIONS.contains(&(file, to)));
        broken.extend(forbidden.map(|to| format!("{file} names {to}, which {from} must not know")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_foreign_crate_has_its_module() {
    let sources = sources_of_src();
    let imports = Imports::of(&sources);
    let mut broken = Vec::new();
    for (at, module) in imports.modules() {
        for named in imports.foreign(at, module) {
            let homes = CRATES.iter().filter(|(name, _)| named.starts_with(name));
            broken.extend(
                homes
                    .filter(|(_, homes)| !homes.iter().any(|home| is_in(&module.file, home)))
                    .map(|(_, homes)| format!("{} names {named}, which belongs to {homes:?}", module.file)),
            );
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_files_import_each_other_in_a_ring() {
    let sources = sources_of_src();
    let imports = Imports::of(&sources);
    let needs = imports.needs();
    let mut told = Vec::new();
    for ring in rings(&needs) {
        for from in &ring {
            let within = needs[from].iter().filter(|(to, _)| ring.contains(*to));
            told.extend(within.map(|(to, names)| format!("{from} takes {names:?} from {to}")));
        }
        told.push(String::from("(end of the ring)"));
    }
    assert!(told.is_empty(), "{told:#?}");
}

/// The sets of files that need each other, directly or through others.
fn rings<'a>(needs: &BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<&'a str>>>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = needs
        .keys()
        .map(|file| (*file, reached_from(file, needs)))
        .collect();
    let ring = |file: &&'a str| -> BTreeSet<&'a str> {
        let both = reached[file]
            .iter()
            .filter(|other| reached[**other].contains(file));
        both.copied().collect()
    };
    needs.keys().map(ring).filter(|ring| !ring.is_empty()).collect()
}

/// Every file that `file` needs, directly or through others.
fn reached_from<'a>(
    file: &str,
    needs: &BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<&'a str>>>,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = vec![file];
    while let Some(next) = left.pop() {
        let found = needs[next].keys().copied().filter(|to| reached.insert(*to));
        left.extend(found.collect::<Vec<_>>());
    }
    reached
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &["rs"], &mut files);
    }
    for folder in ["src/http/pages", ".ci"] {
        sources(&root.join(folder), &["js", "mjs"], &mut files);
    }
    let long = files.iter().filter_map(|path| {
        let text = fs::read_to_string(path).expect("the file can be read");
        let lines = text.lines().count();
        (lines > MAX_LINES).then(|| format!("{} has {lines} lines", path.display()))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn rooms_of_a_module_point_one_way() {
    let sources = sources_of_src();
    let imports = Imports::of(&sources);
    let mut broken = Vec::new();
    for (file, needed) in imports.needs() {
        let Some((_, allowed)) = room(file) else { continue };
        for (to, names) in needed {
            let is_allowed = room(to).is_none_or(|(name, _)| {
                top(name) != top(file) || file.starts_with(name) || allowed.contains(&name)
            });
            if !is_allowed {
                broken.push(format!("{file} takes {names:?} from {to}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The room of [`ROOMS`] that a file is in.
fn room(file: &str) -> Option<(&'static str, &'static [&'static str])> {
    ROOMS.into_iter().find(|(name, _)| is_in(file, name))
}

/// Whether a file belongs to a module or room.
fn is_in(file: &str, place: &str) -> bool {
    file.strip_prefix(place)
        .is_some_and(|rest| rest.starts_with(['/', '.']))
}

#[test]
fn no_handler_is_too_long() {
    let mut long = Vec::new();
    for (path, text) in sources_of_src() {
        for function in text.split("\nasync fn ").skip(1) {
            let (signature, body) = function.split_once(" {\n").unwrap_or_default();
            let lines = body.split("\n}\n").next().map_or(0, |body| body.lines().count());
            if signature.contains("exchange: Exchange") && lines > MAX_HANDLER_LINES {
                let name = signature.split('(').next().unwrap_or_default();
                long.push(format!("{path}: {name} has {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// The top-level module of a file.
fn top(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

#[test]
fn no_module_is_a_file_beside_its_directory() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &["rs"], &mut files);
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
