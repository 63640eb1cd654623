//! Ctrl-C and SIGTERM as a value that the writer watches.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Returns a receiver that becomes true at the first SIGINT or SIGTERM; from then on the process no
/// longer ends by itself, so this is called right before the first write.
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
        // Keeps the sender, so that the value stays readable.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}
