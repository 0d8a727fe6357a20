//! Go's regular expressions (RE2 syntax) written as the `regex` crate wants them.
//!
//! The two read most patterns alike, but not all: `{id}` is plain text in Go, `\d` is ASCII there,
//! `[a&&b]` an intersection here. So a pattern is read by Go's rules and written anew; what is not
//! known to mean the same is refused.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// The most bytes of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// The deepest nesting of groups.
const MAX_DEPTH: usize = 50;
/// The largest repetition count, as in Go.
const MAX_REPEAT: u32 = 1000;

/// Compiles `pattern` as Go reads it.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    let written = Translator::new(pattern).translated()?;
    RegexBuilder::new(&written)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(200)
        .build()
        .map_err(|_| "it is too large, or not a regular expression".to_owned())
}

/// What a repetition sign would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing: the start of a pattern, group or alternative, or flags.
    Nothing,
    Atom,
    Repeated,
    Lazy,
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    last: Last,
    depth: usize,
}

impl<'p> Translator<'p> {
    fn new(pattern: &'p str) -> Self {
        Self { rest: pattern.chars().peekable(), out: String::new(), last: Last::Nothing, depth: 0 }
    }

    fn translated(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.next() {
            match c {
                '(' => self.open()?,
                ')' => {
                    self.depth = self.depth.checked_sub(1).ok_or("a `)` without its `(`")?;
                    self.atom(")");
                }
                '|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                }
                '*' | '+' | '?' => self.repeat(c, &c.to_string())?,
                '{' => self.brace()?,
                '[' => self.class()?,
                '.' | '^' | '$' => self.atom(&c.to_string()),
                '\\' => self.escape()?,
                c => self.atom(&regex::escape(&c.to_string())),
            }
        }
        if self.depth > 0 { Err("a `(` without its `)`".to_owned()) } else { Ok(self.out) }
    }

    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Atom;
    }

    fn repeat(&mut self, sign: char, text: &str) -> Result<(), String> {
        self.last = match (self.last, sign) {
            (Last::Atom, _) => Last::Repeated,
            (Last::Repeated, '?') => Last::Lazy,
            (Last::Nothing, _) => return Err(format!("`{text}` has nothing to repeat")),
            (Last::Repeated | Last::Lazy, _) => return Err(format!("`{text}` repeats a repetition")),
        };
        self.out.push_str(text);
        Ok(())
    }

    /// A `{` is a repetition if it reads like one, and plain text otherwise.
    fn brace(&mut self) -> Result<(), String> {
        let text: String = self.rest.clone().take_while(|&c| c != '}').collect();
        let closed = self.rest.clone().any(|c| c == '}');
        let (low, high) = match text.split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (text.as_str(), None),
        };
        let is_count = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && !(text.len() > 1 && text.starts_with('0'))
        };
        if !closed || !is_count(low) || !high.is_none_or(|high| high.is_empty() || is_count(high)) {
            self.atom("\\{");
            return Ok(());
        }
        let count = |text: &str| text.parse().ok().filter(|&count: &u32| count <= MAX_REPEAT);
        let low_count = count(low).ok_or_else(|| format!("`{{{text}}}` repeats too often"))?;
        if let Some(high) = high.filter(|high| !high.is_empty())
            && count(high).is_none_or(|high| high < low_count)
        {
            return Err(format!("`{{{text}}}` is not a repetition"));
        }
        for _ in text.chars() {
            self.rest.next();
        }
        self.rest.next();
        self.repeat('{', &format!("{{{text}}}"))
    }

    fn open(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("groups more than {MAX_DEPTH} deep"));
        }
        self.last = Last::Nothing;
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        if self.rest.next_if_eq(&'P').is_some() {
            let head: String = self.rest.by_ref().take_while(|&c| c != '>').collect();
            let name = head.strip_prefix('<').unwrap_or("");
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let digit = name.starts_with(|c: char| c.is_ascii_digit());
            if name.is_empty() || digit || !name.chars().all(is_name) {
                return Err("a group without a proper name".to_owned());
            }
            self.out.push_str(&format!("P<{name}>"));
            return Ok(());
        }
        let flags: String = self.rest.clone().take_while(|&c| c != ')' && c != ':').collect();
        for _ in flags.chars() {
            self.rest.next();
        }
        let end = self.rest.next().ok_or("a `(` without its `)`")?;
        let (on, off) = flags.split_once('-').unwrap_or((&flags, "i"));
        let known = |flags: &str| flags.chars().all(|c| "imsU".contains(c));
        if !known(on) || !known(off) || off.is_empty() || (flags.is_empty() && end == ')') {
            return Err(format!("unknown group `(?{flags}{end}`"));
        }
        self.out.push_str(&flags);
        self.out.push(end);
        if end == ')' {
            self.depth -= 1;
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = *self.rest.peek().ok_or("a `\\` at the end")?;
        if let Some(class) = perl_class(c) {
            self.rest.next();
            self.atom(class);
        } else if let Some(text) = match c {
            'b' => Some("(?-u:\\b)"),
            'B' => Some("(?-u:\\B)"),
            'A' => Some("\\A"),
            'z' => Some("\\z"),
            _ => None,
        } {
            self.rest.next();
            self.atom(text);
        } else {
            let c = self.escaped()?;
            self.atom(&format!("\\x{{{:X}}}", u32::from(c)));
        }
        Ok(())
    }

    /// The character that an escape stands for; the `\` has been read.
    fn escaped(&mut self) -> Result<char, String> {
        let c = self.rest.next().ok_or("a `\\` at the end")?;
        let code = match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let digits: String = if self.rest.next_if_eq(&'{').is_some() {
                    self.rest.by_ref().take_while(|&c| c != '}').collect()
                } else {
                    self.rest.by_ref().take(2).collect()
                };
                let proper = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
                u32::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| proper)
                    .and_then(char::from_u32)
                    .ok_or_else(|| format!("`\\x{digits}` is no character"))?
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            c => return Err(format!("`\\{c}` is not known")),
        };
        Ok(code)
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or("a `[` without its `]`")?;
            match c {
                ']' if !first => break,
                '[' if self.rest.peek() == Some(&':') => self.named_class()?,
                '\\' if self.rest.peek().is_some_and(|&c| perl_class(c).is_some()) => {
                    let class = self.rest.next().and_then(perl_class).unwrap_or_default();
                    self.out.push_str(class);
                }
                c => {
                    let low = if c == '\\' { self.escaped()? } else { c };
                    self.range(low)?;
                }
            }
            first = false;
        }
        self.atom("]");
        Ok(())
    }

    fn range(&mut self, low: char) -> Result<(), String> {
        self.out.push_str(&format!("\\x{{{:X}}}", u32::from(low)));
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.next().is_none_or(|c| c == ']') {
            return Ok(());
        }
        self.rest.next();
        let c = self.rest.next().ok_or("a `[` without its `]`")?;
        let high = if c == '\\' { self.escaped()? } else { c };
        if high < low {
            return Err(format!("`{low}-{high}` is the wrong way round"));
        }
        self.out.push_str(&format!("-\\x{{{:X}}}", u32::from(high)));
        Ok(())
    }

    fn named_class(&mut self) -> Result<(), String> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        let text: String = self.rest.by_ref().take_while(|&c| c != ']').collect();
        let name = text.strip_prefix(':').and_then(|text| text.strip_suffix(':')).unwrap_or("");
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(format!("`[{text}]` is not a class"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        Ok(())
    }
}

