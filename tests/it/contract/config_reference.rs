//! `docs/configuration.md` is generated from `arkloop.toml.example`, which `config_example` compares with the code. So each key
//! is described only once, and is also on a page that people find.

use std::fmt::Write as _;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../arkloop.toml.example");
const PAGE: &str = "docs/configuration.md";
/// The command that generates the page again.
const UPDATE: &str = "UPDATE_DOCS=1 cargo test --test it config_reference";

/// A key with the comment above it in the example.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    section: String,
    name: String,
    value: String,
    has_default: bool,
    /// Empty if the key is described together with the key before it.
    description: String,
}

impl Key {
    fn path(&self) -> String {
        match self.section.as_str() {
            "" => self.name.clone(),
            section => format!("{section}.{}", self.name),
        }
    }

    fn variable(&self) -> String {
        format!("ARKLOOP_{}", self.path().to_uppercase().replace('.', "__"))
    }
}

/// The keys of a configuration file in which each key follows the comment about it.
fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let (mut section, mut comment) = ("", Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            comment.clear();
        } else if let Some(prose) = line.strip_prefix("# ") {
            comment.push(prose);
        } else if let Some((name, value)) = line.split_once(" = ") {
            keys.push(Key {
                section: section.to_owned(),
                name: name.trim_start_matches('#').to_owned(),
                value: value.to_owned(),
                has_default: !name.starts_with('#'),
                description: std::mem::take(&mut comment).join(" "),
            });
        } else {
            comment.clear();
        }
    }
    keys
}

/// The text of the page before the keys.
fn introduction() -> String {
    format!(
        "# Configuration\n\n\
         <!-- Made from arkloop.toml.example: change that, then run {UPDATE} -->\n\n\
         Nothing needs to be configured to try arkloop. A file is looked for at `--config FILE`, in the variable\n\
         `ARKLOOP_CONFIG`, then at `./arkloop.toml` and `/etc/arkloop/arkloop.toml`; the first that exists is read.\n\
         [arkloop.toml.example](../arkloop.toml.example) has every key and is meant to be copied.\n\n\
         Each key can be given as an environment variable, which beats the file; lists are separated by commas. A secret\n\
         can stand in a file of its own, as its only line: `<key>_file` names it. A variable or such a file that begins and\n\
         ends with a quote is refused: `docker run --env-file` keeps quotes as part of the value. A relative path counts from the directory of the\n\
         configuration file, or from the working directory if it comes from a variable or a flag. Durations are a whole\n\
         number and a unit: `30s`, `15m`, `12h`, `7d`. An unknown key or a bad value stops the start, with the key, the\n\
         place and the accepted form. `arkloop config show` prints what holds, secrets masked.\n\n\
         ## Whose files are believed\n\n\
         The configuration file, each `<key>_file`, `mail.ca_file` and `server.logo_file` say what the program does or shows, so they are refused unless\n\
         root or the user who runs arkloop owns them, and no other user can write to them: not others, and the group only\n\
         if it is the process's own and no access list names further users. The directory they are in belongs to\n\
         root or that user too, and if every user can write to it, it must be sticky, as `/tmp` is. A link on the way must be\n\
         in a directory for which the same holds as for the files; in a sticky one, root or that user must own the link\n\
         itself. Pipes and devices are refused. This is so however the file is named, and a\n\
         refused `./arkloop.toml` stops the command: it is not passed over. A `git clone` with umask 002, config maps and\n\
         secrets of Kubernetes and systemd credentials pass as they are. What is mounted read-only is not judged, because\n\
         the mount is an administrator's doing: so do not run arkloop inside a read-only snapshot of a stranger's directory\n\
         without `--config`. The unit for systemd mounts everything but the data read-only for the server, so there the commands\n\
         and `arkloop check` judge. The key file has the same owners; only its owner may read it, or the group of one of root's.\n\n\
         ## Who runs a command\n\n\
         A command works on the data directory of its own user and refuses any other before it makes or opens a file: the\n\
         owner of the database runs it, root included, and without a database the owner of the directory. The refusal\n\
         repeats the command as that user runs it. A directory that does not exist is made with mode 0700; the one above it\n\
         decides who may.\n\n\
         A directory of root's passes if the user can write to it, as a volume of Kubernetes does with `fsGroup`, and an\n\
         `emptyDir`. If other users can write to it too, those users have the database, and the server starts with a\n\
         warning; what runs that were cut off have left there under names like `.arkloop-…` is not cleared away. In a\n\
         container there may be no other user, but the server cannot know that. So name a directory inside the volume that does\n\
         not exist yet, as the image does: the server makes it for its user alone.\n"
    )
}

/// The whole page.
fn page() -> String {
    let mut page = introduction();
    let (keys, mut section) = (keys(EXAMPLE), None);
    for key in &keys {
        if section != Some(key.section.as_str()) {
            let title = match key.section.as_str() {
                "" => "Outside of a section".to_owned(),
                name => format!("`[{name}]`"),
            };
            let _ = write!(page, "\n## {title}\n");
            section = Some(&key.section);
        }
        let default = if key.has_default {
            "Default"
        } else {
            "No default; for example"
        };
        let _ = write!(page, "\n### `{}`\n\n", key.path());
        if !key.description.is_empty() {
            let _ = write!(page, "{}\n\n", key.description);
        }
        let _ = writeln!(
            page,
            "{default}: `{}`. Variable: `{}`.",
            key.value,
            key.variable()
        );
    }
    page
}

#[test]
fn the_page_is_the_example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page(),
        "{PAGE} differs from the example; run: {UPDATE}"
    );
}
