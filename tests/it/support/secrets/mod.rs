//! Searches the data and the logs of every test for secrets.
//!
//! Every [`Workspace`](super::Workspace), and so every server of a test, has a [`Vault`]. The vault gathers the secrets in each
//! [`Request`](super::Request), in commands, their environment and their standard input, and in the mail server of the test: passwords, codes, tokens,
//! cookies, keys of other services, mails. It also gathers output: the log of this process at every level, the log of the executable at the level of the
//! test, the notes of commands, and the body of each refusal. When the test ends, each secret is searched for in the output, in every file of the
//! directory (database, write-ahead log, copies) and in a backup of the database. The test fails if a secret is found.
//!
//! **Forms:** raw, hexadecimal, base64 and URL-encoded; for tokens also the bytes that they encode; see [`forms`].
//!
//! **Exceptions.** Six and seven digits occur by chance, so such a code is searched for only in the output, and only as a word. Texts of fewer than
//! twelve bytes, or with fewer than six different bytes, are not real secrets but wrong inputs of tests. Mails that were written as files are not
//! searched, because they must contain the codes. Data that a test sends on a bare connection, and files that the test wrote, are not searched either.

mod forms;
mod haystack;
mod log;
mod vault;

pub use forms::Secrets;
pub use haystack::Haystack;
pub use vault::Vault;
