//! Signing in: the headers that prove who sends a request, and the token behind them.
//!
//! Credentials are read from the connection once, live in types that do not print, and leave only as headers marked
//! sensitive. A token is fetched by one task at a time (the others wait for it), renewed when nine tenths of its life
//! have passed, and renewed once more when the system refuses it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::error::read_refusal;
use super::retry::{pauses, retry_after};
use super::transport::{Lost, Received, Transport};
use crate::compile::compiled::{AuthScheme, AuthSetting, Connection, ConnectorKind, Envelope, ErrorMessage};
use crate::connector::{ConnectionContext, ConnectorError};
use crate::expression::{Map, Scope, Template, Value, parse_json};
use crate::mapping::evaluate_shape;
use crate::telemetry::Secrets;

/// Characters that stay as they are in forms (RFC 3986 unreserved).
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What token requests are called in messages.
const WHAT: &str = "signing in";

/// Proves who sends a connection's requests.
#[derive(Debug)]
pub(super) struct Authenticator {
    connection: String,
    context: ConnectionContext,
    scheme: Scheme,
}

enum Scheme {
    /// Headers that never change; none for a system without sign-in.
    Fixed(Vec<(HeaderName, HeaderValue)>),
    Token(Box<TokenClient>),
}

/// OAuth 2.0 client credentials.
struct TokenClient {
    url: Url,
    content_type: HeaderValue,
    client: Option<HeaderValue>,
    body: SecretString,
    secrets: Arc<Secrets>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    generation: u64,
}

struct Token {
    header: HeaderValue,
    renew_at: Option<Instant>,
}

/// The headers of one request, and which token they hold.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Marked sensitive.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    generation: u64,
}

impl Authenticator {
    /// Reads a connection's credentials.
    ///
    /// # Errors
    /// When they do not make headers or a token address.
    pub(super) fn new(connection: &Connection, context: &ConnectionContext) -> Result<Self, ConnectorError> {
        let scheme = Scheme::new(connection, context.telemetry.secrets())?;
        Ok(Authenticator {
            connection: connection.name.clone(),
            context: context.clone(),
            scheme,
        })
    }

    /// The headers for the next request; fetches a token if there is none or it is about to end.
    ///
    /// # Errors
    /// [`ConnectorError::Auth`] with the system's words, or why the token endpoint cannot be reached.
    pub(super) async fn credentials(&self, transport: &Transport) -> Result<Credentials, ConnectorError> {
        match &self.scheme {
            Scheme::Fixed(headers) => Ok(Credentials {
                headers: headers.clone(),
                generation: 0,
            }),
            Scheme::Token(client) => {
                let mut held = client.held.lock().await;
                let fresh = |token: &&Token| token.renew_at.is_none_or(|at| Instant::now() < at);
                let header = match held.token.as_ref().filter(fresh) {
                    Some(token) => token.header.clone(),
                    None => self.fetch(client, transport, &mut held).await?,
                };
                Ok(Credentials {
                    headers: vec![(AUTHORIZATION, header)],
                    generation: held.generation,
                })
            }
        }
    }

    /// Gets a new token because the system refused `refused`, unless somebody did so meanwhile. `false` if there is
    /// nothing that could be renewed.
    ///
    /// # Errors
    /// As [`Authenticator::credentials`].
    pub(super) async fn renew(
        &self,
        transport: &Transport,
        refused: &Credentials,
    ) -> Result<bool, ConnectorError> {
        let Scheme::Token(client) = &self.scheme else {
            return Ok(false);
        };
        let mut held = client.held.lock().await;
        if held.generation == refused.generation {
            self.fetch(client, transport, &mut held).await?;
        }
        Ok(true)
    }

    async fn fetch(
        &self,
        client: &TokenClient,
        transport: &Transport,
        held: &mut Held,
    ) -> Result<HeaderValue, ConnectorError> {
        let asked = Instant::now();
        let received = self.ask(client, transport).await?;
        let token = client
            .read(asked, &received)
            .map_err(|message| self.refused(message))?;
        let header = token.header.clone();
        held.token = Some(token);
        held.generation += 1;
        tracing::debug!(connection = self.connection, "signed in");
        Ok(header)
    }

