//! `eyas rules eval`: a question per line on standard input, its answer on standard output.

use std::io::{self, BufRead, Read as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use eyas_rules::ask::{LONGEST_QUESTION, answer, refuse, too_long};
use serde_json::Value;

/// Stack for answers, in bytes: conditions of rules files may nest a thousand levels deep.
const STACK: usize = 64 * 1024 * 1024;

/// Answers questions until standard input ends or nobody reads the answers.
pub(in crate::commands) fn eval() -> anyhow::Result<()> {
    let work = || answer_all(&mut io::stdin().lock(), &mut io::stdout().lock());
    let thread = thread::Builder::new().name("eval".to_owned()).stack_size(STACK).spawn(work)?;
    let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("the evaluation broke off")));
    match ended {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// One answer line for each line, written before the next line is read.
fn answer_all(questions: &mut dyn BufRead, answers: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::new();
    while let Some(whole) = next_line(questions, &mut line)? {
        let told = if whole { answered(&line) } else { refuse(&too_long()) };
        writeln!(answers, "{told}")?;
        answers.flush()?;
    }
    Ok(())
}

/// An answer whatever happens.
fn answered(question: &[u8]) -> Value {
    catch_unwind(AssertUnwindSafe(|| answer(question)))
        .unwrap_or_else(|_| refuse("the question broke the evaluation; please report it"))
}

/// Reads a line without its end. `false` if it is longer than any question: its rest is skipped.
fn next_line(from: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let limit = LONGEST_QUESTION as u64 + 1;
    if from.take(limit).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    let whole = line.len() <= LONGEST_QUESTION;
    if !whole {
        from.skip_until(b'\n')?;
    }
    Ok(Some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(questions: &[u8]) -> Vec<Value> {
        let mut out = Vec::new();
        answer_all(&mut &questions[..], &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn every_line_has_one_answer_in_order() {
        let found = answers(b"{\"grammar\":\"a\"}\n\n\xff\r\n{\"grammar\":\"a and\"}");
        let ok: Vec<_> = found.iter().map(|answer| answer["ok"].clone()).collect();
        assert_eq!(ok, [true, false, false, false]);
        assert!(answers(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_does_not_take_the_next_with_it() {
        let mut lines = vec![b' '; LONGEST_QUESTION + 1];
        lines.extend(b"\n{\"grammar\":\"a\"}\n");
        let found = answers(&lines);
        assert_eq!(found.len(), 2);
        assert!(found[0]["error"]["message"].as_str().is_some_and(|text| text.contains("at most")));
        assert_eq!(found[1]["ok"], true);
    }

    #[test]
    fn the_longest_question_is_read_whole() {
        let mut line = b"{\"grammar\":\"a\"".to_vec();
        line.resize(LONGEST_QUESTION - 1, b' ');
        line.extend(b"}\n");
        assert_eq!(answers(&line)[0]["ok"], true);
    }
}
