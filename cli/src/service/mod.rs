//! `artifact follow` as a service: the loop that checks, and a supervisor beside it.
//!
//! The supervisor owns signals, the service manager and the HTTP pages, on a thread that never waits
//! for anything else. The worker owns everything that can take long. When the service is told to
//! stop, the worker gets a moment to put its scratch away; what it cannot interrupt is left to the
//! next start, which finds the store whole as after any crash.

mod check;
mod chores;
mod http;
mod metrics;
mod notify;
mod parts;
mod pulse;
mod shelf;
mod tell;
mod versions;
mod watch;
mod worker;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use eyas_ops::{Class, When};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::http::Page;
use self::notify::Manager;
pub(crate) use self::parts::Parts;
use self::parts::Typed;
use self::pulse::{Pulse, STUCK_AFTER};
pub(crate) use self::versions::{Place, Versions};
use self::worker::{News, Order, Worker};
use crate::args::{FollowArgs, Global};
use crate::exit::Failure;
use crate::personality::Words;
use crate::phrases;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::wiring;

/// How long a stop waits for the worker to put its scratch away.
const STOP_PATIENCE: Duration = Duration::from_millis(700);
/// How often the supervisor looks after the worker without a watchdog.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// Follows until told to stop.
pub(crate) fn run(
    args: &FollowArgs,
    global: &Global,
    settings: &Settings,
    printer: Printer,
) -> anyhow::Result<()> {
    let pulse = Arc::new(Pulse::new());
    let listen = settings.listen(args)?.filter(|_| !args.once && !args.dry_run);
    let typed = Typed {
        args: args.clone(),
        global: global.clone(),
        printer: printer.clone(),
        pulse: Arc::clone(&pulse),
    };
    let parts = Parts::build(typed, settings.clone())?;
    // A policy that is wrong from the beginning is told to whoever starts the service.
    wiring::block_on(wiring::trust(settings, &args.flags.trust, &printer))?;
    let supervisor = Supervisor { manager: Manager::of_environment(), printer, pulse };
    wiring::block_on(supervisor.run(parts, listen))
}

struct Supervisor {
    manager: Manager,
    printer: Printer,
    pulse: Arc<Pulse>,
}

impl Supervisor {
    async fn run(self, parts: Parts, listen: Option<std::net::SocketAddr>) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        if let Some(address) = listen {
            self.open(address).await?;
        }
        if !parts.typed.args.once && !parts.typed.args.dry_run {
            self.printer.info(beginning(&parts));
        }
        let rhythm = self.manager.watchdog().map_or(LOOK_AFTER, |limit| limit / 4);
        let (orders, mut news) = start(parts, rhythm)?;
        self.manager.ready();
        loop {
            tokio::select! {
                order = signals.next() => match order {
                    Order::Stop => break,
                    Order::Reload => {
                        self.manager.reloading();
                        let _ = orders.send(Order::Reload);
                    }
                },
                heard = news.recv() => match heard {
                    Some(News::Status(text)) => self.manager.status(&text),
                    Some(News::Reloaded) => self.manager.ready(),
                    Some(News::Ended(outcome)) => return outcome,
                    None => anyhow::bail!("the checks ended abnormally"),
                },
                () = sleep(rhythm) => {}
            }
            if self.is_alive() {
                self.manager.alive();
            }
        }
        self.manager.stopping();
        match self.printer.words() {
            Words::Ours => self.printer.info("told to stop"),
            Words::Falcoctl => self.printer.record(&phrases::stopping()),
        }
        let _ = orders.send(Order::Stop);
        let ended = async {
            while let Some(heard) = news.recv().await {
                if matches!(heard, News::Ended(_)) {
                    break;
                }
            }
        };
        // What is under way and cannot be interrupted ends with the process.
        let _ = timeout(STOP_PATIENCE, ended).await;
        Ok(())
    }

    /// Whether the worker makes progress.
    fn is_alive(&self) -> bool {
        let limit = self.manager.watchdog().map_or(STUCK_AFTER, |limit| limit.max(STUCK_AFTER));
        self.pulse.since_beat() < limit
    }

    async fn open(&self, address: std::net::SocketAddr) -> anyhow::Result<()> {
        let (listener, bound) = http::listen(address).await.map_err(|error| {
            let message = format!("cannot listen on `{address}`: {error}");
            let hint = "name another address with `--listen`".to_owned();
            Failure { class: Class::Usage, message, hint: Some(hint) }
        })?;
        self.printer.info(format!("serving health and metrics on http://{bound}"));
        serve(listener, Arc::clone(&self.pulse));
        Ok(())
    }
}

fn serve(listener: TcpListener, pulse: Arc<Pulse>) {
    let started = Timestamp::now();
    let pages = move |path: &str| match path {
        "/healthz" => Some(health(&pulse)),
        "/readyz" => Some(readiness(&pulse)),
        "/metrics" => Some(metrics::page(&pulse.report(), started)),
        _ => None,
    };
    tokio::spawn(http::serve(listener, Arc::new(pages)));
}

fn health(pulse: &Pulse) -> Page {
    let since = pulse.since_beat();
    if since < STUCK_AFTER {
        return Page::text("200 OK", "ok\n");
    }
    let body = format!("no progress for {} s\n", since.as_secs());
    Page::text("503 Service Unavailable", body)
}

fn readiness(pulse: &Pulse) -> Page {
    let unready = pulse.report().unready(Instant::now());
    if unready.is_empty() {
        return Page::text("200 OK", "ok\n");
    }
    Page::text("503 Service Unavailable", unready.join("\n") + "\n")
}

/// Starts the worker on a thread of its own, which nobody waits for: it may be in the middle of
/// something when the process is told to stop.
fn start(
    parts: Parts,
    rhythm: Duration,
) -> anyhow::Result<(mpsc::UnboundedSender<Order>, mpsc::UnboundedReceiver<News>)> {
    let (orders, ordered) = mpsc::unbounded_channel();
    let (tell, news) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("checks".to_owned())
        .spawn(move || {
            let worker = Worker::new(parts, tell, Some(rhythm));
            wiring::block_on(async {
                worker.run(ordered).await;
                Ok(())
            })
        })
        .context("cannot start a thread")?;
    Ok((orders, news))
}

fn beginning(parts: &Parts) -> String {
    let list = parts.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match &parts.schedule.when {
        When::Calendar(cron) => format!("following {list} at `{cron}`"),
        When::Every(every) => match every.as_secs() {
            0 => format!("following {list} every {} ms", every.as_millis()),
            seconds => format!("following {list} every {seconds} s"),
        },
    }
}

/// The signals that mean something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    /// What the next one asks for.
    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.terminate.recv() => Order::Stop,
            _ = self.hangup.recv() => Order::Reload,
        }
    }
}
