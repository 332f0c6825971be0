//! Texts by their bytes, so that one walk over a value finds all that it begins with.

/// A tree of bytes. The texts are told by their number.
#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Next bytes, sorted, and the nodes behind them.
    next: Vec<(u8, u32)>,
    /// Texts that end here.
    ends: Vec<u32>,
}

impl Trie {
    /// Adds a text, given byte by byte.
    pub(super) fn add(&mut self, text: impl Iterator<Item = u8>, number: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for byte in text {
            at = match self.nodes[at].next.binary_search_by_key(&byte, |(known, _)| *known) {
                Ok(place) => self.nodes[at].next[place].1 as usize,
                Err(place) => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].next.insert(place, (byte, new as u32));
                    new
                }
            };
        }
        self.nodes[at].ends.push(number);
    }

    /// Tells the numbers of all texts that a value begins with.
    pub(super) fn walk(&self, value: impl Iterator<Item = u8>, mut found: impl FnMut(u32)) {
        let Some(mut node) = self.nodes.first() else { return };
        node.ends.iter().for_each(|number| found(*number));
        for byte in value {
            // Most nodes have one or two next bytes.
            let Some((_, next)) = node.next.iter().find(|(known, _)| *known == byte) else {
                return;
            };
            node = &self.nodes[*next as usize];
            node.ends.iter().for_each(|number| found(*number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginnings(trie: &Trie, value: &str) -> Vec<u32> {
        let mut found = Vec::new();
        trie.walk(value.bytes(), |number| found.push(number));
        found
    }

    #[test]
    fn every_text_that_a_value_begins_with_is_found() {
        let mut trie = Trie::default();
        for (number, text) in (0..).zip(["/etc/", "/etc/ssh", "/usr", "", "/etc/"]) {
            trie.add(text.bytes(), number);
        }
        assert_eq!(beginnings(&trie, "/etc/sshd"), [3, 0, 4, 1]);
        assert_eq!(beginnings(&trie, "/etc"), [3]);
        assert_eq!(beginnings(&trie, ""), [3]);
        assert_eq!(beginnings(&Trie::default(), "a"), Vec::<u32>::new());
    }
}
