//! Rust source as far as the house rules need it: words and punctuation without comments and texts,
//! which of them are test code, and what of this crate and of others they name.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// A word, `::`, or one character of punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
    /// Within an item under `#[cfg(test)]`.
    pub(super) is_test: bool,
    /// How many inline modules stand around it.
    inline_modules: usize,
}

/// One name that a file uses, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mention {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) is_test: bool,
}

/// Reads `text` into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|&c| c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => line += skip_block_comment(&mut chars),
            '"' => line += skip_text(&mut chars),
            '\'' => skip_char_or_lifetime(&mut chars),
            c if c.is_alphabetic() || c == '_' => {
                let word = word(c, &mut chars);
                match (word.as_str(), chars.peek()) {
                    ("b" | "c", Some('"')) => {
                        chars.next();
                        line += skip_text(&mut chars);
                    }
                    ("b", Some('\'')) => {
                        chars.next();
                        skip_char_or_lifetime(&mut chars);
                    }
                    ("r" | "br" | "cr", Some('"' | '#')) => line += skip_raw_text(&mut chars),
                    _ => push(&mut tokens, word, line),
                }
            }
            c if c.is_ascii_digit() => while chars.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {},
            ':' if chars.next_if_eq(&':').is_some() => push(&mut tokens, "::".to_owned(), line),
            c => push(&mut tokens, c.to_string(), line),
        }
    }
    mark(&mut tokens);
    tokens
}

fn push(tokens: &mut Vec<Token>, text: String, line: usize) {
    tokens.push(Token { text, line, is_test: false, inline_modules: 0 });
}

fn word(first: char, chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::from(first);
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
        word.push(c);
    }
    word
}

/// Skips to the end of a block comment, nested ones within; gives the lines that it took.
fn skip_block_comment(chars: &mut Peekable<Chars<'_>>) -> usize {
    let (mut depth, mut lines, mut last) = (0, 0, '/');
    for c in chars.by_ref() {
        lines += usize::from(c == '\n');
        let pair = (last, c);
        last = c;
        match pair {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            break;
        }
        // Neither character may be part of the next pair: `/*/` opens and does not close.
        last = ' ';
    }
    lines
}

fn skip_text(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut lines = 0;
    while let Some(c) = chars.next() {
        // An escaped line break is still one.
        let c = if c == '\\' { chars.next().filter(|&c| c == '\n').unwrap_or(' ') } else { c };
        lines += usize::from(c == '\n');
        if c == '"' {
            break;
        }
    }
    lines
}

/// Skips `#"…"#`, or nothing but the `#` of a raw identifier.
fn skip_raw_text(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        return 0;
    }
    let mut lines = 0;
    while let Some(c) = chars.next() {
        lines += usize::from(c == '\n');
        if c == '"' && (0..hashes).all(|_| chars.next_if_eq(&'#').is_some()) {
            break;
        }
    }
    lines
}

fn skip_char_or_lifetime(chars: &mut Peekable<Chars<'_>>) {
    if chars.next_if_eq(&'\\').is_some() {
        chars.next();
        // `\u{…}` and `\x..` go on to the quote.
        while chars.next_if(|&c| c != '\'' && c != '\n').is_some() {}
        chars.next_if_eq(&'\'');
        return;
    }
    let Some(first) = chars.next() else { return };
    if chars.next_if_eq(&'\'').is_none() && (first.is_alphabetic() || first == '_') {
        while chars.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {}
    }
}

/// Whether the tokens from `at` on are `words`.
fn reads(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(n, word)| tokens.get(at + n).is_some_and(|token| token.text == *word))
}

const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// Marks test code and counts inline modules.
fn mark(tokens: &mut [Token]) {
    // Of every open brace, whether it is an inline module's.
    let mut open: Vec<bool> = Vec::new();
    // The depth at which an item under `#[cfg(test)]` began.
    let mut test_since: Option<usize> = None;
    let mut item_has_begun = false;
    for at in 0..tokens.len() {
        if test_since.is_none() && reads(tokens, at, &CFG_TEST) {
            test_since = Some(open.len());
            item_has_begun = false;
        }
        let is_module = at >= 2 && reads(tokens, at - 2, &["mod"]) && !reads(tokens, at - 1, &["::"]);
        let inline_modules = open.iter().filter(|&&is_module| is_module).count();
        let token = &mut tokens[at];
        token.inline_modules = inline_modules;
        token.is_test = test_since.is_some();
        match token.text.as_str() {
            "{" => open.push(is_module),
            "}" => {
                open.pop();
            }
            "]" => item_has_begun = true,
            _ => {}
        }
        let ends = matches!(token.text.as_str(), ";" | "}") && item_has_begun;
        if ends && test_since == Some(open.len()) {
            test_since = None;
        }
    }
}

/// Names of the modules that the file declares in files of their own and only for tests.
pub(super) fn test_modules(tokens: &[Token]) -> Vec<String> {
    let declared = tokens.windows(3).filter(|three| {
        three[0].text == "mod" && three[2].text == ";" && three[0].is_test && three[0].inline_modules == 0
    });
    declared.map(|three| three[1].text.clone()).collect()
}

