//! Blocks as they are written: frames, padding, entries with their lengths.

use std::net::IpAddr;

use eyas_state::Host;

/// One block at a time.
#[derive(Debug, Default)]
pub(super) struct Block {
    buffer: Vec<u8>,
}

impl Block {
    pub(super) fn begin(&mut self, kind: u32) {
        self.buffer.clear();
        self.u32(kind);
        self.u32(0);
    }

    /// The whole block, padded and framed.
    pub(super) fn end(&mut self) -> &[u8] {
        self.buffer.resize(self.buffer.len().next_multiple_of(4), 0);
        let total = (self.buffer.len() + 4) as u32;
        if let Some(slot) = self.buffer.get_mut(4..8) {
            slot.copy_from_slice(&total.to_le_bytes());
        }
        self.u32(total);
        &self.buffer
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Text behind its length, cut to what readers take.
    pub(super) fn text(&mut self, text: &[u8], most: usize) {
        let text = text.get(..most).unwrap_or(text);
        self.u16(text.len() as u16);
        self.bytes(text);
    }

    /// Begins an entry whose length counts itself.
    pub(super) fn begin_entry(&mut self) -> usize {
        let at = self.buffer.len();
        self.u32(0);
        at
    }

    pub(super) fn end_entry(&mut self, at: usize) {
        let len = (self.buffer.len() - at) as u32;
        if let Some(slot) = self.buffer.get_mut(at..at + 4) {
            slot.copy_from_slice(&len.to_le_bytes());
        }
    }

    pub(super) fn machine(&mut self, name: &[u8], boot_epoch_ns: u64) {
        self.begin(0x201);
        self.u32(std::thread::available_parallelism().map_or(1, |count| count.get() as u32));
        self.u64(0);
        self.u64(0);
        let mut field = [0; 128];
        for (to, from) in field.iter_mut().take(127).zip(name) {
            *to = *from;
        }
        self.bytes(&field);
        self.u64(boot_epoch_ns);
        for _ in 0..3 {
            self.u64(0);
        }
    }

    /// Addresses without the networks they are in, which nobody said.
    pub(super) fn interfaces(&mut self, addresses: &[IpAddr]) {
        self.begin(0x219);
        for address in addresses {
            let (kind, len) = if address.is_ipv4() { (1_u16, 4) } else { (2, 16) };
            self.u32(4 + 3 * len + 8);
            self.u16(kind);
            self.u16(0);
            let all = vec![0xff; len as usize];
            match address {
                IpAddr::V4(ip) => self.bytes(&ip.octets()),
                IpAddr::V6(ip) => self.bytes(&ip.octets()),
            }
            self.bytes(&all);
            self.bytes(&all);
            self.u64(0);
        }
    }

    pub(super) fn identities(&mut self, host: &Host) {
        self.begin(0x220);
        for (uid, user) in &host.users {
            let entry = self.begin_entry();
            self.u8(0);
            self.u32(*uid);
            self.u32(*uid);
            for text in [&user.name, &user.home, &user.shell] {
                self.text(text, 255);
            }
            self.end_entry(entry);
        }
        for (gid, group) in &host.groups {
            let entry = self.begin_entry();
            self.u8(1);
            self.u32(*gid);
            self.text(&group.name, 255);
            self.end_entry(entry);
        }
    }
}
