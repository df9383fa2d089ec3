//! What a command asks for: secrets, which are never arguments, and a yes before what cannot be undone.

use std::io::{self, BufRead, IsTerminal};

use secrecy::SecretString;

use super::error::Refusal;
use super::output;

/// The most bytes of standard input that are looked at for one line: far more than any password, far less than a mistaken file.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Where a new password comes from.
#[derive(clap::Args, Debug)]
pub(super) struct PasswordArguments {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// Reads a new password: from standard input if that was asked for, else twice from the terminal.
    ///
    /// # Errors
    /// `without_terminal` if there is nobody to ask.
    pub(super) fn read(&self, without_terminal: &str) -> Result<SecretString, Refusal> {
        if self.password_stdin {
            return read_from_stdin();
        }
        if !io::stdin().is_terminal() {
            return Err(Refusal::new(
                without_terminal,
                "give the password on standard input with --password-stdin",
            ));
        }
        let first = prompt("New password: ")?;
        if first != prompt("The same again: ")? {
            return Err(Refusal::new("the two passwords differ", "run the command again"));
        }
        Ok(first.into())
    }
}

/// Reads a password from the first line of standard input.
pub(super) fn read_from_stdin() -> Result<SecretString, Refusal> {
    read_line(io::stdin().lock()).map(SecretString::from)
}

/// The first line without its line end.
fn read_line(input: impl BufRead) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    input
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut bytes)
        .map_err(|cause| unreadable(&cause))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Some editors begin a text with a mark that nobody types.
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let refuse = |what: &str| {
        Refusal::new(
            format!("the password on standard input {what}"),
            "give it as one line of UTF-8 text",
        )
    };
    if line.contains(&0) {
        return Err(refuse("has a NUL byte in it"));
    }
    String::from_utf8(line.to_vec()).map_err(|_| refuse("is not UTF-8"))
}

fn prompt(question: &str) -> Result<String, Refusal> {
    rpassword::prompt_password(question).map_err(|cause| unreadable(&cause))
}

fn unreadable(cause: &io::Error) -> Refusal {
    Refusal::new(
        format!("cannot read the password: {cause}"),
        "give it on standard input with --password-stdin",
    )
}

/// The consequence of most of what is asked about.
pub(super) const FINAL: &str = "This cannot be undone.";

/// Whether the operator has agreed already to what cannot be undone.
#[derive(clap::Args, Debug)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Asks whether to do what `action` names, unless that was answered on the command line.
    pub(super) fn to(&self, action: &str) -> Result<(), Refusal> {
        self.to_with(action, FINAL)
    }

    /// The same for what can be undone, or not, as `consequence` says in a sentence.
    pub(super) fn to_with(&self, action: &str, consequence: &str) -> Result<(), Refusal> {
        if self.yes {
            Ok(())
        } else {
            confirm(action, consequence)
        }
    }

    /// Whether the operator has agreed, or can be asked.
    pub(super) fn is_possible(&self) -> bool {
        self.yes || io::stdin().is_terminal()
    }
}

/// Asks on the terminal whether to do what `action` names; without a terminal that is refused.
pub(super) fn confirm(action: &str, consequence: &str) -> Result<(), Refusal> {
    if !io::stdin().is_terminal() {
        return Err(Refusal::new(
            format!("nobody can be asked whether to {action}"),
            "add --yes if you are sure",
        ));
    }
    output::question(&format!("Really {action}? {consequence} [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|cause| {
        Refusal::new(
            format!("cannot read the answer: {cause}"),
            "add --yes if you are sure",
        )
    })?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Refusal::new(
        "nothing was done",
        "answer y, or add --yes, to go on",
    ))
}
