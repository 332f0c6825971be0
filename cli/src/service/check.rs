//! One check of one reference, from the look at the registry to the installed update.

use std::rc::Rc;
use std::time::{Duration, Instant};

use eyas_artifact::Reference;
use eyas_ops::{CheckFailure, CheckResult, Checked, Class, Context, Followed, Look, News};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::parts::Parts;
use super::tell;
use crate::args::LogLevel;
use crate::exit;
use crate::printer::Record;

/// How long an update may hold others up for the first time; after each time that it was not done it
/// may do so twice as long, so that a slow download comes to its end and a stalled one does not stop
/// the rest.
const FIRST_TURN: Duration = Duration::from_mins(2);
/// Longest time for one look at a registry, whatever it does.
const LOOK_LIMIT: Duration = Duration::from_mins(5);

/// A check that has ended, with what goes on to the next one.
pub(super) struct Done {
    pub(super) followed: Followed,
    pub(super) checked: Checked,
    pub(super) took: Duration,
    pub(super) turn: Duration,
}

/// Updates come one after the other: there is one store.
pub(super) type Turns = Rc<Mutex<()>>;

/// Runs one check. `turn` is how long an update may take; none means the first time.
pub(super) async fn check(
    parts: Rc<Parts>,
    turns: Turns,
    mut followed: Followed,
    turn: Option<Duration>,
) -> Done {
    let start = Instant::now();
    let mut turn = turn.unwrap_or(FIRST_TURN);
    let checked = match look(&parts, &mut followed).await {
        Look::Over(checked) => {
            turn = FIRST_TURN;
            *checked
        }
        Look::New(news) => {
            let _ours = turns.lock().await;
            let reference = news.reference.clone();
            let digest = news.digest;
            if let Ok(checked) = timeout(turn, Box::pin(take(&parts, &mut followed, news))).await {
                turn = FIRST_TURN;
                checked
            } else {
                let (failure, next) = interrupted(&reference, turn);
                turn = next;
                followed.prevented(Some(&News { reference, digest }), failure)
            }
        }
    };
    if matches!(checked.result, CheckResult::Failed { .. }) {
        parts.shelf.doubt();
    }
    Done { followed, checked, took: start.elapsed(), turn }
}

/// Why an update was given up for now, and how long it may take the next time.
fn interrupted(reference: &Reference, turn: Duration) -> (CheckFailure, Duration) {
    let seconds = turn.as_secs();
    let message = format!("`{reference}` was not there within {seconds} s; others had to wait");
    let next = turn.saturating_mul(2);
    let hint = format!("it may take {} s the next time", next.as_secs());
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
