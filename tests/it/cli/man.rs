//! `man DIR`. `.ci/shells` tests that `man` shows the pages.

use std::fs;

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn there_is_a_page_for_every_command() {
    let workspace = Workspace::new();
    workspace.write("arkloop.toml", "nonsense = ");
    let directory = workspace.path().join("man1");
    fs::create_dir(&directory).expect("the directory can be created");
    let pages = workspace.json(&["man", "man1"]);
    let pages: Vec<&str> = pages
        .as_array()
        .expect("the value is a list")
        .iter()
        .filter_map(|page| page.as_str())
        .collect();
    for name in [
        "arkloop.1",
        "arkloop-serve.1",
        "arkloop-invite.1",
        "arkloop-invite-create.1",
    ] {
        assert!(pages.contains(&name), "{name} is not among {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("help")), "{pages:?}");
    for page in &pages {
        let text = fs::read_to_string(directory.join(page)).expect("the file can be read");
        assert!(
            text.contains(".SH SYNOPSIS") && text.contains("Example"),
            "{page}"
        );
        assert!(text.contains(env!("CARGO_PKG_VERSION")), "{page}");
    }
    let text = workspace.run(&["man", "man1"]);
    assert_eq!(text, format!("exit: 0\nstdout:\n{}\n", pages.join("\n")));
    let json = workspace.run(&["--json", "man", "man1"]);
    assert!(
        json.starts_with("exit: 0\nstdout:\n[\n  \"arkloop.1\",\n  \"arkloop-init.1\",\n"),
        "{json}"
    );
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run(&["man", "nowhere"]), @"
    exit: 1
    stderr:
    error: cannot write nowhere/arkloop.1: No such file or directory (os error 2); name a directory that exists and that you may write to
    ");
    assert_snapshot!(workspace.run(&["--json", "man", "nowhere"]), @r#"
    exit: 1
    stderr:
    {"error":"cannot write nowhere/arkloop.1: No such file or directory (os error 2)","hint":"name a directory that exists and that you may write to"}
    "#);
}

/// The synopsis of a page, without font markup.
fn synopsis(page: &str) -> String {
    let (_, rest) = page
        .split_once(".SH SYNOPSIS\n")
        .expect("the page has a synopsis");
    let line = rest.lines().next().expect("it is one line");
    ["\\fB", "\\fI", "\\fR", "\\"]
        .iter()
        .fold(line.to_owned(), |line, mark| line.replace(mark, ""))
}

#[test]
fn a_synopsis_has_the_own_options_in_the_order_of_the_help_with_their_values() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path().join("man1")).expect("the directory can be created");
    workspace.json(&["man", "man1"]);
    let told = |name: &str| {
        let path = workspace.path().join("man1").join(name);
        synopsis(&fs::read_to_string(path).expect("the file can be read"))
    };
    let names = [
        "arkloop.1",
        "arkloop-invite.1",
        "arkloop-invite-create.1",
        "arkloop-session-revoke.1",
        "arkloop-user-create.1",
        "arkloop-serve.1",
    ];
    assert_snapshot!(names.map(told).join("\n"), @"
    arkloop [--config FILE] [--data-dir DIR] [--json] [-v...|-q] <command>
    arkloop invite <command> [flags of every command]
    arkloop invite create [--uses N] [--expires-in TIME] [--never-expires] [--note TEXT] [--count N] [--email ADDRESS] [--locale LANGUAGE] [flags of every command]
    arkloop session revoke <--user USER|--all|ID> [flags of every command]
    arkloop user create --email ADDRESS [--verified] [--locale LANGUAGE] [--no-mail] [--password-stdin] LOGIN [flags of every command]
    arkloop serve [--listen ADDR] [flags of every command]
    ");
}
