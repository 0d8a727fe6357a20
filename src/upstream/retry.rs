//! Whether a request that failed may be tried once more.

use http::Method;

/// How far a request came that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// No connection: nothing of it was sent.
    Nothing,
    /// A connection, which broke before there was anything of an answer.
    Connection,
    /// Further, or nobody knows how far.
    Answer,
}

/// Whether doing it twice is doing it once (RFC 9110, section 9.2.2).
#[must_use]
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
}

/// Whether a request may be sent once more, if its body is still whole: when nothing of it was sent, or when it may
/// have been but twice is as good as once. Who was told too late was told, so running out of time is no reason.
#[must_use]
pub fn may_repeat(reached: Reached, method: &Method) -> bool {
    match reached {
        Reached::Nothing => true,
        Reached::Connection => is_idempotent(method),
        Reached::Answer => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_sent_again_only_where_that_is_harmless() {
        for (method, after_connection) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::PUT, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            assert!(may_repeat(Reached::Nothing, &method), "{method}");
            assert_eq!(may_repeat(Reached::Connection, &method), after_connection, "{method}");
            assert!(!may_repeat(Reached::Answer, &method), "{method}");
        }
    }
}
