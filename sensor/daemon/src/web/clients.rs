//! Who is served at once. When there are as many as there may be, the one that has been there longest makes room: a
//! request takes milliseconds, and whoever holds connections open must not keep a health check out.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Connections that are open at once.
const MAX_OPEN: usize = 16;
/// Threads at once, those included that have not noticed yet that their connection was closed.
const MAX_THREADS: usize = 32;
/// How long one of those may take to notice.
const PATIENCE: Duration = Duration::from_secs(1);

/// The open connections, oldest first.
#[derive(Debug, Default)]
pub(super) struct Clients {
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: VecDeque<(u64, TcpStream)>,
    threads: usize,
    last: u64,
}

/// A place among the [`Clients`], given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    key: u64,
}

impl Clients {
    /// Takes a place; `None` when those who had to make room do not go.
    pub(super) fn enter(clients: &Arc<Self>, stream: &TcpStream) -> Option<Place> {
        let stream = stream.try_clone().ok()?;
        let state = clients.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |state: &mut State| state.threads >= MAX_THREADS;
        let (mut state, waited) = clients
            .gone
            .wait_timeout_while(state, PATIENCE, full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        if state.open.len() >= MAX_OPEN
            && let Some((_, oldest)) = state.open.pop_front()
        {
            // An error means that it is closed already.
            drop(oldest.shutdown(Shutdown::Both));
        }
        state.last += 1;
        state.threads += 1;
        let key = state.last;
        state.open.push_back((key, stream));
        Some(Place { clients: Arc::clone(clients), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.clients.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.threads -= 1;
        state.open.retain(|(key, _)| *key != self.key);
        self.clients.gone.notify_one();
    }
}
