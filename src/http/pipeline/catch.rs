//! A panic in one request becomes an error of that request.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A handler panicked. What it said is dropped: it may hold anything, also a secret.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
pub(super) struct Panicked;

/// Runs `future` and turns a panic into [`Panicked`].
pub(super) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(move |context| {
        // What a broken request leaves behind is dropped with it; what requests share is guarded by locks that survive.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_a_pause_is_caught() {
        let panics = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "on purpose");
        };
        assert!(catch_panic(panics).await.is_err());
        assert!(matches!(catch_panic(async { 7 }).await, Ok(7)));
    }
}