    /// Asks for a token until there is an answer that a repetition would not change.
    async fn ask(&self, client: &TokenClient, transport: &Transport) -> Result<Received, ConnectorError> {
        let mut pauses = pauses(&self.context.http);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let body = Bytes::copy_from_slice(client.body.expose_secret().as_bytes());
            let (message, asked_wait) = match transport
                .send(&Method::POST, &client.url, client.headers(), body)
                .await
            {
                Ok(received) if matches!(received.status, 200 | 201) => return Ok(received),
                Ok(received) if received.status == 429 || received.status >= 500 => {
                    let wait = retry_after(&received.headers, Timestamp::now());
                    (client.words(&received), wait)
                }
                Ok(received) if (300..400).contains(&received.status) => {
                    return Err(self.refused(format!(
                        "the token endpoint redirects (status {})",
                        received.status
                    )));
                }
                Ok(received) => return Err(self.refused(client.words(&received))),
                Err(Lost::NotSent(message) | Lost::Unanswered(message)) => (message, None),
                Err(Lost::TooLarge) => return Err(self.refused("the answer is too large".to_owned())),
                Err(Lost::Stopped) => return Err(ConnectorError::Cancelled),
            };
            let wait = pauses
                .next()
                .map(|pause| asked_wait.map_or(pause, |asked| asked.max(pause)))
                .filter(|wait| *wait <= self.context.http.patience);
            let Some(wait) = wait else {
                return Err(ConnectorError::Unreachable {
                    connection: self.connection.clone(),
                    what: WHAT.to_owned(),
                    attempts,
                    message,
                });
            };
            tokio::select! {
                biased;
                () = self.context.stop.cancelled() => return Err(ConnectorError::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn refused(&self, message: String) -> ConnectorError {
        ConnectorError::Auth {
            connection: self.connection.clone(),
            what: WHAT.to_owned(),
            message,
        }
    }
}

impl TokenClient {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(client) = &self.client {
            headers.insert(AUTHORIZATION, client.clone());
        }
        headers
    }

    /// The token of an answer; its life counts from when it was asked for.
    fn read(&self, asked: Instant, received: &Received) -> Result<Token, String> {
        let json = parse_json(&received.body).map_err(|_| "the token answer is not JSON".to_owned())?;
        let token = json
            .get("access_token")
            .and_then(Value::as_text)
            .filter(|token| !token.is_empty())
            .ok_or("the token answer has no `access_token`")?;
        self.secrets.add(token);
        let header = sensitive(&format!("Bearer {token}"))
            .ok_or("the token has characters that no header can hold")?;
        let lives = json
            .get("expires_in")
            .and_then(Value::scalar_text)
            .and_then(|seconds| seconds.parse::<f64>().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Token {
            header,
            renew_at: lives.and_then(|lives| asked.checked_add(lives.mul_f64(0.9))),
        })
    }

    /// The system's words, without our secret should it repeat it.
    fn words(&self, received: &Received) -> String {
        let refusal = read_refusal(
            &ErrorMessage::default(),
            Envelope::Plain,
            received.status,
            &received.body,
        );
        let clean = self.secrets.replace(refusal.message.as_bytes());
        format!("{} (status {})", String::from_utf8_lossy(&clean), received.status)
    }
}

impl Scheme {
    fn new(connection: &Connection, secrets: &Arc<Secrets>) -> Result<Scheme, ConnectorError> {
        let setting = |message: String| ConnectorError::Setting {
            connection: connection.name.clone(),
            message,
        };
        let ConnectorKind::Http(connector) = &connection.connector.kind else {
            return Ok(Scheme::Fixed(Vec::new()));
        };
        let Some(auth) = &connection.auth else {
            return Ok(Scheme::Fixed(Vec::new()));
        };
        let variant = connector.auth.get(&auth.variant).ok_or_else(|| {
            setting(format!(
                "its connector has no way to sign in named `{}`",
                auth.variant
            ))
        })?;
        let mut members = match &connection.settings {
            Value::Map(map) => map.clone(),
            _ => Map::default(),
        };
        for (name, value) in &auth.settings {
            let text = match value {
                AuthSetting::Plain(text) => text,
                AuthSetting::Secret(secret) => {
                    secrets.add(secret.expose_secret());
                    secret.expose_secret()
                }
            };
            members.insert(name.clone(), Value::text(text.to_owned()));
        }
        let settings = Value::Map(members);
        let scope = Scope::new().with("settings", &settings);
        let render = |template: &Template| -> Result<String, ConnectorError> {
            let text = template
                .render(&scope)
                .map_err(|error| setting(error.to_string()))?;
            text.ok_or_else(|| setting(format!("`{}` has no value", template.source())))
        };
        let header = |text: &str| {
            sensitive(text)
                .ok_or_else(|| setting("a credential has characters that no header can hold".to_owned()))
        };
        match &variant.scheme {
            AuthScheme::Basic { username, password } => {
                let text = basic(&render(username)?, &render(password)?);
                secrets.add(text.trim_start_matches("Basic "));
                Ok(Scheme::Fixed(vec![(AUTHORIZATION, header(&text)?)]))
            }
            AuthScheme::Bearer(token) => {
                let token = render(token)?;
                secrets.add(&token);
                Ok(Scheme::Fixed(vec![(
                    AUTHORIZATION,
                    header(&format!("Bearer {token}"))?,
                )]))
            }
            AuthScheme::Headers(headers) => {
                let mut fixed = Vec::with_capacity(headers.len());
                for (name, value) in headers {
                    let parsed = name
                        .parse::<HeaderName>()
                        .map_err(|_| setting(format!("`{name}` cannot be a header's name")))?;
                    fixed.push((parsed, header(&render(value)?)?));
                }
                Ok(Scheme::Fixed(fixed))
            }
            AuthScheme::OauthClientCredentials {
                token_url,
                json,
                client_in_header,
                send,
            } => {
                let address = render(token_url)?;
                let url = Url::parse(&address)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
                    .ok_or_else(|| {
                        setting(format!("the token address `{address}` is not an http address"))
                    })?;
                let text = |name: &str| settings.get(name).and_then(Value::scalar_text).map(String::from);
                let need = |name: &str| text(name).ok_or_else(|| setting(format!("`{name}` has no value")));
                let (id, secret) = (need("client_id")?, need("client_secret")?);
                let mut members = vec![("grant_type".to_owned(), Value::text("client_credentials"))];
                let mut client = None;
                if *client_in_header {
                    let encode = |text: &str| utf8_percent_encode(text, FORM).to_string();
                    let text = basic(&encode(&id), &encode(&secret));
                    secrets.add(text.trim_start_matches("Basic "));
                    client = Some(header(&text)?);
                } else {
                    members.push(("client_id".to_owned(), Value::text(id)));
                    members.push(("client_secret".to_owned(), Value::text(secret)));
                }
                if let Some(scope) = text("scope").filter(|scope| !scope.is_empty()) {
                    members.push(("scope".to_owned(), Value::text(scope)));
                }
                for (name, shape) in send {
                    let value = evaluate_shape(shape, &scope).map_err(|error| setting(error.to_string()))?;
                    if !value.is_null() {
                        members.retain(|(known, _)| known != name);
                        members.push((name.clone(), value));
                    }
                }
                let (content_type, body) = if *json {
                    let members = members.into_iter().map(|(name, value)| (name.into(), value));
                    ("application/json", Value::Map(Map(members.collect())).to_json())
                } else {
                    ("application/x-www-form-urlencoded", form(&members))
                };
                Ok(Scheme::Token(Box::new(TokenClient {
                    url,
                    content_type: HeaderValue::from_static(content_type),
                    client,
                    body: SecretString::from(body),
                    secrets: Arc::clone(secrets),
                    held: Mutex::default(),
                })))
            }
        }
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Scheme::Fixed(_) => "Fixed",
            Scheme::Token(_) => "Token",
        })
    }
}

fn form(members: &[(String, Value<'_>)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, FORM).to_string();
    let pairs: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| Some(format!("{}={}", encode(name), encode(&value.scalar_text()?))))
        .collect();
    pairs.join("&")
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