/// The crate's own top modules that a file names by `crate::` or by enough `super::`.
///
/// `depth` counts the modules from the crate's root to the file's: 1 for `src/policy.rs`.
pub(super) fn own_modules(tokens: &[Token], depth: usize) -> BTreeSet<Mention> {
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        let from_root = match tokens[at].text.as_str() {
            "crate" if reads(tokens, at + 1, &["::"]) => Some(at + 2),
            "super" if at == 0 || tokens[at - 1].text != "::" => {
                let levels = depth + tokens[at].inline_modules;
                let mut next = at;
                let mut supers = 0;
                while reads(tokens, next, &["super", "::"]) {
                    supers += 1;
                    next += 2;
                }
                (supers >= levels && supers > 0).then_some(next)
            }
            _ => None,
        };
        if let Some(first) = from_root {
            found.extend(first_names(tokens, first));
        }
        at += 1;
    }
    found
}

/// The first name of each path that begins at `at`: `a` of `a::b`, `a` and `c` of `{a::b, c}`.
fn first_names(tokens: &[Token], at: usize) -> Vec<Mention> {
    let mention =
        |token: &Token| Mention { name: token.text.clone(), line: token.line, is_test: token.is_test };
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![mention(first)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for pair in tokens[at..].windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text.as_str(), "{" | ",") && pair[1].text != "}" {
            names.push(mention(&pair[1]));
        }
    }
    names
}

/// Names that begin a path (`name::…`) or stand alone in a `use`.
pub(super) fn path_heads(tokens: &[Token]) -> BTreeSet<Mention> {
    let mut found = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text.as_str());
        let is_path = reads(tokens, at + 1, &["::"]) && before != "::";
        let is_used = before == "use" || before == "crate" && at >= 2 && tokens[at - 2].text == "extern";
        let is_word = token.text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_word && (is_path || is_used) {
            found.insert(Mention { name: token.text.clone(), line: token.line, is_test: token.is_test });
        }
        // `::name::…` is a crate by its full name, unless a type or a name stands before it.
        let is_arrow = before == ">" && at >= 2 && tokens[at - 2].text == "-";
        let goes_on = before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '>')) && !is_arrow;
        if token.text == "::" && !goes_on {
            let next = tokens.get(at + 1);
            found.extend(next.map(|next| Mention {
                name: next.text.clone(),
                line: next.line,
                is_test: next.is_test,
            }));
        }
    }
    found
}

/// Places where `words` stand one after another.
pub(super) fn phrases(tokens: &[Token], words: &[&str]) -> Vec<(usize, bool)> {
    let at = (0..tokens.len()).filter(|&at| reads(tokens, at, words));
    at.map(|at| (tokens[at].line, tokens[at].is_test)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: BTreeSet<Mention>) -> Vec<String> {
        found
            .into_iter()
            .map(|mention| format!("{}{}", mention.name, if mention.is_test { "?" } else { "" }))
            .collect()
    }

    #[test]
    fn own_modules_are_found_however_they_are_named() {
        let check = |depth, text: &str, expected: &[&str]| {
            assert_eq!(names(own_modules(&tokens(text), depth)), expected, "{text}");
        };
        check(1, "use crate::policy::Policy;", &["policy"]);
        check(1, "use crate::{mask::{A, B}, quota, kernel::id};", &["kernel", "mask", "quota"]);
        check(1, "let x = crate::grant::Scope::all();", &["grant"]);
        check(1, "use super::policy;", &["policy"]);
        check(2, "use super::policy;", &[]);
        check(2, "use super::super::policy;", &["policy"]);
        check(1, "mod tests { use super::*; use super::super::policy; }", &["policy"]);
        check(1, "#[cfg(test)] mod tests { use crate::mask; } use crate::grant;", &["grant", "mask?"]);
        check(1, "#[cfg(test)] use crate::mask; use crate::grant;", &["grant", "mask?"]);
        check(
            1,
            "#[cfg(test)] #[path = \"x\"] fn f() { crate::mask::g(); } fn g() { crate::grant::h() }",
            &["grant", "mask?"],
        );
        check(1, "// crate::mask\n/* crate::a /* crate::b */ crate::c */ \"crate::d\\\" crate::e\"", &[]);
        check(
            1,
            "r#\"crate::a \" crate::b\"# b\"crate::c\" '\"' crate::grant '\\'' \"crate::d\"",
            &["grant"],
        );
        check(1, "fn f<'a>(x: &'a str, c: char) { c == 'x'; crate::grant::x() }", &["grant"]);
    }

    #[test]
    fn crates_are_found_at_the_head_of_paths() {
        let heads = |text: &str| names(path_heads(&tokens(text)));
        assert!(heads("use casbin::Enforcer;").contains(&"casbin".to_owned()));
        assert!(heads("use casbin;").contains(&"casbin".to_owned()));
        assert!(heads("use casbin as engine;").contains(&"casbin".to_owned()));
        assert!(heads("fn f() -> ::casbin::Result<()> {}").contains(&"casbin".to_owned()));
        assert!(heads("extern crate casbin;").contains(&"casbin".to_owned()));
        assert!(
            !heads("use crate::policy::casbin::Oracle; let casbin = 1; x.casbin();")
                .contains(&"casbin".to_owned())
        );
    }

    #[test]
    fn test_only_files_are_known() {
        let text = "#[cfg(test)]\nmod tests;\nmod real;\n#[cfg(test)]\npub(super) mod oracle;";
        assert_eq!(test_modules(&tokens(text)), ["tests", "oracle"]);
    }

    #[test]
    fn lines_are_counted_through_texts() {
        let text = "/*\n*/ \"a\nb\\\nc\" r#\"\n\"#\nword";
        assert_eq!(tokens(text).last().map(|token| token.line), Some(6));
        assert_eq!(phrases(&tokens(concat!("a\n#", "[ignore]")), &["#", "[", "ignore"]), [(2, false)]);
    }
}
