//! The part of the server's configuration that commands must agree with: a server records it, and commands use the record.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::OpenError;
use super::mailing::Mailing;
use super::role::Role;
use super::servers;
use crate::config::Config;
use crate::domain::{FailureLimits, MailTransport, Rate, RegistrationMode};
use crate::service::SignInRules;
use crate::store::{self, Setting, Store};
use crate::system::System;

#[derive(Clone)]
pub(super) struct Served {
    pub(super) public_url: String,
    pub(super) app_url: Option<String>,
    pub(super) pinned_mode: Option<RegistrationMode>,
    pub(super) rules: Rules,
    pub(super) mailing: Mailing,
}

/// The server's rules that commands report. The record uses these names of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rules {
    codes: bool,
    resets: bool,
    /// Pairs of failures and seconds: first from one network, then of one account over all networks; `None` without limits.
    failure_limits: Option<[(NonZeroU32, u64); 2]>,
}

impl Rules {
    fn of(config: &Config) -> Self {
        let has_mail = config.mail_transport() != MailTransport::Off;
        let limits = &config.rate_limit;
        let rate = |rate: Rate| (rate.requests(), rate.per().as_secs());
        let failures = limits.enabled.then_some(limits.wrong_passwords);
        Self {
            codes: has_mail && config.otp.enabled,
            resets: has_mail,
            failure_limits: failures.map(|limits| [rate(limits.from_one_network), rate(limits.of_account)]),
        }
    }

    pub(super) fn sign_in(self) -> SignInRules {
        SignInRules {
            failure_limits: self.failure_limits(),
            codes: self.codes,
            resets: self.resets,
        }
    }

    fn failure_limits(self) -> Option<FailureLimits> {
        let rate =
            |(requests, seconds): (NonZeroU32, u64)| Rate::new(requests.get(), Duration::from_secs(seconds));
        let [from_one_network, of_account] = self.failure_limits?;
        Some(FailureLimits {
            from_one_network: rate(from_one_network)?,
            of_account: rate(of_account)?,
        })
    }
}

/// Returns the configuration to use, and a warning for each difference between that of a command and that of the server. A server records its configuration;
/// a command uses that record, so that its links and refusals are those of the server.
pub(super) async fn agree(
    config: &Config,
    store: &Store,
    system: &System,
    role: Role,
) -> Result<(Served, Vec<String>), OpenError> {
    let own = Served {
        public_url: config.public_url(),
        app_url: config.app_url(),
        pinned_mode: config.registration_mode,
        rules: Rules::of(config),
        mailing: Mailing::of(config),
    };
    match role {
        Role::Init | Role::InitForKey => Ok((own, Vec::new())),
        Role::Server => {
            record(store, own.clone(), system).await?;
            let differs = servers::announce(config, store).await?;
            Ok((own, differs.into_iter().collect()))
        }
        Role::Command | Role::Check => Ok(match find_record(store, own.clone()).await? {
            Some(recorded) => {
                let differences = differences(config, &recorded);
                (recorded, differences)
            }
            None => (own, Vec::new()),
        }),
    }
}

async fn record(store: &Store, served: Served, system: &System) -> Result<(), store::StoreError> {
    let now = system.now();
    store
        .write(move |tx| {
            let mode = served.pinned_mode.map(<&str>::from);
            tx.put_setting(Setting::ServedPublicUrl, Some(&served.public_url), now)?;
            tx.put_setting(Setting::ServedAppUrl, served.app_url.as_deref(), now)?;
            tx.put_setting(Setting::ServedPinnedMode, mode, now)?;
            tx.put_setting(Setting::ServedMailing, Some(&json(&served.mailing)), now)?;
            tx.put_setting(Setting::ServedRules, Some(&json(&served.rules)), now)
        })
        .await
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it is made of texts and numbers")
}

/// Reads the record; `None` if no server has run. If another version recorded the rules or the mailing in another form, those of `own` are used.
async fn find_record(store: &Store, own: Served) -> Result<Option<Served>, store::StoreError> {
    store
        .read(move |reader| {
            let Some(public_url) = reader.find_setting(Setting::ServedPublicUrl)? else {
                return Ok(None);
            };
            let mode = reader.find_setting(Setting::ServedPinnedMode)?;
            let rules = reader.find_setting(Setting::ServedRules)?;
            let mailing = reader.find_setting(Setting::ServedMailing)?;
            Ok(Some(Served {
                public_url,
                app_url: reader.find_setting(Setting::ServedAppUrl)?,
                pinned_mode: mode.and_then(|name| name.parse().ok()),
                rules: rules
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or(own.rules),
                mailing: mailing
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or(own.mailing),
            }))
        })
        .await
}

/// A warning for each setting of `config` that differs from the record. Settings at their default do not count.
fn differences(config: &Config, recorded: &Served) -> Vec<String> {
    let shown =
        |value: Option<&str>| value.map_or_else(|| "not set".to_owned(), |value| format!("\"{value}\""));
    let own_public_url = config.server.public_url.as_ref().map(ToString::to_string);
    let own_mode = config.registration_mode.map(<&str>::from);
    let own_mailing = Mailing::of(config);
    let mailing = own_mailing
        .keys()
        .zip(recorded.mailing.keys())
        .map(|((key, own), (_, recorded))| (key, config.is_set(key).then_some(own), Some(recorded)));
    [
        ("server.public_url", own_public_url.as_deref(), Some(recorded.public_url.as_str())),
        ("server.app_url", config.app_url().as_deref(), recorded.app_url.as_deref()),
        ("registration.mode", own_mode, recorded.pinned_mode.map(<&str>::from)),
    ]
    .into_iter()
    .chain(mailing)
    .filter(|(_, own, recorded)| own.is_some() && own != recorded)
    .map(|(key, own, recorded)| {
        // `mail test` sends with the configuration of the command.
        let except = if key == "mail.transport" { ", except by mail test" } else { "" };
        format!(
            "{key} is {} here, but the server last ran with {}; the server's is used{except} (--config names its configuration)",
            shown(own),
            shown(recorded)
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_were_recorded() {
        let limits = "[[10,900],[100,3600]]";
        for (text, has_limits) in [
            (
                r#"{"codes":false,"resets":false,"failure_limits":null}"#.to_owned(),
                false,
            ),
            (
                format!(r#"{{"codes":true,"resets":true,"failure_limits":{limits}}}"#),
                true,
            ),
            (
                format!(r#"{{"codes":false,"resets":true,"failure_limits":{limits}}}"#),
                true,
            ),
        ] {
            let rules: Rules = serde_json::from_str(&text).expect("it was recorded so");
            assert_eq!(json(&rules), text);
            assert_eq!(rules.failure_limits().is_some(), has_limits, "{text}");
        }
    }
}
