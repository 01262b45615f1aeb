//! OAuth access tokens: issued, checked, expired.
//!
//! Tokens live in memory only: a sandbox that starts again has forgotten them, as a vendor that revoked them would, and a
//! client is expected to ask for a new one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The client that both stand-ins know.
pub(crate) const CLIENT_ID: &str = "sandbox";
/// Its secret.
pub(crate) const CLIENT_SECRET: &str = "sandbox-secret";

/// The access tokens that a system gave out.
#[derive(Debug)]
pub(crate) struct Tokens {
    issued: HashMap<String, Grant>,
    lifetime: Duration,
}

/// What a token allows, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) scope: String,
    expires: Instant,
}

impl Tokens {
    /// Tokens that are accepted for `lifetime` at most.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            issued: HashMap::new(),
            lifetime,
        }
    }

    /// Gives out a token for the shorter of the system's lifetime and the one asked for; returns it with its lifetime.
    pub(crate) fn issue(&mut self, scope: &str, asked: Option<Duration>) -> (String, Duration) {
        let now = Instant::now();
        self.issued.retain(|_, grant| grant.expires > now);
        let lifetime = asked.map_or(self.lifetime, |asked| asked.min(self.lifetime));
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let grant = Grant {
            scope: scope.to_owned(),
            expires: now + lifetime,
        };
        self.issued.insert(token.clone(), grant);
        (token, lifetime)
    }

    /// What a presented token allows, if it is one of ours and still lives.
    pub(crate) fn check(&self, token: &str) -> Option<&Grant> {
        self.issued
            .get(token)
            .filter(|grant| grant.expires > Instant::now())
    }

    /// Ends every token at once.
    pub(crate) fn expire_all(&mut self) {
        self.issued.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_the_shorter_time() {
        let mut tokens = Tokens::new(Duration::from_secs(100));
        let (long, lifetime) = tokens.issue("read", Some(Duration::from_secs(500)));
        assert_eq!(lifetime, Duration::from_secs(100));
        let (short, lifetime) = tokens.issue("read", Some(Duration::ZERO));
        assert_eq!(lifetime, Duration::ZERO);
        assert!(tokens.check(&long).is_some());
        assert!(tokens.check(&short).is_none());
        tokens.expire_all();
        assert!(tokens.check(&long).is_none());
    }
}
