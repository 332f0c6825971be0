//! Shell patterns on bytes: `*`, `?`, `[…]`, backslash; nothing is special about `/` or a dot.

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Glob {
    tokens: Box<[Token]>,
    ignore_case: bool,
}

#[derive(Debug)]
enum Token {
    Byte(u8),
    Any,
    Star,
    /// Members, as one bit per byte.
    Class(Box<[u64; 4]>),
}

impl Glob {
    /// Compiles a pattern. Every text is one: an unfinished bracket is a plain character.
    pub(crate) fn new(pattern: &[u8], ignore_case: bool) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            tokens.push(match byte {
                b'*' if matches!(tokens.last(), Some(Token::Star)) => continue,
                b'*' => Token::Star,
                b'?' => Token::Any,
                b'[' => match class(after) {
                    Some((members, after)) => {
                        rest = after;
                        Token::Class(members)
                    }
                    None => Token::Byte(b'['),
                },
                b'\\' => match after.split_first() {
                    Some((&escaped, after)) => {
                        rest = after;
                        Token::Byte(escaped)
                    }
                    None => Token::Byte(b'\\'),
                },
                other => Token::Byte(other),
            });
        }
        Self { tokens: tokens.into(), ignore_case }
    }

    /// Whether the whole of `text` matches. Linear in practice: after a `*` only the last one is
    /// ever retried.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    retry = Some((at, token));
                    token += 1;
                }
                Some(other) if self.accepts(other, text[at]) => {
                    at += 1;
                    token += 1;
                }
                _ => {
                    let Some((start, star)) = retry else { return false };
                    retry = Some((start + 1, star));
                    (at, token) = (start + 1, star + 1);
                }
            }
        }
        self.tokens[token..].iter().all(|token| matches!(token, Token::Star))
    }

    fn accepts(&self, token: &Token, byte: u8) -> bool {
        match token {
            Token::Byte(expected) if self.ignore_case => expected.eq_ignore_ascii_case(&byte),
            Token::Byte(expected) => *expected == byte,
            Token::Any => true,
            Token::Star => false,
            Token::Class(members) if self.ignore_case => {
                has(members, byte.to_ascii_lowercase()) || has(members, byte.to_ascii_uppercase())
            }
            Token::Class(members) => has(members, byte),
        }
    }
}

fn has(members: &[u64; 4], byte: u8) -> bool {
    members[usize::from(byte) / 64] >> (byte % 64) & 1 == 1
}

fn add(members: &mut [u64; 4], byte: u8) {
    members[usize::from(byte) / 64] |= 1 << (byte % 64);
}

/// The members of the bracket whose inside begins `text`, and what follows its `]`.
fn class(text: &[u8]) -> Option<(Box<[u64; 4]>, &[u8])> {
    let mut members = Box::new([0_u64; 4]);
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let mut first = true;
    loop {
        let byte = *text.get(at)?;
        if byte == b']' && !first {
            break;
        }
        first = false;
        if byte == b'[' && text.get(at + 1) == Some(&b':') {
            let end = at + 2 + memchr::memmem::find(&text[at + 2..], b":]")?;
            named(&text[at + 2..end], &mut members)?;
            at = end + 2;
            continue;
        }
        let (low, next) = member(text, at)?;
        let is_range =
            text.get(next) == Some(&b'-') && !matches!(text.get(next + 1), None | Some(b']'));
        let (high, next) = if is_range { member(text, next + 1)? } else { (low, next) };
        (low..=high).for_each(|byte| add(&mut members, byte));
        at = next;
    }
    if negated {
        members.iter_mut().for_each(|word| *word = !*word);
    }
    Some((members, &text[at + 1..]))
}

/// One member and the place after it; a backslash takes the next byte as it is.
fn member(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match *text.get(at)? {
        b'\\' => Some((*text.get(at + 1)?, at + 2)),
        byte => Some((byte, at + 1)),
    }
}

/// Adds the members of `[:name:]`; `None` for an unknown name.
fn named(name: &[u8], members: &mut [u64; 4]) -> Option<()> {
    let belongs: fn(u8) -> bool = match name {
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"digit" => |byte| byte.is_ascii_digit(),
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"space" => |byte| byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"print" => |byte| byte == b' ' || byte.is_ascii_graphic(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    (0..=u8::MAX).filter(|byte| belongs(*byte)).for_each(|byte| add(members, byte));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern.as_bytes(), false).matches(text.as_bytes())
    }

    #[test]
    fn stars_cross_everything() {
        assert!(matches("/etc/*", "/etc/a/b") && matches("*", "") && matches("*.conf", ".conf"));
        assert!(matches("a*b*c", "aXbYbZc") && !matches("a*b*c", "aXbYbZ"));
        assert!(matches("**a", "a") && matches("a**", "abc") && !matches("a", "ab"));
    }

    #[test]
    fn a_question_mark_is_one_byte() {
        assert!(Glob::new(b"bad?", false).matches(b"bad\xff"));
        assert!(!matches("a?c", "ac") && !matches("?", "") && !matches("?", "é"));
    }

    #[test]
    fn brackets() {
        assert!(matches("[a-c]x", "bx") && !matches("[a-c]x", "dx") && matches("[!a-c]", "d"));
        assert!(matches("[]a]", "]") && matches("[a-]", "-") && matches("[[:digit:]]", "7"));
        assert!(matches(r"[\]]", "]") && !matches("[!/]", "/") && matches("[^a]", "b"));
        assert!(matches("[ab", "[ab") && matches("[", "[") && !matches("[ab", "a"));
    }

    #[test]
    fn escapes_take_the_next_byte() {
        assert!(matches(r"\*", "*") && !matches(r"\*", "a") && matches(r"a\", r"a\"));
    }

    #[test]
    fn either_case() {
        let glob = Glob::new(b"/OPT/[A-C]*", true);
        assert!(glob.matches(b"/opt/bin") && !glob.matches(b"/opt/din"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(40);
        assert!(!matches(&format!("{pattern}b"), &"a".repeat(400)));
    }
}
