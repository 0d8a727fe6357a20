//! Shell patterns as Go Casbin's `globMatch` has them (doublestar v4, separator `/`).
//!
//! `*` and `?` stop at `/`; `**` between separators crosses them; `[a-z]`, `[^a]`, `{a,b}` and `\`.

/// The most `{…}` of one pattern: each multiplies the work.
const MAX_BRACES: usize = 8;
/// The most steps of one match; beyond it there is no answer.
const MAX_STEPS: usize = 1 << 20;
/// How many characters are copied in the time of one step.
const COPIED_PER_STEP: usize = 16;

/// A pattern known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    pattern: Vec<char>,
}

/// Where a match goes on after it failed: a place in the pattern and one in the name.
#[derive(Clone, Copy)]
struct Retry {
    pattern: usize,
    name: usize,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let pattern: Vec<char> = pattern.chars().collect();
        if pattern.iter().filter(|&&c| c == '{').count() > MAX_BRACES {
            return Err(format!("it has more than {MAX_BRACES} lists of alternatives in braces"));
        }
        if is_valid(&pattern) { Ok(Self { pattern }) } else { Err("it is not a shell pattern".to_owned()) }
    }

    /// Whether it matches the whole of `name`; `None` if that takes too long to find out.
    pub(super) fn matches(&self, name: &str) -> Option<bool> {
        let name: Vec<char> = name.chars().collect();
        let mut steps = MAX_STEPS;
        go(&self.pattern, &name, (None, None), (0, 0), &mut steps)
    }
}

fn is_valid(pattern: &[char]) -> bool {
    let mut depth = 0_usize;
    let mut rest = pattern.iter();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return false,
            '[' => {
                let mut inner = rest.clone();
                if inner.as_slice().first().is_some_and(|c| matches!(c, '^' | '!')) {
                    inner.next();
                }
                if inner.as_slice().first().is_none_or(|&c| c == ']') {
                    return false;
                }
                loop {
                    match inner.next() {
                        None => return false,
                        Some(']') => break,
                        Some('\\') => {
                            inner.next();
                        }
                        Some(_) => {}
                    }
                }
                rest = inner;
            }
            '{' => depth += 1,
            '}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

fn go(
    pattern: &[char],
    name: &[char],
    (mut double, mut single): (Option<Retry>, Option<Retry>),
    (mut p, mut n): (usize, usize),
    steps: &mut usize,
) -> Option<bool> {
    let mut starts_segment = true;
    while n < name.len() {
        *steps = steps.checked_sub(1)?;
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                if pattern.get(p) == Some(&'*') {
                    p += 1;
                    if starts_segment {
                        match pattern.get(p) {
                            None => return Some(true),
                            Some('/') => {
                                p += 1;
                                double = Some(Retry { pattern: p, name: n });
                                single = None;
                                continue;
                            }
                            Some(_) => {}
                        }
                    }
                }
                starts_segment = false;
                single = Some(Retry { pattern: p, name: n });
                continue;
            }
            Some('?') => {
                starts_segment = false;
                if name.get(n) != Some(&'/') {
                    p += 1;
                    n += 1;
                    continue;
                }
            }
            Some('[') => {
                starts_segment = false;
                if let Some(after) = in_class(pattern, p + 1, *name.get(n)?) {
                    p = after;
                    n += 1;
                    continue;
                }
            }
            Some('{') => return alternatives(pattern, name, (double, single), (p, n), steps),
            Some(&c) => {
                let literal = if c == '\\' { p + 1 } else { p };
                let c = *pattern.get(literal)?;
                if name.get(n) == Some(&c) {
                    p = literal + 1;
                    n += 1;
                    starts_segment = c == '/';
                    continue;
                }
            }
            None => {}
        }
        // No match here: try again further on.
        if let Some(retry) = &mut single
            && name.get(retry.name).is_some_and(|&c| c != '/')
        {
            retry.name += 1;
            (p, n) = (retry.pattern, retry.name);
            starts_segment = false;
            continue;
        }
        let Some(retry) = &mut double else { return Some(false) };
        let skipped = name.iter().skip(retry.name).position(|&c| c == '/');
        let Some(skipped) = skipped else { return Some(false) };
        retry.name += skipped + 1;
        (p, n) = (retry.pattern, retry.name);
        starts_segment = true;
    }
    is_empty_match(pattern.get(p..)?, steps)
}