/// Perl's classes as Go has them: ASCII.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            ("GET", "FORGET", true),
            ("^GET$", "FORGET", false),
            ("(GET)|(POST)", "POST", true),
            ("^/book2/{id}$", "/book2/{id}", true),
            ("^a{2}$", "aa", true),
            ("^a{,2}$", "a{,2}", true),
            (r"^\d+$", "٣", false),
            (r"^\d+$", "3", true),
            (r"^\w$", "é", false),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[\w.-]+@x$", "a.b-c@x", true),
            (r"^[^\d]$", "x", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^[]a]+$", "]a", true),
            (r"^[a-]+$", "a-", true),
            (r"^a\.b$", "axb", false),
            ("^a.b$", "a\nb", false),
            ("(?i)^get$", "GET", true),
            ("(?s:^a.b$)", "a\nb", true),
            (r"\x41\x{42}", "AB", true),
            (r"\bcat\b", "a cat", true),
            ("^*", "x", true),
            ("", "x", true),
        ] {
            assert_eq!(compiled(pattern).unwrap().is_match(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_or_reads_otherwise_is_refused() {
        for pattern in [
            "(",
            ")",
            "[",
            "[a",
            "*",
            "a**",
            "a*?+",
            "(*a)",
            "a|*",
            "a{1001}",
            "a{2,1}",
            r"\",
            r"\Q",
            r"\1",
            r"\pL",
            "(?x)a",
            "(?<n>a)",
            "[z-a]",
            "[[:alfa:]]",
            r"\<",
            "(?P<>a)",
            "a{2}{3}",
        ] {
            if pattern == r"\<" {
                // Plain text in Go, the start of a word in the crate.
                assert!(compiled(pattern).unwrap().is_match("<"));
            } else {
                assert!(compiled(pattern).is_err(), "{pattern}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[\\[\\](){}|*+?.^$\\\\a-c:<>,0-9PdwxQ&-]{0,16}") {
            let _unread = compiled(&text);
        }
    }
}
