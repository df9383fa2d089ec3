//! Lends a connection of either engine to a query on a blocking thread. What differs is behind [`Loan`], so that each query is compiled once.

use super::{FromStore, Reader, Result, StoreError};

/// Waits for a connection on the thread where it is called, and calls the function with it.
pub(super) type Loan = Box<dyn FnOnce(&mut dyn FnMut(&Reader<'_>)) -> Result<()> + Send>;

/// Runs a query on a blocking thread, with the connection that is lent.
pub(super) async fn on_blocking_thread<T: Send + 'static, E: FromStore>(
    loan: Loan,
    ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let asked = tokio::task::spawn_blocking(move || {
        let (mut ask, mut answer) = (Some(ask), None);
        loan(&mut |reader| answer = ask.take().map(|ask| ask(reader)))?;
        answer.unwrap_or_else(|| Err(StoreError::Unavailable("there was no connection".to_owned()).into()))
    });
    asked
        .await
        .map_err(|error| StoreError::Panicked(error.to_string()))?
}
