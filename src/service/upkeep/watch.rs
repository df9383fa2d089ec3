//! Watching the database file of a running server.

use std::sync::Arc;
use std::time::Duration;

use crate::service::Service;
use crate::store::Setting;

/// How often a server looks whether its database is still there, and how often it tries to write while it cannot.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl Service {
    /// Looks each second whether the database is still the file that was opened, and tries a small write while writes fail, and when it was asked whether
    /// it is [ready](Self::ready) and nothing was committed for a while; never returns.
    pub async fn watch_database(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let service = Arc::clone(&self);
            // Looking at a file of a network may take long.
            let looked = tokio::task::spawn_blocking(move || service.store.look());
            if looked.await.unwrap_or(false) {
                let now = self.system.now();
                // What becomes of it is noted by the store.
                let _ = self
                    .store
                    .write(move |tx| tx.put_moment(Setting::WriteTriedAt, now))
                    .await;
            }
        }
    }
}
