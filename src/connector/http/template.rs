//! A compiled request and the names its templates see become the exact request.
//!
//! Values never change the structure of an address: in a path they are encoded as one segment (and an empty one, `.` and
//! `..` are refused, because they would address something else), in a query they are encoded as one value.

use std::cell::Cell;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::HttpConnection;
use super::client::header;
use super::limit::{Draw, Each};
use crate::compile::compiled::{Envelope, Method as CompiledMethod, Request, Shape};
use crate::connector::ConnectorError;
use crate::expression::{EvaluateError, Scope, Template, Value};
use crate::mapping::evaluate_shape;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The media type of JSON:API, which may carry no parameters.
const JSON_API: &str = "application/vnd.api+json";

/// The media type of everything else.
const JSON: &str = "application/json";

/// Query parameters, decoded.
pub(super) type Parameters = Vec<(String, String)>;

/// A request's bytes, without credentials.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// The method.
    pub(super) method: Method,
    /// The whole address.
    pub(super) url: Url,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body; empty for none.
    pub(super) body: Bytes,
}

impl HttpConnection {
    /// Renders a request with further query parameters and, where the caller made one, its body.
    ///
    /// # Errors
    /// [`ConnectorError::Template`] where a template fails or gives what cannot stand in its place.
    pub(super) fn outgoing(
        &self,
        request: &Request,
        scope: &Scope<'_>,
        parameters: &[(String, String)],
        body: Option<Bytes>,
        what: &str,
    ) -> Result<Outgoing, ConnectorError> {
        let connector = self.connector()?;
        let mut url = self.address(&request.path, scope, what)?;
        let mut query = self.parameters(&request.query, scope, what)?;
        query.extend_from_slice(parameters);
        add_query(&mut url, &query);
        let body = match (body, &request.body) {
            (Some(body), _) => body,
            (None, Some(shape)) => Bytes::from(self.shape(shape, scope, what)?.to_json()),
            (None, None) => Bytes::new(),
        };
        let method = match request.method {
            CompiledMethod::Get => Method::GET,
            CompiledMethod::Post => Method::POST,
            CompiledMethod::Put => Method::PUT,
            CompiledMethod::Patch => Method::PATCH,
            CompiledMethod::Delete => Method::DELETE,
        };
        let media_type = match connector.envelope {
            Envelope::Plain => JSON,
            Envelope::JsonApi => JSON_API,
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(media_type));
        if !body.is_empty() || (connector.envelope == Envelope::JsonApi && method != Method::GET) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        for (name, template) in connector.headers.iter().chain(&request.headers) {
            let Some(text) = self.text(template, scope, what)? else {
                continue;
            };
            let (name, value) = header(name, &text)
                .ok_or_else(|| self.template(template, what, "gives what no header can hold"))?;
            headers.insert(name, value);
        }
        Ok(Outgoing {
            method,
            url,
            headers,
            body,
        })
    }

