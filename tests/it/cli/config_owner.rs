//! Which owners and modes a configuration and its secrets may have.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::planting::{
    STRANGER, assert_refused, can_plant_for_others, directory, file, give, link, pipe, run_in, set_mode, skip,
};

const AUDIENCE: &str = "[tokens]\naudience = \"believed\"\n";
/// A group that is not the primary group of a process of the tests.
const OTHER_GROUP: u32 = 54_321;

/// A directory with a configuration in `conf/arkloop.toml`.
fn installation() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("the system has a temporary directory");
    directory(&root.path().join("conf"), 0o755);
    let path = root.path().join("conf/arkloop.toml");
    file(&path, AUDIENCE, 0o644);
    (root, path)
}

/// Reads the configuration at `path` in each of the three ways: named by flag, named by variable, and found in the working directory.
fn read_in_all_ways(path: &Path) -> [(i32, String); 3] {
    let root = Path::new("/");
    let around = path.parent().expect("the path has a parent");
    let flag = [
        "--config",
        path.to_str().expect("the path is text"),
        "config",
        "show",
    ];
    [
        run_in(root, &flag, &[]),
        run_in(root, &["config", "show"], &[("ARKLOOP_CONFIG", path)]),
        run_in(around, &["config", "show"], &[]),
    ]
}

fn assert_all_refused(path: &Path, named: &[&str]) {
    for outcome in read_in_all_ways(path) {
        assert_refused(outcome, named);
    }
    let around = path.parent().expect("the path has a parent");
    for command in [&["check"][..], &["serve"], &["user", "list"]] {
        assert_refused(run_in(around, command, &[]), named);
    }
}

fn assert_all_believed(path: &Path) {
    for (code, said) in read_in_all_ways(path) {
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("believed"), "{said}");
    }
}

/// A group other than that of the process, to which the process may give its files: any group for root, otherwise one of its supplementary groups.
fn another_group() -> Option<u32> {
    if rustix::process::geteuid().is_root() {
        return Some(OTHER_GROUP);
    }
    let own = rustix::process::getegid();
    let groups = rustix::process::getgroups().expect("the groups can be read");
    groups
        .into_iter()
        .find(|group| *group != own)
        .map(|group| group.as_raw())
}

#[test]
fn a_stranger_s_configuration_is_refused_however_it_is_named() {
    if !can_plant_for_others("a configuration of another user") {
        return;
    }
    let (_root, path) = installation();
    assert_all_believed(&path);
    give(&path, STRANGER, 0);
    assert_all_refused(&path, &["arkloop.toml", "65534", "chown", "--config"]);
    set_mode(&path, 0o600);
    assert_all_refused(&path, &["65534"]);
    // A file of root is believed although its group is a stranger's, because the group cannot write to it.
    give(&path, 0, STRANGER);
    set_mode(&path, 0o644);
    assert_all_believed(&path);
}

#[test]
fn a_configuration_that_others_can_write_is_refused() {
    let (_root, path) = installation();
    set_mode(&path, 0o666);
    assert_all_refused(&path, &["arkloop.toml", "0666", "chmod go-w"]);
    set_mode(&path, 0o646);
    assert_all_refused(&path, &["0646"]);
    let around = path.parent().expect("the path has a parent");
    set_mode(&path, 0o644);
    set_mode(around, 0o777);
    assert_all_refused(&path, &["conf", "0777", "chmod go-w"]);
    set_mode(around, 0o1777);
    assert_all_believed(&path);
}

#[test]
fn a_clone_with_umask_002_is_believed_and_another_group_s_file_is_not() {
    let (_root, path) = installation();
    let around = path.parent().expect("the path has a parent");
    set_mode(around, 0o775);
    set_mode(&path, 0o664);
    assert_all_believed(&path);
    let Some(group) = another_group() else {
        skip("this user has one group, so that no file is another group's");
        return;
    };
    std::os::unix::fs::chown(&path, None, Some(group)).expect("the owner can be changed");
    assert_all_refused(&path, &["arkloop.toml", "0664"]);
    set_mode(&path, 0o644);
    assert_all_believed(&path);
}

/// Sets an access list that gives another user the rights of the owner, and the group only the rights `group`.
fn let_a_stranger_write(path: &Path, group: u16) -> rustix::io::Result<()> {
    let all = group | 6;
    let entries: [(u16, u16, u32); 5] = [
        (0x01, all, u32::MAX),
        (0x02, all, STRANGER),
        (0x04, group, u32::MAX),
        (0x10, all, u32::MAX),
        (0x20, group, u32::MAX),
    ];
    // The format is a version, then the entries.
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "system.posix_acl_access", &list, flags)
}

