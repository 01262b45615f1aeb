//! Comments as they are written.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Comment, Ticket};

impl Ticket {
    /// Appends a comment; a comment that does not say whether it is public does as the first one did.
    pub(crate) fn append(
        &mut self,
        comment: &Value,
        author_id: u64,
        now: Timestamp,
        metadata: Option<&Value>,
    ) {
        let inherited = self.comments.first().is_none_or(|first| first.public);
        let body = comment_text(comment);
        let number = self.comments.len() as u64;
        let audit_id = 5_000_000_000_000 + self.id * 100_000 + number * 2;
        self.comments.push(Comment {
            id: audit_id + 1,
            audit_id,
            author_id,
            html_body: match comment.get("html_body").and_then(Value::as_str) {
                Some(html) => html.to_owned(),
                None => format!("<div class=\"zd-comment\" dir=\"auto\">{body}</div>"),
            },
            body,
            public: comment
                .get("public")
                .and_then(Value::as_bool)
                .unwrap_or(inherited),
            created_at: now,
            metadata: metadata.cloned().unwrap_or_else(|| json!({})),
        });
    }
}

/// A comment's text: `body`, else `html_body` without its tags.
pub(super) fn comment_text(comment: &Value) -> String {
    if let Some(body) = comment.get("body").and_then(Value::as_str) {
        return body.to_owned();
    }
    let html = comment
        .get("html_body")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut text = String::new();
    let mut inside_tag = false;
    for character in html.chars() {
        match character {
            '<' => inside_tag = true,
            '>' => inside_tag = false,
            _ if !inside_tag => text.push(character),
            _ => {}
        }
    }
    text
}
