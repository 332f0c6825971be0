//! Being told to stop: SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Ends when this process is told to stop. Where signals cannot be had it never ends, and the
/// system's own handling counts.
pub(crate) async fn until_told() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
