//! A started sandbox with a client that holds tokens for both systems.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, SandboxOptions};

/// A sandbox and what a client needs to talk to it.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    client: Client,
    zendesk_token: String,
    oro_token: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Options for tests: nothing on disk, limits that refill in a tenth of a second.
pub(super) fn options() -> SandboxOptions {
    SandboxOptions {
        tickets: 80,
        time_scale: 600.0,
        ..SandboxOptions::default()
    }
}

/// Lets a test send as many requests as it likes.
pub(super) async fn raise_limits(bench: &Bench) {
    let settings = json!({ "export_limit": 10_000, "account_limit": 100_000, "update_limit": 10_000 });
    bench.control("zendesk", Method::POST, "settings", settings).await;
}

impl Bench {
    pub(super) async fn start(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let mut bench = Self {
            sandbox,
            client: Client::new(),
            zendesk_token: String::new(),
            oro_token: String::new(),
        };
        bench.log_in().await;
        bench
    }

    /// Asks both systems for a token.
    pub(super) async fn log_in(&mut self) {
        let client = json!({
            "grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret",
            "scope": "read write",
        });
        let zendesk = self
            .send("zendesk", Method::POST, "/oauth/tokens", &[], Some(&client))
            .await;
        self.zendesk_token = zendesk.body["access_token"].as_str().unwrap().to_owned();
        let oro = self
            .send("oro", Method::POST, "/oauth2-token", &[], Some(&client))
            .await;
        self.oro_token = oro.body["access_token"].as_str().unwrap().to_owned();
    }

    /// Sends a request that must be answered.
    pub(super) async fn send(
        &self,
        system: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        self.try_send(system, method, path, headers, body).await.unwrap()
    }

    /// Sends a request that may be cut.
    pub(super) async fn try_send(
        &self,
        system: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let address = self.sandbox.address(system).unwrap();
        let mut sent = HeaderMap::new();
        if body.is_some() {
            sent.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            sent.insert(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        let mut request = self
            .client
            .request(method, format!("{address}{path}"))
            .headers(sent)
            .timeout(Duration::from_secs(20));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        Ok(Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }

    /// Asks the helpdesk with the token.
    pub(super) async fn zendesk(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let token = format!("Bearer {}", self.zendesk_token);
        let path = format!("/api/v2{path}");
        self.send("zendesk", method, &path, &[("authorization", &token)], body)
            .await
    }

    /// Asks the back office with the token and the media type that it wants.
    pub(super) async fn oro(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.oro_as(method, path, "application/vnd.api+json", body).await
    }

    /// Asks the back office with the token and some media type.
    pub(super) async fn oro_as(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Option<&Value>,
    ) -> Answer {
        let token = format!("Bearer {}", self.oro_token);
        let headers = [
            ("authorization", token.as_str()),
            ("accept", media_type),
            ("content-type", media_type),
            ("x-include", "totalCount;noHateoas"),
        ];
        let path = format!("/admin/api{path}");
        self.send("oro", method, &path, &headers, body).await
    }

    /// Steers a stand-in.
    pub(super) async fn control(&self, system: &str, method: Method, action: &str, body: Value) -> Value {
        let path = format!("/_sandbox/{action}");
        let answer = self.send(system, method, &path, &[], Some(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }
}
