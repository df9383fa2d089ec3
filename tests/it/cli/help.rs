//! The help texts, and how wrong usage is reported.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::support::Workspace;
use crate::support::shown::{commands, leaves};

#[test]
fn the_help_of_every_level_has_an_example() {
    let workspace = Workspace::new();
    for command in commands() {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = workspace.output(&arguments, "");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{command}");
        assert!(
            text.contains("Example") && text.contains("\n  ") && text.contains("Usage: arkloop"),
            "{command}: {text}"
        );
        assert!(!text.contains('`'), "{command}: {text}");
    }
}

#[test]
fn the_version_is_a_result() {
    let expected = format!("exit: 0\nstdout:\narkloop {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Workspace::new().run(&["--version"]), expected);
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run(&["invite", "shred"]), @"
    exit: 2
    stderr:
    error: unrecognized subcommand 'shred'

    Usage: arkloop invite [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["session", "revoke"]), @"
    exit: 2
    stderr:
    error: the following required arguments were not provided:
      <ID|--user <USER>|--all>

    Usage: arkloop session revoke <ID|--user <USER>|--all>

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["registration", "set", "closed"]), @"
    exit: 2
    stderr:
    error: invalid value 'closed' for '<MODE>': a registration mode is one of open, invite_only, disabled

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["invite", "create", "--uses", "0"]), @"
    exit: 2
    stderr:
    error: invalid value '0' for '--uses <N>': it must be a number from 1 to 100000

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["invite", "create", "--expires-in", "7d", "--never-expires"]), @"
    exit: 2
    stderr:
    error: the argument '--expires-in <TIME>' cannot be used with '--never-expires'

    Usage: arkloop invite create --expires-in <TIME>

    For more information, try '--help'.
    ");
}

#[test]
fn a_misspelt_command_gets_the_right_one_suggested() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run(&["invites", "create"]), @"
    exit: 2
    stderr:
    error: unrecognized subcommand 'invites'

      tip: some similar subcommands exist: 'init', 'invite'

    Usage: arkloop [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "creat"]), @r#"
    exit: 2
    stderr:
    {"error":"unrecognized subcommand 'creat'","hint":"a similar subcommand exists: 'create'"}
    "#);
}

#[test]
fn wrong_usage_is_told_as_json_too() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run(&["--json", "invite", "shred"]), @r#"
    exit: 2
    stderr:
    {"error":"unrecognized subcommand 'shred'","hint":"Usage: arkloop invite [OPTIONS] <COMMAND>"}
    "#);
    assert_snapshot!(workspace.run(&["user", "create", "--json"]), @r#"
    exit: 2
    stderr:
    {"error":"the following required arguments were not provided: --email <ADDRESS> <LOGIN>","hint":"Usage: arkloop user create --email <ADDRESS> --json <LOGIN>"}
    "#);
}

#[test]
fn nothing_secret_is_an_argument() {
    let workspace = Workspace::new();
    for command in commands() {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = workspace.output(&arguments, "").stdout;
        let help = String::from_utf8_lossy(&help).to_lowercase();
        let names = help
            .split([' ', '\n', ','])
            .filter(|word| word.starts_with(['-', '<', '[']));
        for word in ["password", "secret", "token"] {
            let telling: Vec<&str> = names.clone().filter(|name| name.contains(word)).collect();
            assert!(
                telling.iter().all(|name| *name == "--password-stdin"),
                "{command}: {telling:?}"
            );
        }
        // The only flag for a password takes no value.
        assert!(!help.contains("--password-stdin <"), "{command}");
    }
    let output = workspace.output(
        &["user", "set-password", "ann", "--password", "a decent password"],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_commands_are_those_of_the_manual() {
    let workspace = Workspace::new();
    let pages = workspace.json(&["man", "."]);
    let pages: BTreeSet<&str> = pages
        .as_array()
        .expect("the value is a list")
        .iter()
        .filter_map(|page| page.as_str())
        .collect();
    let names = commands().iter().map(|command| {
        let words = ["arkloop"].into_iter().chain(command.split_whitespace());
        words.collect::<Vec<_>>().join("-") + ".1"
    });
    let names: BTreeSet<String> = names.collect();
    assert_eq!(pages, names.iter().map(String::as_str).collect());
    assert!(leaves().contains("user set-password") && !leaves().contains("user"));
}
