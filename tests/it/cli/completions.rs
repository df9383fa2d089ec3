//! `completions SHELL`. `.ci/shells` tests that the shells load them.

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn every_shell_gets_completions_without_a_configuration() {
    let workspace = Workspace::new();
    workspace.write("arkloop.toml", "nonsense = ");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = workspace.output(&["completions", shell], "");
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        for word in ["invite", "set-password", "never-expires"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn an_unknown_shell_is_wrong_usage() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run(&["completions", "tcsh"]), @"
    exit: 2
    stderr:
    error: invalid value 'tcsh' for '<SHELL>'
      [possible values: bash, elvish, fish, powershell, zsh]

      tip: a similar value exists: 'zsh'

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["--json", "completions", "tcsh"]), @r#"
    exit: 2
    stderr:
    {"error":"invalid value 'tcsh' for '<SHELL>' [possible values: bash, elvish, fish, powershell, zsh]","hint":"a similar value exists: 'zsh'"}
    "#);
}
