//! A pool of connections for queries.

use std::sync::Arc;
use std::time::Duration;

use r2d2::Pool;
use scheduled_thread_pool::ScheduledThreadPool;
use tokio::sync::Semaphore;

use super::connection::Connector;
use crate::store::loan::Loan;
use crate::store::{OpenError, Reader, Result, StoreError};

/// How long a query waits for a connection before it is refused, and how long that may take to open.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections, and as many places. Queries wait for places in their order: the pool itself wakes any of those that wait, and each would keep a thread.
pub(super) struct Readers {
    pool: Pool<Connector>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// At most `size` connections. One is opened by `opener` when a query finds no idle one, so a start does not wait for all of them.
    pub(super) fn new(
        connector: Connector,
        size: u32,
        opener: &Arc<ScheduledThreadPool>,
    ) -> Result<Self, OpenError> {
        let builder = Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .thread_pool(Arc::clone(opener))
            // It would ask the server before each query. A connection that has broken is replaced when its query has failed.
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(PATIENCE);
        let pool = builder
            .build(connector)
            .map_err(|error| OpenError::Unusable(error.to_string()))?;
        let places = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self {
            pool,
            places: Arc::new(Semaphore::new(places)),
        })
    }

    /// Waits for a place, which the loan has until its end.
    pub(super) async fn lend(&self) -> Result<Loan> {
        let busy = || StoreError::Unavailable("every connection to the database is busy".to_owned());
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned());
        let place = place.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let pool = self.pool.clone();
        Ok(Box::new(move |ask| {
            let connection = pool.get().map_err(|error| {
                StoreError::Unavailable(format!("there is no connection to the database: {error}"))
            })?;
            ask(&Reader { engine: &*connection });
            drop(connection);
            drop(place);
            Ok(())
        }))
    }
}

/// The thread that opens the connections of pools.
pub(super) fn opener() -> Arc<ScheduledThreadPool> {
    let opener = ScheduledThreadPool::builder().num_threads(1);
    Arc::new(opener.thread_name_pattern("readers").build())
}