/// The place after the class that begins at `p` if `c` is in it.
fn in_class(pattern: &[char], mut p: usize, c: char) -> Option<usize> {
    let negated = matches!(pattern.get(p), Some('^' | '!'));
    if negated {
        p += 1;
    }
    let mut found = false;
    let mut last = None;
    while let Some(&member) = pattern.get(p).filter(|&&member| member != ']') {
        p += 1;
        let closes = pattern.get(p).is_none_or(|&next| next == ']');
        if let (Some(low), '-', false) = (last, member, closes) {
            if pattern.get(p) == Some(&'\\') {
                p += 1;
            }
            let high = *pattern.get(p)?;
            p += 1;
            found |= low <= c && c <= high;
            last = None;
            continue;
        }
        let member = if member == '\\' {
            p += 1;
            *pattern.get(p - 1)?
        } else {
            member
        };
        found |= member == c;
        last = Some(member);
    }
    (found != negated).then_some(p + 1)
}

/// The end of the alternatives that begin after the `{` before `from`.
fn closing(pattern: &[char], from: usize) -> Option<usize> {
    let mut depth = 1_usize;
    let mut at = from;
    while let Some(c) = pattern.get(at) {
        match c {
            '\\' => at += 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn alternatives(
    pattern: &[char],
    name: &[char],
    retries: (Option<Retry>, Option<Retry>),
    (p, n): (usize, usize),
    steps: &mut usize,
) -> Option<bool> {
    any_alternative(pattern, p, steps, |one, steps| go(one, name, retries, (p, n), steps))
}

/// Whether `holds` of the pattern with any alternative of the `{` at `open` in the place of all.
fn any_alternative(
    pattern: &[char],
    open: usize,
    steps: &mut usize,
    holds: impl Fn(&[char], &mut usize) -> Option<bool>,
) -> Option<bool> {
    let Some(close) = closing(pattern, open + 1) else { return Some(false) };
    let (mut from, mut at, mut depth) = (open + 1, open + 1, 0_usize);
    while at <= close {
        match pattern.get(at) {
            Some('\\') => at += 1,
            Some('{') => depth += 1,
            Some('}') if at < close => depth = depth.saturating_sub(1),
            Some(',' | '}') if depth == 0 => {
                let parts = [pattern.get(..open)?, pattern.get(from..at)?, pattern.get(close + 1..)?];
                let one = parts.concat();
                // Copying counts too: a pattern may have a thousand alternatives.
                *steps = steps.checked_sub(1 + one.len() / COPIED_PER_STEP)?;
                if holds(&one, steps)? {
                    return Some(true);
                }
                from = at + 1;
            }
            Some(_) | None => {}
        }
        at += 1;
    }
    Some(false)
}

/// Whether what is left of a pattern matches nothing at all.
fn is_empty_match(rest: &[char], steps: &mut usize) -> Option<bool> {
    match rest {
        [] | ['*'] | ['*', '*'] | ['/', '*', '*'] | ['*', '*', '/'] | ['/', '*', '*', '/'] => Some(true),
        ['{', ..] => any_alternative(rest, 0, steps, is_empty_match),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_patterns() {
        for (pattern, name, expected) in [
            ("/foo/*", "/foo/bar", true),
            ("/foo/*", "/foo/bar/baz", false),
            ("/foo/**", "/foo/bar/baz", true),
            ("/foo/**", "/foo", true),
            ("**/c", "a/b/c", true),
            ("a/**/c", "a/c", true),
            ("a**/c", "ab/c", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("{a,b{c,d}}", "bd", true),
            ("{a,b}", "c", false),
            (r"\*", "*", true),
            ("名*", "名字", true),
            ("a*b*c", "aXbYbZc", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), Some(expected), "{pattern} {name}");
        }
        for bad in ["[", "[]", "[a", "{a", "a}", "\\"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn alternatives_that_multiply_are_given_up() {
        let empty = format!("{}x", "{,,,,,,,,,,,,,,,,,,,,,,}".repeat(8));
        let long = format!("{}{}", format!("{{{}}}", "a,".repeat(900)).repeat(2), "y".repeat(400));
        for (pattern, name) in [(empty, ""), (long, "aaz")] {
            assert_eq!(Glob::new(&pattern).unwrap().matches(name), None, "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_matched_without_panic(
            pattern in "[ab/*?\\[\\]{},^!\\\\-]{0,14}",
            name in "[ab/]{0,12}",
        ) {
            if let Ok(glob) = Glob::new(&pattern) {
                let _either = glob.matches(&name);
            }
        }
    }
}
