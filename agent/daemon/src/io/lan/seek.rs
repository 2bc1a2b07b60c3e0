//! Calls the boards that are known of and not connected.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

use super::{book::Target, door::Doorway};

/// Calls at the same time.
const CALLS: usize = 8;
/// With nobody to call it is looked again after this: a ban may be over.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Until stopped.
pub(super) async fn run(doorway: Doorway) {
    let calls = Arc::new(Semaphore::new(CALLS));
    loop {
        let now = Instant::now();
        let (targets, next) = doorway.book.due(now);
        for target in targets {
            let (doorway, calls) = (doorway.clone(), Arc::clone(&calls));
            tokio::spawn(async move {
                let call = async {
                    let _place = calls.acquire().await;
                    call(&doorway, &target).await
                };
                let answers = tokio::select! {
                    () = doorway.stop.cancelled() => return,
                    answers = call => answers,
                };
                doorway.book.called(&target, answers.as_ref());
            });
        }
        let until = next
            .unwrap_or(now + LOOK_AGAIN)
            .max(now + Duration::from_millis(20));
        tokio::select! {
            () = doorway.stop.cancelled() => return,
            () = doorway.book.changed.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

async fn call(doorway: &Doorway, target: &Target) -> Option<contract::id::DeviceId> {
    let addresses = match target {
        Target::Member(_, addresses) => addresses.clone(),
        Target::Hint(address) => vec![*address],
    };
    for address in addresses {
        match doorway.call(address).await {
            Ok(peer) => return Some(peer),
            Err(error) => tracing::debug!(%address, error = %format!("{error:#}"), "no board answers there"),
        }
    }
    None
}
