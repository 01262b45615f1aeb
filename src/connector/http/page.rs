//! Paging: how the next page of a listing is asked for, and guards against listings that never end.
//!
//! An address that a server names is followed on our own host only. A cursor, key or page that comes twice ends reading
//! with an error, because what lies behind it can no longer be trusted to come.

use std::cmp::Ordering;
use std::collections::HashSet;

use blake3::Hash;
use reqwest::Url;
use reqwest::header::LINK;

use super::HttpConnection;
use super::client::Answer;
use super::frame::Frame;
use super::mark::numbers;
use super::template::Parameters;
use crate::compile::compiled::{PageStop, Pages};
use crate::connector::ConnectorError;
use crate::expression::{Path, Projection, Record, Scope, Value};

/// What comes after a page.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing.
    End,
    /// The same request with these parameters.
    Parameters(Parameters),
    /// This address.
    Address(Url),
}

/// Finds the way from page to page of one listing.
#[derive(Debug)]
pub(super) struct Pager<'p> {
    connection: &'p HttpConnection,
    what: &'p str,
    pages: &'p Pages,
    count: u64,
    seen: HashSet<Hash>,
    last_page: Option<Hash>,
    last_key: Option<String>,
}

impl<'p> Pager<'p> {
    /// At the start of a listing.
    pub(super) fn new(connection: &'p HttpConnection, pages: &'p Pages, what: &'p str) -> Self {
        Pager {
            connection,
            what,
            pages,
            count: 0,
            seen: HashSet::new(),
            last_page: None,
            last_key: None,
        }
    }

    /// Parameters of the first page; also begins the count again for a listing whose lower bound has moved.
    pub(super) fn first(&mut self) -> Parameters {
        self.count = 0;
        match self.pages {
            Pages::Number { query, first, .. } => vec![(query.clone(), first.to_string())],
            Pages::Single
            | Pages::NextUrl { .. }
            | Pages::LinkHeader
            | Pages::Token { .. }
            | Pages::Offset { .. }
            | Pages::AfterKey { .. } => Vec::new(),
        }
    }

