//! What the running server was configured with, as far as commands must agree with it.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mailing::Mailing;
use super::{OpenError, Role};
use crate::config::{Config, MailTransport};
use crate::domain::{FailureLimits, Rate, RegistrationMode};
use crate::service::Ways;
use crate::store::{self, Setting, Store};
use crate::system::System;

/// What it was configured with.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) public_url: String,
    pub(super) app_url: Option<String>,
    pub(super) pinned_mode: Option<RegistrationMode>,
    pub(super) rules: Rules,
    pub(super) mailing: Mailing,
}

/// What commands tell of the server's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) failure_limits: Option<FailureLimits>,
    pub(super) ways: Ways,
}

impl Rules {
    fn of(config: &Config) -> Self {
        let has_mail = config.mail_transport() != MailTransport::Off;
        let limits = &config.rate_limit;
        Self {
            failure_limits: limits.enabled.then_some(limits.wrong_passwords),
            ways: Ways {
                codes: has_mail && config.otp.enabled,
                resets: has_mail,
            },
        }
    }

    /// As it is recorded.
    fn to_text(self) -> String {
        let rate = |rate: Rate| (rate.requests(), rate.per().as_secs());
        let record = RulesRecord {
            codes: self.ways.codes,
            resets: self.ways.resets,
            failure_limits: self
                .failure_limits
                .map(|limits| [rate(limits.from_one_network), rate(limits.of_account)]),
        };
        serde_json::to_string(&record).expect("it is made of numbers")
    }

    /// Reads what [`Rules::to_text`] wrote; `None` if another version wrote it.
    fn from_text(text: &str) -> Option<Self> {
        let record: RulesRecord = serde_json::from_str(text).ok()?;
        let rate =
            |(requests, seconds): (NonZeroU32, u64)| Rate::new(requests.get(), Duration::from_secs(seconds));
        let failure_limits = match record.failure_limits {
            None => None,
            Some([from_one_network, of_account]) => Some(FailureLimits {
                from_one_network: rate(from_one_network)?,
                of_account: rate(of_account)?,
            }),
        };
        Some(Self {
            failure_limits,
            ways: Ways {
                codes: record.codes,
                resets: record.resets,
            },
        })
    }
}

/// [`Rules`] in the database.
#[derive(Serialize, Deserialize)]
struct RulesRecord {
    codes: bool,
    resets: bool,
    /// Failures and seconds: from one network, and of the account over all networks; `None` without limits.
    failure_limits: Option<[(NonZeroU32, u64); 2]>,
}

/// A server records what it was configured with; a command goes by that record, so that its links and refusals are those of the server.
pub(super) async fn agree(
    config: &Config,
    store: &Store,
    system: &System,
    role: Role,
) -> Result<(Served, Vec<String>), OpenError> {
    let own = Served {
        public_url: config.public_url(),
        app_url: config.app_url(),
        pinned_mode: config.registration.mode,
        rules: Rules::of(config),
        mailing: Mailing::of(config),
    };
    if role == Role::Server {
        let (served, now) = (own.clone(), system.now());
        store
            .write(move |tx| {
                let mode = served.pinned_mode.map(<&str>::from);
                tx.put_setting(Setting::ServedPublicUrl, Some(&served.public_url), now)?;
                tx.put_setting(Setting::ServedAppUrl, served.app_url.as_deref(), now)?;
                tx.put_setting(Setting::ServedPinnedMode, mode, now)?;
                tx.put_setting(Setting::ServedMailing, Some(&served.mailing.to_text()), now)?;
                tx.put_setting(Setting::ServedRules, Some(&served.rules.to_text()), now)
            })
            .await?;
        return Ok((own, Vec::new()));
    }
    let (own_rules, own_mailing) = (own.rules, own.mailing.clone());
    let recorded = store.read(move |reader| {
        Ok::<_, store::StoreError>(match reader.find_setting(Setting::ServedPublicUrl)? {
            None => None,
            Some(public_url) => Some(Served {
                public_url,
                app_url: reader.find_setting(Setting::ServedAppUrl)?,
                pinned_mode: reader
                    .find_setting(Setting::ServedPinnedMode)?
                    .and_then(|name| name.parse().ok()),
                rules: reader
                    .find_setting(Setting::ServedRules)?
                    .and_then(|text| Rules::from_text(&text))
                    .unwrap_or(own_rules),
                mailing: reader
                    .find_setting(Setting::ServedMailing)?
                    .and_then(|text| Mailing::from_text(&text))
                    .unwrap_or(own_mailing),
            }),
        })
    });
    match recorded.await? {
        Some(recorded) if matches!(role, Role::Command | Role::Check) => {
            let notices = differences(config, &recorded);
            Ok((recorded, notices))
        }
        _ => Ok((own, Vec::new())),
    }
}

/// What this configuration sets otherwise than the server's did. What it does not set is not its opinion.
fn differences(config: &Config, recorded: &Served) -> Vec<String> {
    let shown =
        |value: Option<&str>| value.map_or_else(|| "not set".to_owned(), |value| format!("\"{value}\""));
    let own_public_url = config.server.public_url.as_ref().map(ToString::to_string);
    let own_mode = config.registration.mode.map(<&str>::from);
    let own_mailing = Mailing::of(config);
    let mailing = own_mailing
        .keys()
        .into_iter()
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
        // `mail test` sends from the command itself.
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
        let ways = |codes, resets| Ways { codes, resets };
        for rules in [
            Rules {
                failure_limits: None,
                ways: ways(false, false),
            },
            Rules {
                failure_limits: Some(FailureLimits::default()),
                ways: ways(true, true),
            },
            Rules {
                failure_limits: Some(FailureLimits::default()),
                ways: ways(false, true),
            },
        ] {
            assert_eq!(Rules::from_text(&rules.to_text()), Some(rules));
        }
    }
}
