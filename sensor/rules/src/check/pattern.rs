//! Regular expressions: the POSIX flavour that rules are written in, on our engine.
//!
//! The engine's own syntax is larger. What rules must not use (Perl classes, word boundaries,
//! groups with `(?`) is refused, what only our engine would give a meaning (set operations in
//! brackets, nested brackets) is taken literally.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};

/// Most compiled bytes of one expression. One that needs more is refused at load.
const REGEX_SIZE: usize = 8 << 20;

/// Sizes that an expression is tried at, smallest first, and counted as.
const SIZES: [usize; 4] = [16 << 10, 128 << 10, 1 << 20, REGEX_SIZE];

/// Most compiled bytes of all expressions of a load, each counted as the smallest of [`SIZES`] that
/// it fits. One that fits none is counted, too: to find that out takes as long.
pub(super) const TOTAL_REGEX_SIZE: usize = 32 << 20;

/// Longest expression and longest shell pattern, bytes as written.
pub(crate) const PATTERN_LENGTH: usize = 32 << 10;

/// A regular expression: as written, and compiled.
#[derive(Clone, Debug)]
pub struct Pattern {
    written: Box<[u8]>,
    regex: Regex,
}

impl Pattern {
    pub(crate) fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

/// The regular expressions of a load: each is compiled once, and all together stay below
/// `TOTAL_REGEX_SIZE`.
#[derive(Debug, Default)]
pub struct Patterns(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    all: HashMap<Box<[u8]>, Result<Regex, String>>,
    spent: usize,
}

impl Patterns {
    /// The expression of a text, or why it is none.
    pub(crate) fn get(&self, written: &[u8]) -> Result<Pattern, String> {
        let known = &mut *self.0.borrow_mut();
        let regex = match known.all.get(written) {
            Some(regex) => regex.clone(),
            None => known.add(written),
        };
        regex.map(|regex| Pattern { written: written.into(), regex })
    }
}

impl Known {
    fn add(&mut self, written: &[u8]) -> Result<Regex, String> {
        let translated = translated(written)?;
        for size in SIZES {
            if self.spent + size > TOTAL_REGEX_SIZE {
                return Err(format!(
                    "all expressions together need more than {TOTAL_REGEX_SIZE} bytes"
                ));
            }
            let compiled = sized(&translated, size);
            if size < REGEX_SIZE && matches!(compiled, Err(regex::Error::CompiledTooBig(_))) {
                continue;
            }
            self.spent += size;
            let compiled = compiled.map_err(|error| reason(&error));
            self.all.insert(written.into(), compiled.clone());
            return compiled;
        }
        Err(format!("it needs more than {REGEX_SIZE} bytes"))
    }
}

/// Highest count of a repetition, as in every engine that rules are written for.
const REPEAT: u32 = 1000;

/// A pattern in the words of our engine, anchored at both ends of the text.
fn translated(pattern: &[u8]) -> Result<String, String> {
    let pattern = std::str::from_utf8(pattern).map_err(|_| "it is not UTF-8".to_owned())?;
    let rest = pattern.chars().collect();
    let translated = Translator { rest, at: 0, out: String::new() }.run()?;
    Ok(format!(r"\A(?:{translated})\z"))
}

fn sized(translated: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated).multi_line(true).size_limit(size).build()
}

/// The engine's reason without the picture it draws.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it needs more than {limit} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or(&text);
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

/// Names of classes in brackets.
const CLASS_NAMES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

struct Translator {
    rest: Vec<char>,
    at: usize,
    out: String,
}

