//! What may not be told: the trait that masks private values, and the set of texts that no log line may hold.
//!
//! Who is private is known above (`mapping` compiles a flow's privacy rules and implements [`Redact`]); who writes
//! logs is here and in `connector`. [`Secrets`] is the last line of defence: credentials are a type that cannot print,
//! and should a server echo one in an error text, the log writer still replaces it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use memchr::memmem::Finder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Masks, hashes or drops the private values of a JSON text before it is kept or shown.
pub trait Redact: fmt::Debug + Send + Sync {
    /// The JSON text without its private values; the same bytes when it has none. A text that is not JSON is replaced
    /// as a whole, because nobody can say what it holds.
    fn redact_json<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]>;
}

/// What stands in the place of a secret.
pub const REPLACEMENT: &str = "[secret]";

/// Texts below this length are not searched for: they would be found everywhere.
const SHORTEST: usize = 6;

/// Texts that no log line may hold, such as tokens. Holds no readable text in its debug form.
#[derive(Default)]
pub struct Secrets {
    finders: RwLock<Vec<Finder<'static>>>,
}

impl Secrets {
    /// No secrets yet.
    pub fn new() -> Self {
        Secrets::default()
    }

    /// From now on this text is replaced, as it stands and percent-encoded. Texts shorter than six bytes are ignored.
    pub fn add(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let mut finders = self.finders.write().unwrap_or_else(PoisonError::into_inner);
        for form in [secret, encoded.as_str()] {
            if !finders.iter().any(|known| known.needle() == form.as_bytes()) {
                finders.push(Finder::new(form).into_owned());
            }
        }
        // The longest first, so that a secret which holds another one is replaced whole.
        finders.sort_by_key(|finder| std::cmp::Reverse(finder.needle().len()));
    }

    /// The text with every secret replaced; borrowed when it holds none.
    pub fn replace<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let finders = self.finders.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for finder in finders.iter() {
            if finder.find(&text).is_some() {
                text = Cow::Owned(replace_all(finder, &text));
            }
        }
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

fn replace_all(finder: &Finder<'_>, text: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut copied = 0;
    for found in finder.find_iter(text) {
        replaced.extend_from_slice(&text[copied..found]);
        replaced.extend_from_slice(REPLACEMENT.as_bytes());
        copied = found + finder.needle().len();
    }
    replaced.extend_from_slice(&text[copied..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(secrets: &Secrets, text: &str) -> String {
        String::from_utf8(secrets.replace(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let secrets = Secrets::new();
        secrets.add("p@ss word!");
        assert_eq!(
            replaced(&secrets, "a p@ss word! b p%40ss%20word%21 c"),
            "a [secret] b [secret] c"
        );
    }

    #[test]
    fn a_secret_that_holds_another_is_replaced_whole() {
        let secrets = Secrets::new();
        secrets.add("abcdef");
        secrets.add("abcdef-ghijkl");
        assert_eq!(replaced(&secrets, "abcdef-ghijkl abcdef"), "[secret] [secret]");
    }

    #[test]
    fn short_texts_and_clean_lines_are_left_alone() {
        let secrets = Secrets::new();
        secrets.add("abc");
        secrets.add("tok-123456");
        assert!(matches!(secrets.replace(b"abc abc"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_debug_form_holds_nothing() {
        let secrets = Secrets::new();
        secrets.add("tok-123456");
        assert!(!format!("{secrets:?}").contains("123456"));
    }
}
