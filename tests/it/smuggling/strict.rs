//! The strictest reader of RFC 9112: what it reads, every other reads alike. Written for tests, apart from
//! the gate's own.

/// A request as it was framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The first request of some bytes.
#[derive(Debug)]
pub(crate) enum Read {
    /// It, and how many bytes it has.
    Whole(Request, usize),
    /// There is more to come.
    Begun,
    /// There is more than one reading, or none.
    Unclear,
}

pub(crate) fn read(bytes: &[u8]) -> Read {
    let empty_line = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = &bytes[..empty_line.map_or(bytes.len(), |at| at + 2)];
    let Some(lines) = lines(head) else { return Read::Unclear };
    let Some(end) = empty_line else {
        // What is there must be right so far.
        let is_begun = request_line(lines.first().map_or("", |line| line)).is_some() || lines.is_empty();
        return if is_begun { Read::Begun } else { Read::Unclear };
    };
    let Some((method, target)) = lines.first().and_then(|line| request_line(line)) else {
        return Read::Unclear;
    };
    let Some(fields) = lines[1..].iter().map(|line| field(line)).collect::<Option<Vec<_>>>() else {
        return Read::Unclear;
    };
    let all = |name: &str| -> Vec<String> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    };
    let rest = &bytes[end + 4..];
    let body = match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => Ok(Some((Vec::new(), 0))),
        ([length], []) => match length.parse::<u64>() {
            Ok(number) if number.to_string() == *length => {
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                Ok(rest.get(..number).map(|body| (body.to_vec(), number)))
            }
            _ => Err(()),
        },
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => chunked(rest),
        _ => Err(()),
    };
    match body {
        Ok(Some((body, length))) => Read::Whole(Request { method, target, fields, body }, end + 4 + length),
        Ok(None) => Read::Begun,
        Err(()) => Read::Unclear,
    }
}

/// The whole lines of a head, of which none has a stray CR or LF; they end with CRLF.
fn lines(head: &[u8]) -> Option<Vec<String>> {
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    let last = lines.pop()?;
    let is_clean = |line: &String| !line.contains(['\r', '\n']);
    (lines.iter().all(is_clean) && !last.trim_end_matches('\r').contains(['\r', '\n'])).then_some(lines)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn request_line(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return None };
    let is_right = is_token(method) && !target.is_empty() && target.chars().all(|c| c.is_ascii_graphic());
    is_right.then(|| (method.to_owned(), target.to_owned()))
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_right = is_token(name) && !value.chars().any(|c| c.is_ascii_control() && c != '\t');
    is_right.then(|| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

/// The data of chunks, and how many bytes they are with their end.
fn chunked(mut rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let (mut data, all) = (Vec::new(), rest.len());
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            let is_begun =
                rest.len() <= 9 && rest.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'\r');
            return if is_begun { Ok(None) } else { Err(()) };
        };
        let size = &rest[..end];
        if size.is_empty() || size.len() > 8 || !size.iter().all(u8::is_ascii_hexdigit) {
            return Err(());
        }
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        let Some(chunk) = rest.get(..size) else { return Ok(None) };
        data.extend_from_slice(chunk);
        rest = &rest[size..];
        match rest {
            [b'\r', b'\n', ..] => rest = &rest[2..],
            [] | [b'\r'] => return Ok(None),
            _ => return Err(()),
        }
    }
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return if rest.contains(&b'\n') { Err(()) } else { Ok(None) };
        };
        let line: String = rest[..end].iter().map(|&byte| char::from(byte)).collect();
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Ok(Some((data, all - rest.len())));
        }
        field(&line).ok_or(())?;
    }
}
