//! Gauges and counters about what is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use strum::VariantArray;

use super::counted::Counted;
use crate::domain::MailKind;
use crate::service::{Error, Service};

impl Service {
    /// Registers the mail counters at zero. Otherwise `rate()` of Prometheus would miss the first mail, which would create its counter.
    pub fn start_counters(&self) {
        for kind in MailKind::VARIANTS {
            for outcome in ["sent", "expired", "unanswered", "dropped"] {
                let labels = [("kind", kind.into_str()), ("outcome", outcome)];
                metrics::counter!("arkloop_mails_total", &labels).increment(0);
            }
        }
    }

    /// Reports whether requests can be served, as `/readyz` does.
    pub fn report_readiness(&self) {
        metrics::gauge!("arkloop_ready").set(f64::from(u8::from(self.ready().is_ok())));
    }

    /// How many accounts there are; reads the whole table.
    pub async fn count_users(&self) -> Result<u32, Error> {
        Ok(self.store.report(|reader| reader.count_users()).await?)
    }

    /// Counts what is stored, and reports it through the `metrics` facade.
    pub async fn report_metrics(&self) -> Result<(), Error> {
        let now = self.system.now();
        let rules = Arc::clone(&self.rules);
        let counted = self.store.report(move |reader| {
            Ok::<_, Error>((
                reader.count_mail()?,
                reader.database_bytes(),
                rules.failed_codes(reader, now)?,
            ))
        });
        let (mail, database_bytes, failed_codes) = counted.await?;
        let (waiting_mails, failing_mails, oldest_mail_at) = mail;
        let counted = self.counted().await?;
        for (address, count) in [
            ("known", failed_codes.of_accounts),
            ("unknown", failed_codes.of_unknown),
        ] {
            metrics::gauge!("arkloop_wrong_codes_last_hour", "address" => address).set(count);
        }
        let is_braked = failed_codes.exceeded.is_some();
        metrics::gauge!("arkloop_codes_braked").set(f64::from(u8::from(is_braked)));
        // PostgreSQL makes backups of its own, of which this server knows nothing.
        if let Some(at) = self.last_backup_at().await?
            && self.store.file().is_some()
        {
            metrics::gauge!("arkloop_backup_age_seconds").set(now.since(at).as_secs_f64());
        }
        let oldest = oldest_mail_at.map_or(Duration::ZERO, |at| now.since(at));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; no count here comes near 2^53"
        )]
        for (name, value) in [
            ("arkloop_users", counted.users),
            ("arkloop_sessions", counted.live_sessions),
            ("arkloop_mails_waiting", waiting_mails),
            ("arkloop_mails_failing", failing_mails),
            ("arkloop_database_bytes", database_bytes),
            ("arkloop_mail_oldest_seconds", oldest.as_secs()),
        ] {
            metrics::gauge!(name).set(value as f64);
        }
        Ok(())
    }

    /// Counts accounts and live sessions, or returns the last count.
    async fn counted(&self) -> Result<Counted, Error> {
        let last = *self.counted.lock();
        if let Some(counted) = last.filter(|counted| counted.is_reported_again(Instant::now())) {
            return Ok(counted);
        }
        let now = self.system.now();
        let counting = self.store.report(move |reader| {
            let at = Instant::now();
            let (users, live_sessions) = reader.count_users_and_sessions(now)?;
            Ok::<_, Error>(Counted {
                at,
                took: at.elapsed(),
                users,
                live_sessions,
            })
        });
        let counted = counting.await?;
        *self.counted.lock() = Some(counted);
        Ok(counted)
    }
}
