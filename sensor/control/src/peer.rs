//! Who is on the other end, as the kernel vouches for it, and who may ask for something.

use std::fs::File;
use std::io::Read as _;
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
    /// Group ids: the peer's effective group, or one that `/etc/group` makes its user a member of.
    pub gids: Vec<u32>,
}

/// Tables of users and groups.
const TABLES: [&str; 2] = ["/etc/passwd", "/etc/group"];
/// Most bytes of a table that are read.
const MAX_TABLE: u64 = 4 * 1024 * 1024;

impl Allowed {
    /// Whether `peer` may ask, `own` being the user id the daemon runs as.
    pub fn admits(&self, peer: &Peer, own: u32) -> bool {
        peer.uid == 0
            || peer.uid == own
            || self.uids.contains(&peer.uid)
            || self.gids.contains(&peer.gid)
            || !self.gids.is_empty() && self.has_member(peer.uid, &TABLES.map(table))
    }

    /// Whether tables of users and groups make a user a member of one of our groups. Read anew each
    /// time, so that one who becomes a member need not wait for a restart. The kernel would tell a
    /// connection's further groups by itself (`SO_PEERGROUPS`), in a way that takes unsafe code.
    fn has_member(&self, uid: u32, tables: &[String; 2]) -> bool {
        let [users, groups] = tables;
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
        let user = users.lines().find(|line| number(line.split(':').nth(2)) == Some(uid));
        let Some(name) = user.and_then(|line| line.split(':').next()) else { return false };
        groups.lines().any(|line| {
            let ours = number(line.split(':').nth(2)).is_some_and(|gid| self.gids.contains(&gid));
            let members = line.split(':').nth(3).unwrap_or_default();
            ours && members.split(',').any(|member| member.trim() == name)
        })
    }
}

/// A table's text; empty for one that cannot be read.
fn table(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TABLE).read_to_end(&mut bytes));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
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
    fn members_of_a_group_are_those_of_the_tables() {
        let users =
            "root:x:0:0::/:/bin/sh\nalice:x:7:7::/:/bin/sh\nal:x:8:8::/:/bin/sh\nbad line\n";
        let groups = "eyas:x:9:bob, alice\nother:x:10:al\nempty:x:11:\nshort:x:12\n";
        let tables = [users.to_owned(), groups.to_owned()];
        let allowed = |gids: &[u32]| Allowed { uids: Vec::new(), gids: gids.to_vec() };
        for (gids, uid, expected) in [
            (&[9][..], 7, true),
            (&[9], 8, false),
            (&[9, 10], 8, true),
            // `alice` is no member because `al` is one.
            (&[10], 7, false),
            (&[11, 12], 7, false),
            (&[9], 70, false),
        ] {
            assert_eq!(allowed(gids).has_member(uid, &tables), expected, "{gids:?} {uid}");
        }
        let nothing = [String::new(), String::new()];
        assert!(!allowed(&[9]).has_member(7, &nothing));
    }

    #[test]
    fn the_kernel_names_this_process_on_a_socket_pair() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer::of(&a).unwrap();
        assert_eq!(peer.pid as u32, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    }
}
