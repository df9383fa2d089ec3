//! Compares the configuration of the servers that run over one database.
//!
//! Each server shows a digest of its configuration in the name of one of its connections, which other processes see for as long as it runs. The record of
//! `served` is that of the last start, whether its server still runs or not.

use serde_json::Value;

use crate::config::Config;
use crate::crypto::text_digest;
use crate::store::{Result, Store};

/// Keys that may differ from server to server. Where a section is named, all its keys may.
const OWN: [&str; 14] = [
    "data_dir",
    "key_file",
    "database.url",
    "server.listen",
    "server.logo_file",
    "server.max_connections",
    "server.max_connections_per_address",
    "server.trusted_proxies",
    "mail.helo_name",
    "mail.ca_file",
    "password.implementation",
    "password.hash_threads",
    "metrics.",
    "log.",
];

/// Shows the configuration of this server. Returns a warning if another server runs with another one.
pub(super) async fn announce(config: &Config, store: &Store) -> Result<Option<String>> {
    store.announce_configuration(digest(config)).await?;
    Ok(has_differing(store).await?.then(|| {
        "another server over this database runs with another configuration: compare arkloop config show on both machines"
            .to_owned()
    }))
}

/// Whether servers with different configurations run.
pub(super) async fn has_differing(store: &Store) -> Result<bool> {
    Ok(store.list_configurations().await?.len() > 1)
}

fn digest(config: &Config) -> String {
    let is_shared = |key: &str| {
        !OWN.iter()
            .any(|own| key == *own || own.ends_with('.') && key.starts_with(own))
    };
    let entries = config.entries();
    let shared: Vec<&(String, Value)> = entries.iter().filter(|(key, _)| is_shared(key)).collect();
    text_digest(&serde_json::to_string(&shared).expect("it is made of texts and numbers"))
}
