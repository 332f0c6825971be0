//! One check of one reference, from the look at the registry to the installed update.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eyas_artifact::Reference;
use eyas_ops::{CheckFailure, CheckResult, Checked, Class, Context, Followed, Look, News};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::parts::Parts;
use super::tell;
use crate::args::LogLevel;
use crate::exit;
use crate::printer::Record;

/// How long an update may take for the first time; after each time that it was not done it may take
/// twice as long, so that a slow download comes to its end and a stalled one is told.
const FIRST_TURN: Duration = Duration::from_mins(2);
/// Longest time for one look at a registry, whatever it does.
const LOOK_LIMIT: Duration = Duration::from_mins(5);

/// Most updates from one registry at once: others of the same registry wait, those of another do not.
const UPDATES_PER_REGISTRY: usize = 4;

/// Whose turn it is to be updated, by registry.
#[derive(Clone, Default)]
pub(super) struct Doors(Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>);

impl Doors {
    /// The door of a registry. There are as many as registries that are followed.
    fn of(&self, reference: &Reference) -> Arc<Semaphore> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.entry(reference.registry().to_owned());
        Arc::clone(door.or_insert_with(|| Arc::new(Semaphore::new(UPDATES_PER_REGISTRY))))
    }
}

/// A check that has ended, with what goes on to the next one.
pub(super) struct Done {
    pub(super) followed: Followed,
    pub(super) checked: Checked,
    pub(super) took: Duration,
    pub(super) turn: Duration,
}

/// Ends checks that are under way: what waits is given up, what cannot be interrupted comes to its end.
/// Dropping it ends them too.
pub(super) type Halt = watch::Sender<bool>;

/// Hears of the end.
#[derive(Clone)]
pub(super) struct Halted(watch::Receiver<bool>);

impl Halted {
    /// Of this sender.
    pub(super) fn by(halt: &Halt) -> Self {
        Self(halt.subscribe())
    }

    async fn heard(&mut self) {
        // Whoever could say more is gone.
        let _ = self.0.wait_for(|halted| *halted).await;
    }
}

/// Runs one check; nothing comes of one that was ended. `turn` is how long an update may take; none
/// means the first time.
pub(super) async fn check(
    parts: Arc<Parts>,
    mut followed: Followed,
    turn: Option<Duration>,
    doors: Doors,
    mut halted: Halted,
) -> Option<Done> {
    let start = Instant::now();
    let looked = tokio::select! {
        () = halted.heard() => return None,
        looked = look(&parts, &mut followed) => looked,
    };
    let (followed, checked, turn) = match looked {
        Look::Over(checked) => (followed, *checked, FIRST_TURN),
        Look::New(news) => {
            let (turn, parts) = (turn.unwrap_or(FIRST_TURN), Arc::clone(&parts));
            let runtime = Handle::current();
            let entered = tokio::select! {
                () = halted.heard() => return None,
                entered = doors.of(&news.reference).acquire_owned() => entered,
            };
            // An update waits for locks, disks and the sensor; on a thread of its own it holds up
            // nobody else.
            let update = spawn_blocking(move || {
                let _entered = entered;
                runtime.block_on(update(&parts, followed, news, turn, halted))
            });
            match update.await {
                Ok(updated) => updated?,
                Err(defect) => std::panic::resume_unwind(defect.into_panic()),
            }
        }
    };
    if matches!(checked.result, CheckResult::Failed { .. }) {
        parts.shelf.doubt();
    }
    Some(Done { followed, checked, took: start.elapsed(), turn })
}

/// Installs what is new within `turn`; also gives how long it may take the next time.
async fn update(
    parts: &Parts,
    mut followed: Followed,
    news: News,
    turn: Duration,
    mut halted: Halted,
) -> Option<(Followed, Checked, Duration)> {
    let (reference, digest) = (news.reference.clone(), news.digest);
    let taken = tokio::select! {
        () = halted.heard() => return None,
        taken = timeout(turn, Box::pin(take(parts, &mut followed, news))) => taken,
    };
    if let Ok(checked) = taken {
        return Some((followed, checked, FIRST_TURN));
    }
    let (failure, next) = interrupted(&reference, turn);
    let checked = followed.prevented(Some(&News { reference, digest }), failure);
    Some((followed, checked, next))
}

/// Why an update was given up for now, and how long it may take the next time.
fn interrupted(reference: &Reference, turn: Duration) -> (CheckFailure, Duration) {
    let message = format!("`{reference}` was not there within {} s", turn.as_secs());
    let next = turn.saturating_mul(2);
    let hint = format!(
        "what has arrived is kept; it may take {} s the next time, and others do not wait for it",
        next.as_secs()
    );
    (CheckFailure::new(Class::Network, message, Some(hint)), next)
}

async fn look(parts: &Parts, followed: &mut Followed) -> Look {
    let catalog = match parts.shelf.for_name(parts, followed.name()).await {
        Ok(catalog) => catalog,
        Err(error) => return Look::Over(Box::new(followed.prevented(None, failure(&error)))),
    };
    let looked = timeout(LOOK_LIMIT, followed.look(&parts.store, &parts.client, &catalog)).await;
    looked.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", LOOK_LIMIT.as_secs());
        let failure = CheckFailure::new(Class::Network, message, None);
        Look::Over(Box::new(followed.prevented(None, failure)))
    })
}

async fn take(parts: &Parts, followed: &mut Followed, news: News) -> Checked {
    tell::found(&parts.typed.printer, &news.reference);
    let prepared = async {
        let trust = parts.trust().await?;
        let catalog = parts.shelf.all(parts).await?;
        anyhow::Ok((trust, catalog))
    };
    let (trust, catalog) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => return followed.prevented(Some(&news), failure(&error)),
    };
    let declared = match &parts.versions {
        Some(versions) => {
            let (offer, said) = versions.read(&parts.client).await;
            if let Some(said) = said {
                parts.typed.printer.record(&Record::new(LogLevel::Warn, said));
            }
            offer
        }
        None => None,
    };
    let sensor = parts.sensor().with_declared(declared);
    let context = Context {
        store: &parts.store,
        client: &parts.client,
        catalog: &catalog,
        trust: &trust,
        validate: &parts.judge,
        sensor: &sensor,
        listener: &parts.listener,
        flat: parts.flat.as_ref(),
    };
    followed.take(&context, news, &parts.options).await
}

/// What something around the check said, in the form of a check's failure.
fn failure(error: &anyhow::Error) -> CheckFailure {
    let mut failure =
        CheckFailure::new(exit::class_of(error), exit::message_of(error), exit::hint_of(error));
    failure.report = exit::report_of(error);
    failure
}
