//! A condition for reading: one part a line, groups indented.
use super::ast::Expr;
use super::canonical::readable;

/// Blanks per level.
const INDENT: usize = 2;

/// The readable text over several lines, none longer than `width` where that can be.
pub fn pretty(expr: &Expr, width: usize) -> String {
    let mut lines = Vec::new();
    match expr {
        Expr::And(parts) => joined(parts, "and ", 0, width, &mut lines),
        Expr::Or(parts) => joined(parts, "or ", 0, width, &mut lines),
        other => part(other, "", 0, width, &mut lines),
    }
    lines.join("\n")
}

fn joined(parts: &[Expr], joint: &str, depth: usize, width: usize, lines: &mut Vec<String>) {
    for (n, each) in parts.iter().enumerate() {
        part(each, if n == 0 { "" } else { joint }, depth, width, lines);
    }
}

/// One part after its joint: on a line of its own, or as a group of lines if it is too long.
fn part(expr: &Expr, before: &str, depth: usize, width: usize, lines: &mut Vec<String>) {
    let blanks = " ".repeat(depth * INDENT);
    let short = format!("{blanks}{before}{}", readable(expr));
    let (not, inner) = match expr {
        Expr::Not(inner) => ("not ", &**inner),
        other => ("", other),
    };
    let (parts, joint) = match inner {
        Expr::And(parts) => (parts, "and "),
        Expr::Or(parts) => (parts, "or "),
        _ => return lines.push(short),
    };
    if short.chars().count() <= width {
        return lines.push(short);
    }
    lines.push(format!("{blanks}{before}{not}("));
    joined(parts, joint, depth + 1, width, lines);
    lines.push(format!("{blanks})"));
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, canonical, parse};
    use super::*;

    #[test]
    fn long_groups_are_broken_and_short_ones_are_not() {
        let text = "a.b = 1 and (c.d in (x, y) or not (e.f = 2 and g)) and h";
        let expr = parse(text, Limits::filter()).unwrap();
        assert_eq!(pretty(&expr, 60), "a.b = 1\nand (c.d in (x, y) or not (e.f = 2 and g))\nand h");
        assert_eq!(
            pretty(&expr, 20),
            "a.b = 1\nand (\n  c.d in (x, y)\n  or not (\n    e.f = 2\n    and g\n  )\n)\nand h"
        );
        for width in [0, 10, 30, 100] {
            let again = parse(&pretty(&expr, width), Limits::filter()).unwrap();
            assert_eq!(canonical(&again), canonical(&expr), "{width}");
        }
    }
}
