//! What is true of the whole host, gathered by whoever may ask the system and handed in as a value.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::clock::LocalTime;

/// A line of the user table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: Box<[u8]>,
    /// Home directory.
    pub home: Box<[u8]>,
    /// Login shell.
    pub shell: Box<[u8]>,
}

/// A line of the group table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: Box<[u8]>,
}

/// Facts of the host that conditions and outputs refer to.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// `evt.hostname`.
    pub name: Box<[u8]>,
    /// The boot clock's zero, nanoseconds since the epoch.
    pub boot_epoch_ns: u64,
    /// Local time.
    pub local: LocalTime,
    /// Users by id.
    pub users: HashMap<u32, User>,
    /// Groups by id.
    pub groups: HashMap<u32, Group>,
    /// Addresses of this host's interfaces.
    pub addresses: Vec<IpAddr>,
}

impl Host {
    /// A point on the boot clock as nanoseconds since the epoch.
    pub fn epoch_ns(&self, boot_ns: u64) -> u64 {
        self.boot_epoch_ns.wrapping_add(boot_ns)
    }

    /// Whether an address belongs to one of this host's interfaces.
    pub fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// Reads the text of a user table (`/etc/passwd`); lines that are none are left out.
    pub fn read_users(text: &[u8]) -> HashMap<u32, User> {
        let user = |line: &[u8]| {
            let mut columns = line.split(|byte| *byte == b':');
            let name = columns.next()?.into();
            let uid = number(columns.nth(1)?)?;
            let home = columns.nth(2)?.into();
            let shell = columns.next().unwrap_or_default().into();
            Some((uid, User { name, home, shell }))
        };
        first_wins(text, user)
    }

    /// Reads the text of a group table (`/etc/group`).
    pub fn read_groups(text: &[u8]) -> HashMap<u32, Group> {
        let group = |line: &[u8]| {
            let mut columns = line.split(|byte| *byte == b':');
            let name = columns.next()?.into();
            Some((number(columns.nth(1)?)?, Group { name }))
        };
        first_wins(text, group)
    }
}

/// Two entries with one id: the first is the one that the system shows.
fn first_wins<T>(text: &[u8], read: impl Fn(&[u8]) -> Option<(u32, T)>) -> HashMap<u32, T> {
    let mut found = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Some((id, value)) = read(line) {
            found.entry(id).or_insert(value);
        }
    }
    found
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read_and_odd_lines_are_left_out() {
        let users = Host::read_users(
            b"root:x:0:0:root:/root:/bin/bash\n# comment\ntoor:x:0:0::/:/bin/sh\n\nempty::7:7:::\n\
              bad:x:many:0:::\nshort:x:9:9::/home/short",
        );
        let user = |uid: u32| users.get(&uid).map(|u| (&*u.name, &*u.home, &*u.shell));
        assert_eq!(user(0), Some((&b"root"[..], &b"/root"[..], &b"/bin/bash"[..])));
        assert_eq!(user(7), Some((&b"empty"[..], &b""[..], &b""[..])));
        assert_eq!(user(9), Some((&b"short"[..], &b"/home/short"[..], &b""[..])));
        assert_eq!(users.len(), 3);
        let groups = Host::read_groups(b"root:x:0:\nwheel:x:10:a,b\nx\n");
        assert_eq!(groups.get(&10).map(|g| &*g.name), Some(&b"wheel"[..]));
        assert_eq!(groups.len(), 2);
    }

    #[test]
    fn local_addresses() {
        let host = Host { addresses: vec![[10, 0, 0, 5].into()], ..Host::default() };
        assert!(host.is_local([10, 0, 0, 5].into()));
        assert!(host.is_local([127, 0, 0, 9].into()));
        assert!(!host.is_local([10, 0, 0, 6].into()));
    }
}
