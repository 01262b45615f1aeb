//! Requests and answers as the stand-ins see them: whole, in memory, free of any server's types.
//!
//! A stand-in is a function from [`Request`] to [`Response`]; `server` does the rest.

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A request with its body read and its query decoded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// The decoded parts of the path between its slashes.
    pub(crate) segments: Vec<String>,
    /// The decoded query, in order, repeats kept.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let segments = uri
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let query = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Self {
            method,
            target: uri
                .path_and_query()
                .map_or_else(|| uri.path().to_owned(), |target| target.as_str().to_owned()),
            segments,
            query,
            headers,
            body,
        }
    }

    /// The text of a header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The last value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .rev()
            .find(|(parameter, _)| parameter == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter that is true when it says so.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("true" | "1"))
    }

    /// The scheme, host and port under which the client reached us.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("127.0.0.1"))
    }

    /// Whether the comma-separated `include` parameter names something.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.parameter("include")
            .is_some_and(|include| include.split(',').any(|included| included.trim() == name))
    }

    /// The body as JSON, or nothing when it is not.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The decoded path segments as slices, to match on.
    pub(crate) fn route(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// Decodes a query's name or value, where a plus sign is a space.
fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A JSON document under the plain JSON media type.
    pub(crate) fn json(status: u16, document: &Value) -> Self {
        Self::typed(status, "application/json; charset=utf-8", document.to_string())
    }

    /// A body under a media type.
    pub(crate) fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: body.into(),
        }
    }

    /// Plain text.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", body)
    }

    /// No body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The answer with one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), format!("{value}")));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_in_order() {
        let uri: Uri = "/a%20b/c.json?page%5Bsize%5D=10&q=x+y&q=%2B&flag"
            .parse()
            .unwrap();
        let request = Request::new(Method::GET, &uri, HeaderMap::new(), Bytes::new());
        assert_eq!(request.route(), ["a b", "c.json"]);
        assert_eq!(request.parameter("page[size]"), Some("10"));
        assert_eq!(request.parameter("q"), Some("+"));
        assert_eq!(request.query[1].1, "x y");
        assert!(!request.flag("flag"));
    }
}
