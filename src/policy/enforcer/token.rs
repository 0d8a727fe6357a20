//! The words of an expression, as Go Casbin's evaluator (govaluate) splits them.
//!
//! Casbin rewrites a matcher before it reads it: `r.sub` becomes `r_sub`, and brackets become
//! parentheses where `in` occurs anywhere. Both keep each byte in its place, so that findings point
//! into the text as it was written.

use std::ops::Range;

use crate::policy::problem::Problem;

/// The longest expression, in bytes.
pub(super) const MAX_BYTES: usize = 8192;

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the model: `\` is plain text, brackets may stand for parentheses.
    Matcher,
    /// In a policy line, for `eval`: `\` takes the next character as it is.
    Rule,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Number(f64),
    Text(String),
    /// `r_sub`, `r_sub.Age`, `keyMatch`
    Name(String),
    Truth(bool),
    Sign(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: Range<usize>,
}

/// What an expression of Go Casbin may have, and this reader knows.
const SIGNS: [&str; 17] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "=~", "!~", "+", "-", "*", "/", "%", "!", ","];
/// What Go Casbin knows besides.
const GO_ONLY: [&str; 10] = ["?", ":", "??", "**", "&", "|", "^", "~", "<<", ">>"];

/// `text` as Casbin rewrites it, byte for byte in place.
pub(super) fn prepared(text: &str, place: Place) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let starts = |at: usize| {
        at.checked_sub(1).and_then(|before| text.as_bytes().get(before)).is_none_or(|&byte| {
            byte.is_ascii_whitespace() || byte == 0x0b || b"()|&,=!><+-*/".contains(&byte)
        })
    };
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        if matches!(byte, b'r' | b'p') && starts(at) {
            let digits = text.bytes().skip(at + 1).take_while(u8::is_ascii_digit).count();
            if let Some(dot) = bytes.get_mut(at + 1 + digits).filter(|dot| **dot == b'.') {
                *dot = b'_';
            }
        }
        at += 1;
    }
    if place == Place::Matcher && text.contains("in") {
        for byte in &mut bytes {
            match byte {
                b'[' => *byte = b'(',
                b']' => *byte = b')',
                _ => {}
            }
        }
    }
    // Only ASCII was put in the place of ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The words of `text`.
pub(super) fn tokens(text: &str, place: Place) -> Result<Vec<Token>, Problem> {
    if text.len() > MAX_BYTES {
        let message = format!("the expression is {} bytes long", text.len());
        let help = format!("an expression has at most {MAX_BYTES} bytes");
        return Err(Problem::new("expression-too-long", 0..0, message, help));
    }
    let ready = prepared(text, place);
    let mut reader = Reader { text, ready: &ready, place, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = reader.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Reader<'t> {
    /// As it was written.
    text: &'t str,
    /// As Casbin rewrites it.
    ready: &'t str,
    place: Place,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.ready.get(self.at..).unwrap_or("")
    }

    /// Takes as long as `wanted`.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> (&'t str, Range<usize>) {
        let rest = self.rest();
        let taken = rest.find(|c| !wanted(c)).and_then(|end| rest.get(..end)).unwrap_or(rest);
        let start = self.at;
        self.at += taken.len();
        (taken, start..self.at)
    }

    fn next(&mut self) -> Result<Option<Token>, Problem> {
        self.take(char::is_whitespace);
        let Some(c) = self.rest().chars().next() else { return Ok(None) };
        let (word, at) = match c {
            '0'..='9' | '.' => self.number()?,
            '"' | '\'' => self.quoted(c)?,
            '(' | ')' | ',' => {
                let start = self.at;
                self.at += 1;
                (
                    Word::Sign(if c == '(' {
                        "("
                    } else if c == ')' {
                        ")"
                    } else {
                        ","
                    }),
                    start..self.at,
                )
            }
            '[' | ']' => {
                return Err(Problem::new(
                    "bracket",
                    self.at..self.at + 1,
                    "a bracket that Casbin does not read as a list",
                    "lists stand after `in`: `r.obj in ('a', 'b')`",
                ));
            }
            c if c.is_alphabetic() => {
                let (name, at) = self.take(|c| c.is_alphanumeric() || c == '_' || c == '.');
                let word = match name {
                    "true" | "false" => Word::Truth(name == "true"),
                    "in" | "IN" => Word::Sign("in"),
                    name => Word::Name(name.to_owned()),
                };
                (word, at)
            }
            _ => self.sign()?,
        };
        Ok(Some(Token { word, at }))
    }

    fn number(&mut self) -> Result<(Word, Range<usize>), Problem> {
        let (digits, at) = if self.rest().starts_with("0x") {
            self.take(|c| c.is_ascii_alphanumeric())
        } else {
            self.take(|c| c.is_ascii_digit() || c == '.')
        };
        let number = match digits.strip_prefix("0x") {
            // Whole numbers up to 2^53 are the same in a double.
            Some(hex) => u32::from_str_radix(hex, 16).ok().map(f64::from),
            None => digits.parse().ok(),
        };
        match number {
            Some(number) => Ok((Word::Number(number), at)),
            None => {
                let message = format!("`{digits}` is not a number");
                Err(Problem::new("not-a-number", at, message, "write digits, with one point at most"))
            }
        }
    }

    fn sign(&mut self) -> Result<(Word, Range<usize>), Problem> {
        let stops = |c: char| c.is_alphanumeric() || c.is_whitespace() || "()[]'\"".contains(c);
        let (sign, at) = self.take(|c| !stops(c));
        if let Some(known) = SIGNS.into_iter().find(|known| *known == sign) {
            return Ok((Word::Sign(known), at));
        }
        let help = if GO_ONLY.contains(&sign) {
            "this program decides matchers that every Casbin can read"
        } else if SIGNS.iter().any(|known| sign.starts_with(known)) {
            "Casbin reads signs that touch as one: put a space between them"
        } else {
            "signs are `&& || ! == != < <= > >= in =~ !~ + - * / %`"
        };
        let shown: String = sign.chars().take(16).collect();
        let more = if shown.len() < sign.len() { "…" } else { "" };
        Err(Problem::new("unknown-sign", at, format!("unknown sign `{shown}{more}`"), help))
    }

    fn quoted(&mut self, quote: char) -> Result<(Word, Range<usize>), Problem> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        let end = loop {
            match chars.next() {
                None => {
                    let message = "a quote that is never closed";
                    return Err(Problem::new("open-quote", start..start + 1, message, "close it"));
                }
                Some((_, '\\')) if self.place == Place::Rule => value.extend(chars.next().map(|(_, c)| c)),
                Some((end, c @ ('"' | '\''))) => {
                    if c != quote {
                        let at = self.at + end..self.at + end + 1;
                        let message = format!("`{c}` inside a text in `{quote}`");
                        let help = "Casbin ends the text at either quote: use neither inside";
                        return Err(Problem::new("mixed-quotes", at, message, help));
                    }
                    break end;
                }
                Some((_, c)) => value.push(c),
            }
        };
        self.at += end + 1;
        let at = start..self.at;
        let written = self.text.get(at.clone()).unwrap_or("");
        if Some(written) != self.ready.get(at.clone()) && written.contains(['[', ']']) {
            let message = "a bracket in a text of a matcher that has `in` somewhere";
            let help =
                "Casbin turns it into a parenthesis: write the matcher without `in`, or the text without `[`";
            return Err(Problem::new("bracket-in-text", at, message, help));
        }
        if is_like_a_time(&value) {
            let message = format!("Casbin reads `{value}` as an instant, not as a text");
            let help = "compare it as a field of the policy, or write it in another form";
            return Err(Problem::new("time-in-text", at, message, help));
        }
        Ok((Word::Text(value), at))
    }
}

/// Whether govaluate may take a text for an instant. Wider than what it does take.
fn is_like_a_time(text: &str) -> bool {
    const LENGTHS: [usize; 9] = [10, 16, 18, 19, 21, 24, 25, 34, 35];
    const DAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_date = (0..4).all(digit) && bytes.get(4) == Some(&b'-') && digit(5) && digit(6);
    let is_clock = text.contains(':') && (text.ends_with("AM") || text.ends_with("PM")) && text.len() < 9;
    let is_long = text.contains(':') && DAYS.iter().any(|day| text.starts_with(day));
    is_date && LENGTHS.contains(&text.len()) || is_clock || is_long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, place: Place) -> Result<Vec<Word>, &'static str> {
        match tokens(text, place) {
            Ok(tokens) => Ok(tokens.into_iter().map(|token| token.word).collect()),
            Err(problem) => Err(problem.code),
        }
    }

    #[test]
    fn matchers_are_rewritten_as_casbin_does() {
        for (text, ready) in [
            ("r.sub == p.sub", "r_sub == p_sub"),
            ("g(r.sub,p.sub)&&r2.a", "g(r_sub,p_sub)&&r2_a"),
            ("r.sub == \"a.p.p.l.e\"", "r_sub == \"a.p.p.l.e\""),
            ("r.obj.Owner", "r_obj.Owner"),
            ("'x r.y'", "'x r_y'"),
            ("r.obj in ['a']", "r_obj in ('a')"),
            ("fr.x", "fr.x"),
        ] {
            assert_eq!(prepared(text, Place::Matcher), ready);
        }
        assert_eq!(prepared("r.obj in ['a']", Place::Rule), "r_obj in ['a']");
    }

    #[test]
    fn words_and_what_is_none() {
        let text = |text: &str| Word::Text(text.to_owned());
        for (written, place, expected) in [
            ("'a'", Place::Matcher, Ok(vec![text("a")])),
            (r"'a\.b'", Place::Matcher, Ok(vec![text(r"a\.b")])),
            (r"'a\.b'", Place::Rule, Ok(vec![text("a.b")])),
            ("0x1f 1.5", Place::Matcher, Ok(vec![Word::Number(31.0), Word::Number(1.5)])),
            ("'it\"s'", Place::Matcher, Err("mixed-quotes")),
            ("'a", Place::Matcher, Err("open-quote")),
            ("[a]", Place::Matcher, Err("bracket")),
            ("r.x in ('[a]')", Place::Matcher, Err("bracket-in-text")),
            ("'2024-01-01'", Place::Matcher, Err("time-in-text")),
            ("'3:04PM'", Place::Matcher, Err("time-in-text")),
            ("'2024-01-01-x'", Place::Matcher, Ok(vec![text("2024-01-01-x")])),
            ("a &&!b", Place::Matcher, Err("unknown-sign")),
            ("a ? b", Place::Matcher, Err("unknown-sign")),
            ("1.2.3", Place::Matcher, Err("not-a-number")),
        ] {
            assert_eq!(words(written, place), expected, "{written}");
        }
    }
}
