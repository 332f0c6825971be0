//! Who is on the other end, as the kernel vouches for it, and who may ask for something.

use std::os::fd::AsFd;

use nix::sys::socket::sockopt::PeerCredentials;

/// Credentials of the process at the other end, taken by the kernel when it connected (or, for a
/// server, when it started to listen).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process id, 0 when it is in a process id namespace that we cannot see into.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

impl Peer {
    /// Asks the kernel.
    pub(crate) fn of(socket: impl AsFd) -> std::io::Result<Self> {
        // Not rustix: its process id is a non-zero integer, and the kernel does say 0 here for a
        // peer whose pid namespace we cannot see into, such as another container of the same pod.
        let found = nix::sys::socket::getsockopt(&socket, PeerCredentials)?;
        Ok(Self { pid: found.pid(), uid: found.uid(), gid: found.gid() })
    }
}

/// Who may use a socket beyond root and the user the daemon runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids, compared with the peer's effective group.
    pub gids: Vec<u32>,
}

impl Allowed {
    /// Whether `peer` may ask, `own` being the user id the daemon runs as.
    pub fn admits(&self, peer: &Peer, own: u32) -> bool {
        peer.uid == 0
            || peer.uid == own
            || self.uids.contains(&peer.uid)
            || self.gids.contains(&peer.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_ourselves_and_those_listed_are_admitted_and_nobody_else() {
        let peer = |uid, gid| Peer { pid: 1, uid, gid };
        let allowed = Allowed { uids: vec![7], gids: vec![9] };
        for (uid, gid, expected) in [
            (0, 1000, true),
            (500, 1000, true),
            (7, 1000, true),
            (8, 9, true),
            (8, 1000, false),
            (9, 7, false),
            // A user's group 0 is not root.
            (8, 0, false),
        ] {
            assert_eq!(allowed.admits(&peer(uid, gid), 500), expected, "{uid}:{gid}");
        }
    }

    #[test]
    fn the_kernel_names_this_process_on_a_socket_pair() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer::of(&a).unwrap();
        assert_eq!(peer.pid as u32, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    }
}
