//! Who asks: OAuth tokens with scopes, legacy API tokens, nobody.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::message::{Request, Response};
use super::super::token::{CLIENT_ID, CLIENT_SECRET, Tokens};
use super::errors;

/// The account's only API token acts as the agent of this address.
pub(crate) const ACCOUNT_EMAIL: &str = "admin@example.com";
/// The account's only API token.
pub(crate) const ACCOUNT_TOKEN: &str = "sandbox-token";

/// The shortest and longest life that a client may ask for.
const ASKED_LIFETIME: std::ops::RangeInclusive<u64> = 300..=172_800;

/// What the credentials of a request amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The admin, who may do all that the scope says.
    Admin { scope: String },
    /// No credentials, or a wrong password: some endpoints answer anyway.
    Anonymous,
    /// A bearer token that is not, or no longer, one of ours.
    InvalidToken,
}

/// Looks at the credentials of a request.
pub(crate) fn caller(tokens: &Tokens, request: &Request) -> Caller {
    let Some((scheme, credentials)) = request
        .header("authorization")
        .and_then(|header| header.split_once(' '))
    else {
        return Caller::Anonymous;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return match tokens.check(credentials.trim()) {
            Some(grant) => Caller::Admin {
                scope: grant.scope.clone(),
            },
            None => Caller::InvalidToken,
        };
    }
    let expected = format!("{ACCOUNT_EMAIL}/token:{ACCOUNT_TOKEN}");
    let given = STANDARD.decode(credentials.trim()).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("basic") && given == expected.as_bytes() {
        Caller::Admin {
            scope: "read write".to_owned(),
        }
    } else {
        Caller::Anonymous
    }
}

/// Whether a scope covers reading or writing a resource, broadly or by name.
pub(crate) fn allows(scope: &str, resource: &str, action: &str) -> bool {
    scope.split_whitespace().any(|granted| {
        granted == action
            || granted
                .split_once(':')
                .is_some_and(|(name, verb)| name == resource && verb == action)
    })
}

/// `POST /oauth/tokens`: client credentials, in a JSON body.
pub(crate) fn issue_token(tokens: &mut Tokens, request: &Request) -> Response {
    let is_json = request
        .header("content-type")
        .is_some_and(|media_type| media_type.starts_with("application/json"));
    let Some(body) = request.json().filter(|_| is_json) else {
        return errors::oauth(
            400,
            "invalid_request",
            "The request is missing a required parameter, includes an unsupported parameter or parameter value, or is otherwise malformed.",
        );
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("grant_type") != "client_credentials" {
        return errors::oauth(
            400,
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        );
    }
    if text("client_id") != CLIENT_ID || text("client_secret") != CLIENT_SECRET {
        return errors::oauth(
            401,
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.",
        );
    }
    let asked = body.get("expires_in").and_then(Value::as_u64);
    if asked.is_some_and(|seconds| !ASKED_LIFETIME.contains(&seconds)) {
        return errors::oauth(
            400,
            "invalid_request",
            "expires_in must be between 300 and 172800 seconds",
        );
    }
    let scope = match text("scope") {
        "" => "read",
        scope => scope,
    };
    let (token, lifetime) = tokens.issue(scope, asked.map(Duration::from_secs));
    let mut answer = json!({ "access_token": token, "token_type": "bearer", "scope": scope });
    if asked.is_some() {
        answer["expires_in"] = json!(lifetime.as_secs());
    }
    Response::json(200, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_what_they_name() {
        assert!(allows("read write", "tickets", "write"));
        assert!(allows("tickets:write read", "tickets", "write"));
        assert!(!allows("tickets:write", "tickets", "read"));
        assert!(!allows("users:write", "tickets", "write"));
        assert!(!allows("raed", "tickets", "read"));
    }
}
