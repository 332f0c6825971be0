//! Escapes of quoted texts.

/// An escape that does not exist, and where in the quoted text it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEscape {
    /// Byte offset of the backslash, counted from the opening quote.
    pub offset: usize,
    /// What is wrong with it.
    pub message: String,
}

/// The bytes that a quoted text stands for. `text` includes its two equal quotes.
pub fn unquote(text: &str) -> Result<Vec<u8>, BadEscape> {
    let bytes = text.as_bytes();
    let (Some(&quote), Some(inner)) = (bytes.first(), bytes.get(1..bytes.len().max(2) - 1)) else {
        return Ok(Vec::new());
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        if inner[at] == b'\\' {
            let (byte, length) = escape(&inner[at..], quote)
                .map_err(|message| BadEscape { offset: at + 1, message })?;
            out.push(byte);
            at += length;
        } else {
            out.push(inner[at]);
            at += 1;
        }
    }
    Ok(out)
}

/// One escape at the start of `text`: its byte and how many bytes it takes.
fn escape(text: &[u8], quote: u8) -> Result<(u8, usize), String> {
    let plain = match text.get(1) {
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        // Old rules wrote a lone backslash before a blank; both stand for the backslash.
        Some(b'\\' | b' ') => b'\\',
        Some(b'/') => b'/',
        Some(&other) if other == quote => quote,
        Some(b'x') => return hex_byte(text).map(|byte| (byte, 4)),
        _ => return Err(unknown(text)),
    };
    Ok((plain, 2))
}

fn hex_byte(text: &[u8]) -> Result<u8, String> {
    let digit = |n: usize| text.get(n).and_then(|&b| (b as char).to_digit(16));
    match (digit(2), digit(3)) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err("`\\x` must be followed by two hexadecimal digits".to_owned()),
    }
}

fn unknown(text: &[u8]) -> String {
    let shown = String::from_utf8_lossy(text).chars().take(2).collect::<String>();
    format!("`{shown}` is not an escape of a quoted text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_gives_its_byte() {
        assert_eq!(unquote(r#""\b\f\n\r\t\\\/\"""#).unwrap(), b"\x08\x0c\n\r\t\\/\"");
        assert_eq!(unquote(r"'\''").unwrap(), b"'");
        assert_eq!(unquote(r"'a\ b'").unwrap(), b"a\\b");
        assert_eq!(unquote(r"'\x00\xFf'").unwrap(), [0, 255]);
        assert_eq!(unquote("''").unwrap(), b"");
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        for (text, offset) in [(r#""a\q""#, 2), (r#""\'""#, 1), (r#"'\"'"#, 1), (r"'\x1'", 1)] {
            assert_eq!(unquote(text).unwrap_err().offset, offset, "{text}");
        }
        assert_eq!(
            unquote(r"'\é'").unwrap_err().message,
            "`\\é` is not an escape of a quoted text"
        );
    }
}
