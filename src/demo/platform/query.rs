//! The parameters of a query string.

use percent_encoding::percent_decode_str;

/// Decoded names and values, in order. `+` stands for a space, as HTML forms write it.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// A parameter that is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("`{0}` must be given once")]
    Doubled(&'static str),
    #[error("`{0}` must be a whole number")]
    NotANumber(&'static str),
}

/// Text of a path segment or parameter without its percent-encoding; what is not UTF-8 is replaced.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        };
        let pairs = query.unwrap_or("").split('&').filter(|text| !text.is_empty());
        Self(pairs.map(pair).collect())
    }

    /// The only value of `name`, if there is one.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, QueryError> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(QueryError::Doubled(name)) } else { Ok(first) }
    }

    /// The only value of `name` as a number.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &'static str) -> Result<Option<N>, QueryError> {
        let parse = |text: &str| text.parse().map_err(|_| QueryError::NotANumber(name));
        self.text(name)?.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_single() {
        let query = Query::parse(Some("area=3410&name=%E7%8E%8B+x&flag&n=7&n2=-1&twice=1&twice=2"));
        assert_eq!(query.text("area"), Ok(Some("3410")));
        assert_eq!(query.text("name"), Ok(Some("王 x")));
        assert_eq!(query.text("flag"), Ok(Some("")));
        assert_eq!(query.text("none"), Ok(None));
        assert_eq!(query.number("n"), Ok(Some(7_u32)));
        assert_eq!(query.number::<u32>("n2"), Err(QueryError::NotANumber("n2")));
        assert_eq!(query.text("twice"), Err(QueryError::Doubled("twice")));
        assert_eq!(Query::parse(None).text("area"), Ok(None));
    }
}