    /// The budgets of a request.
    ///
    /// # Errors
    /// [`ConnectorError::Template`] where an `each` template fails.
    pub(super) fn draw(
        &self,
        request: &Request,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Draw, ConnectorError> {
        let connector = self.connector()?;
        let mut parts = Vec::with_capacity(request.uses.len());
        for position in &request.uses {
            let each = match connector
                .limits
                .get(*position)
                .and_then(|limit| limit.each.as_ref())
            {
                None => Each::Whole,
                Some(template) => match self.text(template, scope, what)? {
                    Some(value) => Each::Value(value),
                    None => Each::Nothing,
                },
            };
            parts.push((*position, each));
        }
        Ok(self.limits.draw(parts))
    }

    /// Evaluated query parameters: null leaves one out, a list repeats it.
    ///
    /// # Errors
    /// [`ConnectorError::Template`].
    pub(super) fn parameters(
        &self,
        query: &[(String, Template)],
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Parameters, ConnectorError> {
        let mut parameters = Vec::with_capacity(query.len());
        for (name, template) in query {
            let value = template
                .evaluate(scope)
                .map_err(|error| self.evaluation(template, what, &error))?;
            match value {
                Value::List(values) => {
                    parameters.extend(
                        values
                            .iter()
                            .filter_map(|value| Some((name.clone(), query_text(value)?))),
                    );
                }
                value => parameters.extend(query_text(&value).map(|text| (name.clone(), text))),
            }
        }
        Ok(parameters)
    }

    /// A shape's JSON.
    ///
    /// # Errors
    /// [`ConnectorError::Template`].
    pub(super) fn shape(
        &self,
        shape: &Shape,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Value<'static>, ConnectorError> {
        evaluate_shape(shape, scope).map_err(|error| ConnectorError::Template {
            connection: self.name().to_owned(),
            what: what.to_owned(),
            template: "body".to_owned(),
            message: format!("fails: {error}"),
        })
    }

    /// A template as text; `None` for null.
    ///
    /// # Errors
    /// [`ConnectorError::Template`].
    pub(super) fn text(
        &self,
        template: &Template,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Option<String>, ConnectorError> {
        template
            .render(scope)
            .map_err(|error| self.evaluation(template, what, &error))
    }

    /// An address that a server named, or that an earlier run stored: on our own host only, because credentials go
    /// along. One that names our host with another scheme (a server behind a proxy) is brought to ours.
    ///
    /// # Errors
    /// [`ConnectorError::ForeignHost`].
    pub(super) fn own_address(&self, address: &str, from: &Url, what: &str) -> Result<Url, ConnectorError> {
        let foreign = || ConnectorError::ForeignHost {
            connection: self.name().to_owned(),
            what: what.to_owned(),
            to: address.split('?').next().unwrap_or_default().to_owned(),
        };
        let mut url = from.join(address).map_err(|_| foreign())?;
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        let same_host = url.host() == self.base.host();
        let usual_ports = url.port().is_none() && self.base.port().is_none();
        let web = matches!(url.scheme(), "http" | "https");
        if !(same_host && usual_ports && web) || url.set_scheme(self.base.scheme()).is_err() {
            return Err(foreign());
        }
        Ok(url)
    }

    fn address(&self, path: &Template, scope: &Scope<'_>, what: &str) -> Result<Url, ConnectorError> {
        let misplaced = Cell::new(false);
        let encode = |value: &str| {
            misplaced.set(misplaced.get() || matches!(value, "" | "." | ".."));
            utf8_percent_encode(value, ENCODED).to_string()
        };
        let text = path
            .render_encoded(scope, &encode)
            .map_err(|error| self.evaluation(path, what, &error))?
            .ok_or_else(|| self.template(path, what, "has no value, so there is nothing to address"))?;
        if misplaced.get() {
            return Err(self.template(
                path,
                what,
                "gives an empty or dotted part, which would address something else",
            ));
        }
        let whole = if text.starts_with("https://") || text.starts_with("http://") {
            text
        } else {
            let slash = if text.starts_with('/') || text.is_empty() {
                ""
            } else {
                "/"
            };
            format!("{}{slash}{text}", self.base.as_str().trim_end_matches('/'))
        };
        Url::parse(&whole).map_err(|_| self.template(path, what, "makes no address"))
    }

    fn evaluation(&self, template: &Template, what: &str, error: &EvaluateError) -> ConnectorError {
        self.template(template, what, &format!("fails: {error}"))
    }

    fn template(&self, template: &Template, what: &str, message: &str) -> ConnectorError {
        ConnectorError::Template {
            connection: self.name().to_owned(),
            what: what.to_owned(),
            template: template.source().to_owned(),
            message: message.to_owned(),
        }
    }
}

/// Appends query parameters, encoding names and values.
pub(super) fn add_query(url: &mut Url, parameters: &[(String, String)]) {
    if parameters.is_empty() {
        return;
    }
    let mut query = url.query().unwrap_or_default().to_owned();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, ENCODED));
        query.push('=');
        query.extend(utf8_percent_encode(value, ENCODED));
    }
    url.set_query(Some(&query));
}

/// Later parameters replace earlier ones of the same name.
pub(super) fn replaced(mut parameters: Parameters, later: Parameters) -> Parameters {
    parameters.retain(|(name, _)| !later.iter().any(|(other, _)| other == name));
    parameters.extend(later);
    parameters
}

fn query_text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        value => Some(value.scalar_text().map_or_else(|| value.to_json(), String::from)),
    }
}