#[test]
fn an_access_list_that_lets_another_user_write_is_seen() {
    let (root, path) = installation();
    let set = let_a_stranger_write(&path, 4);
    if let Err(error) = set {
        skip(&format!("the file system has no access lists: {error}"));
        return;
    }
    assert_all_refused(&path, &["arkloop.toml", "0664"]);
    // Links in a directory with such a list are not believed either.
    set_mode(&path, 0o644);
    fs::remove_file(&path).expect("the file can be removed");
    file(&path, AUDIENCE, 0o644);
    let links = root.path().join("links");
    directory(&links, 0o755);
    link(&path, &links.join("arkloop.toml"));
    assert_all_believed(&links.join("arkloop.toml"));
    let_a_stranger_write(&links, 5).expect("the file system has access lists");
    assert_all_refused(&links.join("arkloop.toml"), &["links", "0775"]);
}

#[test]
fn a_trusted_file_in_a_stranger_s_directory_is_not_believed() {
    if !can_plant_for_others("a directory of another user") {
        return;
    }
    let (_root, path) = installation();
    let around = path.parent().expect("the path has a parent");
    for mode in [0o755, 0o1777] {
        give(around, STRANGER, STRANGER);
        set_mode(around, mode);
        assert_all_refused(&path, &["conf belongs to", "65534"]);
    }
    give(around, 0, STRANGER);
    set_mode(around, 0o755);
    assert_all_believed(&path);
}

