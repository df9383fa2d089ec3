//! `openapi`.

use crate::support::Workspace;

#[test]
fn the_document_needs_neither_a_database_nor_a_configuration() {
    let workspace = Workspace::new();
    workspace.write("arkloop.toml", "nonsense = ");
    let output = workspace.output(&["openapi"], "");
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(String::from_utf8_lossy(&output.stdout), arkloop::http::document());
}
