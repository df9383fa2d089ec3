//! Watching the database file of a running server.

use std::sync::Arc;
use std::time::Duration;

use crate::service::Service;
use crate::store::Setting;

/// How often a server checks that its database file is still there and, while writes fail, tries a write.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl Service {
    /// Checks every second whether the database file is still the one that was opened. Tries a small write while writes fail, and after a while without a
    /// commit if [`Service::ready`] was called. Never returns.
    pub async fn watch_database(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let service = Arc::clone(&self);
            // Checking a file on a network may take long.
            let looked = tokio::task::spawn_blocking(move || service.store.look());
            if looked.await.unwrap_or(false) {
                let now = self.system.now();
                // The store notes whether the write succeeded.
                let _ = self
                    .store
                    .write(move |tx| tx.put_time(Setting::WriteTriedAt, now))
                    .await;
            }
        }
    }
}