#[test]
fn a_proposed_command_is_one_that_a_shell_reads_as_it_is_meant() {
    let root = tempfile::tempdir().expect("the system has a temporary directory");
    let around = root.path().join("it's; $(mine) here");
    directory(&around, 0o755);
    let path = around.join("arkloop.toml");
    file(&path, AUDIENCE, 0o666);
    let quoted = "it'\\''s; $(mine) here/arkloop.toml'";
    assert_all_refused(&path, &["chmod go-w '/", quoted]);
    if can_plant_for_others("a link in a directory of another user") {
        set_mode(&path, 0o644);
        let links = root.path().join("links");
        directory(&links, 0o755);
        link(&path, &links.join("arkloop.toml"));
        give(&links, STRANGER, STRANGER);
        for (code, said) in read_in_all_ways(&links.join("arkloop.toml")) {
            assert_eq!(code, 1, "{said}");
            assert!(
                said.contains("links belongs to") && !said.contains("chown"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_configuration_from_a_pipe_is_refused_as_one() {
    for (script, name) in [
        ("true | \"$0\" --config /dev/stdin config show", "/dev/stdin"),
        ("\"$0\" --config <(true) config show", "/dev/fd/"),
    ] {
        let output = std::process::Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_arkloop")])
            .output()
            .expect("bash is there");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(name) && said.contains("it is a pipe"), "{said}");
    }
}

#[test]
fn a_config_map_of_kubernetes_is_believed() {
    let root = tempfile::tempdir().expect("the system has a temporary directory");
    let mounted = root.path().join("mounted");
    // As the kubelet creates it: every user may write to the directory, and two links lead to the file.
    directory(&mounted, 0o1777);
    directory(&mounted.join("..2026_11_28_10_00_00.123456789"), 0o755);
    file(
        &mounted.join("..2026_11_28_10_00_00.123456789/arkloop.toml"),
        AUDIENCE,
        0o644,
    );
    link("..2026_11_28_10_00_00.123456789", &mounted.join("..data"));
    link("..data/arkloop.toml", &mounted.join("arkloop.toml"));
    assert_all_believed(&mounted.join("arkloop.toml"));
    set_mode(
        &mounted.join("..2026_11_28_10_00_00.123456789/arkloop.toml"),
        0o444,
    );
    assert_all_believed(&mounted.join("arkloop.toml"));
    // Without the sticky bit every user can replace a link.
    set_mode(&mounted, 0o777);
    assert_all_refused(
        &mounted.join("arkloop.toml"),
        &["mounted", "arkloop.toml is in it", "0777"],
    );
    if can_plant_for_others("a link of another user in a sticky directory") {
        set_mode(&mounted, 0o1777);
        give(&mounted.join("..data"), STRANGER, STRANGER);
        assert_all_refused(&mounted.join("arkloop.toml"), &["..data", "65534"]);
    }
}

#[test]
fn a_link_is_judged_by_the_directory_it_is_in() {
    let (root, path) = installation();
    let links = root.path().join("links");
    directory(&links, 0o755);
    let own = links.join("arkloop.toml");
    link(&path, &own);
    assert_all_believed(&own);
    set_mode(&links, 0o757);
    assert_all_refused(&own, &["links", "0757"]);
    set_mode(&links, 0o755);
    if can_plant_for_others("a link in a directory of another user") {
        give(&links, STRANGER, STRANGER);
        assert_all_refused(&own, &["links", "65534"]);
        give(&links, 0, 0);
    }
    // Links in the middle of the path, and links to links, are believed too.
    fs::rename(&links, root.path().join("moved")).expect("the entry can be moved");
    link("moved", &links);
    assert_all_believed(&own);
    directory(&root.path().join("open"), 0o777);
    link(&own, &root.path().join("open/arkloop.toml"));
    fs::remove_file(root.path().join("moved/arkloop.toml")).expect("the file can be removed");
    link("../open/next.toml", &root.path().join("moved/arkloop.toml"));
    link(&path, &root.path().join("open/next.toml"));
    assert_all_refused(&own, &["open", "next.toml", "0777"]);
}

#[test]
fn a_configuration_that_is_no_file_is_refused_without_waiting() {
    let (_root, path) = installation();
    fs::remove_file(&path).expect("the file can be removed");
    pipe(&path);
    assert_all_refused(&path, &["arkloop.toml", "not a regular file"]);
    fs::remove_file(&path).expect("the file can be removed");
    fs::create_dir(&path).expect("the directory can be created");
    assert_all_refused(&path, &["arkloop.toml", "directory"]);
    fs::remove_dir(&path).expect("the directory can be removed");
    link("nowhere.toml", &path);
    assert_all_refused(&path, &["arkloop.toml", "does not exist"]);
    fs::remove_file(&path).expect("the file can be removed");
    link("arkloop.toml", &path);
    assert_all_refused(&path, &["arkloop.toml"]);
}

#[test]
fn secret_and_certificate_files_are_judged_alike() {
    let (root, _) = installation();
    let secret = root.path().join("secret");
    let key = |name: &'static str| [(name, secret.as_path())];
    for name in [
        "ARKLOOP_MAIL__SMTP_PASSWORD_FILE",
        "ARKLOOP_TURNSTILE__SECRET_KEY_FILE",
    ] {
        file(&secret, "a secret\n", 0o600);
        let show = |said: &str| assert!(!said.contains("a secret"), "{said}");
        let (_, said) = run_in(root.path(), &["config", "show"], &key(name));
        assert!(!said.contains("cannot read"), "{said}");
        show(&said);
        set_mode(&secret, 0o622);
        let outcome = run_in(root.path(), &["config", "show"], &key(name));
        show(&outcome.1);
        assert_refused(outcome, &["secret", "0622", "chmod go-w"]);
        set_mode(&secret, 0o600);
        if can_plant_for_others("a secret file of another user") {
            give(&secret, STRANGER, 0);
            assert_refused(
                run_in(root.path(), &["config", "show"], &key(name)),
                &["secret", "65534", "chown"],
            );
        }
        fs::remove_file(&secret).expect("the file can be removed");
        pipe(&secret);
        assert_refused(
            run_in(root.path(), &["config", "show"], &key(name)),
            &["secret", "not a regular file"],
        );
        fs::remove_file(&secret).expect("the file can be removed");
    }
    let conf =
        "[mail]\ntransport = \"smtp\"\nsmtp_url = \"smtps://mail.example.org\"\nca_file = \"../secret\"\n";
    file(&root.path().join("conf/arkloop.toml"), conf, 0o644);
    file(
        &secret,
        include_str!("../../../src/mail/tests/authority.pem"),
        0o644,
    );
    let conf = root.path().join("conf");
    let (code, said) = run_in(&conf, &["init"], &[]);
    assert_eq!(code, 0, "{said}");
    set_mode(&secret, 0o666);
    assert_refused(run_in(&conf, &["user", "list"], &[]), &["secret", "0666"]);
}

#[test]
fn root_s_configuration_is_believed_by_the_service_s_user() {
    if !can_plant_for_others("a process of another user") {
        return;
    }
    let (root, path) = installation();
    set_mode(root.path(), 0o755);
    give(path.parent().expect("the path has a parent"), 0, STRANGER);
    set_mode(path.parent().expect("the path has a parent"), 0o750);
    give(&path, 0, STRANGER);
    set_mode(&path, 0o640);
    let mut workspace = crate::support::Workspace::new();
    workspace
        .run_as(STRANGER)
        .set("ARKLOOP_CONFIG", path.to_str().expect("the path is text"));
    set_mode(&workspace.path(), 0o755);
    let shown = workspace.json(&["config", "show"]);
    assert!(shown.to_string().contains("believed"), "{shown}");
    assert_eq!(fs::metadata(&path).expect("the entry exists").uid(), 0);
}
