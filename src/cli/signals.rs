//! Ctrl-C and SIGTERM as a value that the writer watches.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Exit;

/// Returns a receiver that becomes true at the first SIGINT or SIGTERM; a second one ends the process.
///
/// From the call on the first signal no longer does, so this is called right before the first write.
pub(super) fn watch_interrupts() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Nobody listens any more once the run is over.
        let _ = sender.send(true);
        // Whoever asks twice does not want to wait for the report: the server may not answer. What was
        // running is rolled back or recoverable, as after any crash.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[expect(clippy::exit, reason = "the second signal ends the process at once")]
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    Ok(receiver)
}
