//! `server.logo_file`: which pictures the pages show, and how others are refused.

use std::fs;

use insta::assert_snapshot;

use super::check::{healthy, mends};
use crate::support::Workspace;
use crate::support::planting::{pipe, set_mode};

/// What `serve` says of a logo file that it refuses.
fn refusal(workspace: &Workspace) -> String {
    let output = workspace.run(&["-q", "serve", "--listen", "127.0.0.1:0"]);
    assert!(
        !workspace.path().join("data").exists(),
        "it leaves nothing behind"
    );
    output
        .strip_prefix("exit: 1\nstderr:\nerror: the file of server.logo_file, ")
        .unwrap_or_else(|| panic!("{output}"))
        .to_owned()
}

#[test]
fn a_logo_that_is_no_picture_is_refused_at_the_start() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_SERVER__LOGO_FILE", "logo.svg");
    let refusal_of = |content: &str| refusal(workspace.write("logo.svg", content));
    assert_snapshot!(refusal_of("<html>"), @"<dir>/logo.svg, cannot be the logo: it is neither a PNG nor an SVG picture; name a PNG or a plain SVG, or remove the key");
    assert_snapshot!(refusal_of("<svg><script>f()</script></svg>"), @r#"<dir>/logo.svg, cannot be the logo: it contains "<script", which a logo must not have; name a PNG or a plain SVG, or remove the key"#);
    let named = "<svg xmlns=\"http://www.w3.org/2000/svg\">";
    assert_snapshot!(refusal_of(&format!("{named}<image href='//a.example/'/></svg>")), @"<dir>/logo.svg, cannot be the logo: it refers to something outside the file: href and url() may begin with # or data: only; name a PNG or a plain SVG, or remove the key");
    assert_snapshot!(refusal_of(&format!("{named}{}</svg>", " ".repeat(65_536))), @"<dir>/logo.svg, cannot be the logo: it is larger than 64 KiB; name a PNG or a plain SVG, or remove the key");
}

#[test]
fn a_logo_that_cannot_be_read_or_that_others_can_change_is_refused_at_the_start() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_SERVER__LOGO_FILE", "logo.svg");
    let path = workspace.path().join("logo.svg");
    assert_snapshot!(refusal(&workspace), @"<dir>/logo.svg, cannot be read: No such file or directory (os error 2); name a file that the user who runs arkloop can read, or remove the key");
    fs::create_dir(&path).expect("the directory can be created");
    assert_snapshot!(refusal(&workspace), @"<dir>/logo.svg, cannot be read: Is a directory (os error 21); name a file that the user who runs arkloop can read, or remove the key");
    fs::remove_dir(&path).expect("the directory can be removed");
    // Nothing is ever written to this pipe.
    pipe(&path);
    assert_snapshot!(refusal(&workspace), @"<dir>/logo.svg, cannot be read: <dir>/logo.svg is not a regular file; name a file that the user who runs arkloop can read, or remove the key");
    fs::remove_file(&path).expect("the file can be removed");
    workspace.write("logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    set_mode(&path, 0o666);
    assert_snapshot!(refusal(&workspace), @"<dir>/logo.svg, cannot be read: <dir>/logo.svg can be written by others (mode 0666); run: chmod go-w <dir>/logo.svg");
}

#[test]
fn check_finds_a_logo_with_which_the_server_would_not_start_again() {
    let (mut workspace, _server) = healthy();
    workspace.set("ARKLOOP_SERVER__LOGO_FILE", "logo.svg");
    workspace.write("logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    assert_eq!(mends(&workspace), "");
    workspace.write("logo.svg", "<svg/>");
    assert_snapshot!(mends(&workspace), @"mend     logo             the file of server.logo_file, <dir>/logo.svg, cannot be the logo: it is neither a PNG nor an SVG picture; name a PNG or a plain SVG, or remove the key");
}