impl Translator {
    fn run(mut self) -> Result<String, String> {
        let mut repeated = false;
        while let Some(c) = self.next() {
            let after = std::mem::take(&mut repeated);
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' if self.peek() == Some('?') => {
                    return Err("groups with `(?` are not supported".to_owned());
                }
                '{' => match self.repetition()? {
                    Some(written) => {
                        repeated = true;
                        self.out.push_str(&written);
                    }
                    None => self.out.push_str(r"\{"),
                },
                // Behind a repetition our engine would take it as a wish for the shortest match.
                '?' if after => {
                    repeated = true;
                    self.out.push_str("{0,1}");
                }
                other => {
                    repeated = matches!(other, '*' | '+' | '?');
                    self.out.push(other);
                }
            }
        }
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    /// After a backslash: punctuation and the control characters, nothing of Perl.
    fn escape(&mut self) -> Result<(), String> {
        let c = self.next().ok_or_else(|| "it ends in a backslash".to_owned())?;
        match c {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' => {
                self.out.push('\\');
                self.out.push(c);
                Ok(())
            }
            '0' => {
                self.octal(0);
                Ok(())
            }
            // One digit alone would be a reference to a group.
            '1'..='7' if self.octal_digit().is_some() => {
                self.octal(c.to_digit(8).unwrap_or_default());
                Ok(())
            }
            c if c.is_ascii_alphanumeric() => Err(format!(r"the escape `\{c}` is not supported")),
            c => {
                self.push_literal(c);
                Ok(())
            }
        }
    }

    fn octal_digit(&self) -> Option<u32> {
        self.peek()?.to_digit(8)
    }

    /// The rest of a character by its octal code: at most two digits more.
    fn octal(&mut self, first: u32) {
        let mut code = first;
        for _ in 0..2 {
            let Some(digit) = self.octal_digit() else { break };
            self.at += 1;
            code = code * 8 + digit;
        }
        // Three octal digits are a character.
        self.push_literal(char::from_u32(code).unwrap_or_default());
    }

    fn push_literal(&mut self, c: char) {
        // In brackets and outside, the engine takes an escaped punctuation character as it is.
        if c.is_ascii_punctuation() {
            self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        } else {
            self.out.push(c);
        }
    }

    /// After `{`: takes a count such as `3}`, `3,}` or `3,5}`, if the text is one.
    fn repetition(&mut self) -> Result<Option<String>, String> {
        let rest: String = self.rest[self.at..].iter().take_while(|c| **c != '}').collect();
        if self.rest.get(self.at + rest.chars().count()) != Some(&'}') {
            return Ok(None);
        }
        let (low, high) = rest.split_once(',').unwrap_or((&rest, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if low.is_empty() || !digits(low) || !digits(high) {
            return Ok(None);
        }
        let small = |count: &str| count.is_empty() || count.parse().is_ok_and(|n: u32| n <= REPEAT);
        if !small(low) || !small(high) {
            return Err(format!("a repetition counts to {REPEAT} at most, found `{{{rest}}}`"));
        }
        self.at += rest.chars().count() + 1;
        Ok(Some(format!("{{{rest}}}")))
    }

    /// After `[`: copies the class, so that only ranges, escapes and `[:name:]` keep a meaning.
    fn bracket(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.next().ok_or_else(|| "`[` has no `]`".to_owned())?;
            match c {
                ']' if !first => break,
                '[' if self.peek() == Some(':') => self.named_class()?,
                '\\' => self.escape()?,
                '-' => self.hyphen(first),
                '[' | ']' | '&' | '~' | '^' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                other => self.out.push(other),
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// A hyphen is a range between two members and literal at either end.
    fn hyphen(&mut self, first: bool) {
        if first || self.peek() == Some(']') {
            self.out.push_str(r"\-");
        } else {
            self.out.push('-');
        }
    }

    fn named_class(&mut self) -> Result<(), String> {
        let rest: String = self.rest[self.at..].iter().collect();
        let end = rest.find(":]").ok_or_else(|| "`[:` has no `:]`".to_owned())?;
        let name = &rest[1..end];
        if !CLASS_NAMES.contains(&name.trim_start_matches('^')) {
            return Err(format!("there is no class `[:{name}:]`"));
        }
        self.out.push('[');
        self.out.push_str(&rest[..end + 2]);
        self.at += rest[..end + 2].chars().count();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posix_regex(pattern: &[u8]) -> Result<Regex, String> {
        Ok(Patterns::default().get(pattern)?.regex)
    }

    fn matches(pattern: &str, text: &str) -> bool {
        posix_regex(pattern.as_bytes()).unwrap().is_match(text)
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(matches("a|b", "a") && matches("a|b", "b"));
        assert!(!matches("a|b", "ab") && !matches("b", "ab") && !matches("a.", "a\n"));
        assert!(matches("^abc$", "abc") && matches("[^a]", "\n"));
    }

    #[test]
    fn perl_is_refused() {
        for bad in
            [r"\d+", r"a\bc", r"\w", r"\pL", "a(?=b)", "(?i)a", "(?:a)", r"\1", "(", "[", "a\\"]
        {
            assert!(posix_regex(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(posix_regex(b"\xff").is_err());
    }

    #[test]
    fn brackets_are_posix() {
        assert!(matches("[[:digit:]]+", "123") && !matches("[[:digit:]]+", "12a"));
        assert!(matches("[a[b]", "[") && matches("[]a]", "]") && matches("[a&&b]", "&"));
        assert!(matches("[a-c-]", "-") && matches("[-a]", "-") && matches(r"[\]]", "]"));
        assert!(matches("[a~~b]", "~") && matches("[^^]", "a") && !matches("[^^]", "^"));
        assert!(posix_regex(b"[[:nothing:]]").is_err());
    }

    #[test]
    fn braces_that_count_nothing_are_literal() {
        assert!(matches("{{a}", "{{a}") && matches("a{2}", "aa") && matches("a{,2}", "a{,2}"));
        assert!(matches("a{1,2}", "aa") && !matches("a{1,2}", "aaa") && matches("a{2,}", "aaa"));
    }

    #[test]
    fn a_repetition_behind_a_repetition_is_one_of_its_own() {
        for (pattern, text) in [
            ("a+?", ""),
            ("a{2}?", ""),
            ("a{2}?", "aa"),
            ("a*?b", "b"),
            ("a**", "aaa"),
            ("a??", "a"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches("a{2}?", "a") && !matches("a+?", "b") && matches("(a+?)(b??)", ""));
        assert!(matches("a{1000}", &"a".repeat(1000)));
        for bad in ["a{1001}", "a{1,1001}", "a{99999999999}", "a{2,1}", "*a", "(*a)", "a|*"] {
            assert!(posix_regex(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn punctuation_escapes_are_literal() {
        assert!(matches(r"\.\<\-\/", ".<-/") && matches(r"\x41\t", "A\t"));
        assert!(matches(r"\101\0\12", "A\0\n") && matches(r"[\101-\103]", "B"));
        assert!(matches(r"\1011", "A1") && posix_regex(br"\18").is_err());
    }

    #[test]
    fn all_patterns_together_are_bounded_and_known_ones_cost_nothing() {
        let patterns = Patterns::default();
        let large = |n: usize| format!("{n}([a-f]{{100}}){{100}}").into_bytes();
        for _ in 0..100 {
            assert!(patterns.get(&large(0)).is_ok());
        }
        let refused = (1..100).find_map(|n| patterns.get(&large(n)).err()).unwrap();
        assert!(refused.contains(&TOTAL_REGEX_SIZE.to_string()), "{refused}");
        assert!(patterns.get(&large(0)).is_ok());
    }

    #[test]
    fn a_pattern_too_large_is_refused() {
        let large = b"(((a{100}){100}){100}){100}";
        assert!(posix_regex(large).unwrap_err().contains("bytes"));
    }
}