    /// Whether the place of a record in the listing depends on how many stand before it.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self.pages, Pages::Number { .. } | Pages::Offset { .. })
    }

    /// What comes after this page.
    ///
    /// # Errors
    /// [`ConnectorError::Loop`], [`ConnectorError::ForeignHost`], or an answer that says that there is more but not
    /// where.
    pub(super) fn next(
        &mut self,
        answer: &Answer,
        frame: &Frame,
        url: &Url,
        records: &[Record],
        scope: &Scope<'_>,
    ) -> Result<Step, ConnectorError> {
        let rows = records.len();
        match self.pages {
            Pages::Single => Ok(Step::End),
            Pages::NextUrl { next, more } => match self.named(frame, next, more.as_ref())? {
                Some(address) => self.address(&address, url),
                None => Ok(Step::End),
            },
            Pages::LinkHeader => match next_link(answer) {
                Some(address) => self.address(&address, url),
                None => Ok(Step::End),
            },
            Pages::Token { query, token, more } => match self.named(frame, token, more.as_ref())? {
                Some(token) => {
                    self.once(&token, "cursor")?;
                    Ok(Step::Parameters(vec![(query.clone(), token)]))
                }
                None => Ok(Step::End),
            },
            Pages::Number { query, first, stop } => {
                if ends(*stop, rows) {
                    return Ok(Step::End);
                }
                self.not_the_same_page(records)?;
                self.count += 1;
                Ok(Step::Parameters(vec![(
                    query.clone(),
                    (first + self.count).to_string(),
                )]))
            }
            Pages::Offset { query, stop } => {
                if ends(*stop, rows) {
                    return Ok(Step::End);
                }
                self.not_the_same_page(records)?;
                self.count += u64::try_from(rows).unwrap_or(0);
                Ok(Step::Parameters(vec![(query.clone(), self.count.to_string())]))
            }
            Pages::AfterKey { query, key, stop } => {
                let Some(last) = records.last().filter(|_| !ends(*stop, rows)) else {
                    return Ok(Step::End);
                };
                self.growing(records, key)?;
                let last = last.value().map_err(|error| self.body(error))?;
                let scope = scope.child().with("last", &last);
                Ok(Step::Parameters(
                    self.connection.parameters(query, &scope, self.what)?,
                ))
            }
        }
    }

    /// The token or address of the next page, where the answer says that there is one.
    fn named(
        &self,
        frame: &Frame,
        path: &Path,
        more: Option<&Path>,
    ) -> Result<Option<String>, ConnectorError> {
        let read = |path: &Path| frame.select(path).map_err(|error| self.body(error));
        if let Some(more) = more
            && !read(more)?.is_some_and(|more| more.is_true())
        {
            return Ok(None);
        }
        let next = read(path)?
            .and_then(|next| next.scalar_text().map(String::from))
            .filter(|next| !next.is_empty());
        match (next, more) {
            (None, Some(more)) => Err(ConnectorError::Shape {
                connection: self.connection.name().to_owned(),
                what: self.what.to_owned(),
                path: path.source().to_owned(),
                message: format!("`{}` says that there is a next page", more.source()),
            }),
            (next, _) => Ok(next),
        }
    }

    fn address(&mut self, address: &str, from: &Url) -> Result<Step, ConnectorError> {
        let url = self.connection.own_address(address, from, self.what)?;
        if url == *from {
            return Err(self.twice("page"));
        }
        self.once(url.as_str(), "page")?;
        Ok(Step::Address(url))
    }

    fn once(&mut self, text: &str, thing: &'static str) -> Result<(), ConnectorError> {
        if self.seen.insert(blake3::hash(text.as_bytes())) {
            return Ok(());
        }
        Err(self.twice(thing))
    }

    /// A server that ignores its paging parameter answers the same page for ever.
    fn not_the_same_page(&mut self, records: &[Record]) -> Result<(), ConnectorError> {
        let mut hasher = blake3::Hasher::new();
        for record in records {
            hasher.update(record.received());
        }
        let page = hasher.finalize();
        if !records.is_empty() && self.last_page == Some(page) {
            return Err(self.twice("page"));
        }
        self.last_page = Some(page);
        Ok(())
    }

    /// Numbers must grow from row to row, else rows would be passed over; other keys must at least change, because
    /// their order is the server's own.
    fn growing(&mut self, records: &[Record], path: &Path) -> Result<(), ConnectorError> {
        let mut projection = Projection::new();
        projection.add_path(path);
        for record in records {
            let value = record.project(&projection).map_err(|error| self.body(error))?;
            let Some(key) = path.one(&value).and_then(Value::scalar_text) else {
                return Err(ConnectorError::Shape {
                    connection: self.connection.name().to_owned(),
                    what: self.what.to_owned(),
                    path: path.source().to_owned(),
                    message: "every record must have the key by which pages are asked for".to_owned(),
                });
            };
            let stuck = self
                .last_key
                .as_ref()
                .is_some_and(|last| match numbers(last, &key) {
                    Some(order) => order != Ordering::Less,
                    None => false,
                });
            if stuck {
                return Err(self.twice("key"));
            }
            self.last_key = Some(key.into_owned());
        }
        self.not_the_same_page(records)
    }

    fn twice(&self, thing: &'static str) -> ConnectorError {
        ConnectorError::Loop {
            connection: self.connection.name().to_owned(),
            what: self.what.to_owned(),
            thing,
        }
    }

    fn body(&self, error: crate::expression::JsonError) -> ConnectorError {
        self.connection.body(self.what, error)
    }
}

fn ends(stop: PageStop, rows: usize) -> bool {
    match stop {
        PageStop::Empty => rows == 0,
        PageStop::Short(full) => rows < full,
    }
}

/// The address of `rel="next"` in the `Link` headers (RFC 8288).
fn next_link(answer: &Answer) -> Option<String> {
    let values = answer.headers.get_all(LINK);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(links)
        .find(|(_, parameters)| is_next(parameters))
        .map(|(address, _)| address.to_owned())
}

/// Takes `<address>; rel="next", <address>; ...` apart.
fn links(text: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((address, after)) = after.split_once('>') else {
            break;
        };
        let end = after.find('<').unwrap_or(after.len());
        let (parameters, next) = after.split_at(end);
        links.push((address, parameters));
        rest = next;
    }
    links
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let parameter = parameter.trim().trim_end_matches(',').trim();
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_whitespace()
                .any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let header = r#"<https://a.example/x?a=1,2>; rel="prev", </y?page=3>; title="a; b"; rel="last next", <z>; rel=first"#;
        let next: Vec<&str> = links(header)
            .into_iter()
            .filter(|(_, parameters)| is_next(parameters))
            .map(|(address, _)| address)
            .collect();
        assert_eq!(next, ["/y?page=3"]);
        assert!(links("no link").is_empty());
        assert!(!is_next("; rev=next"));
    }
}
