//! Comments as they are written.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Comment, Ticket};

/// The longest text of a comment, in bytes; what is beyond is cut off without a word.
const LONGEST: usize = 64 << 10;

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
        let audit_id = self.next_audit_id();
        let html_body = match comment.get("html_body").and_then(Value::as_str) {
            Some(html) => html.to_owned(),
            None => escaped(&body),
        };
        self.comments.push(Comment {
            id: audit_id + 1,
            audit_id,
            author_id,
            html_body: format!("<div class=\"zd-comment\" dir=\"auto\">{html_body}</div>"),
            body,
            public: comment
                .get("public")
                .and_then(Value::as_bool)
                .unwrap_or(inherited),
            created_at: now,
            metadata: metadata.cloned().unwrap_or_else(|| json!({})),
            attachments: attachments(comment, audit_id),
        });
    }

    /// Takes words out of a comment for good, as the vendor does: a block stands for each character.
    pub(super) fn redact(&mut self, comment: u64, words: &str) -> bool {
        let blocks: String = words.chars().map(|_| '▇').collect();
        let Some(position) = self.comments.iter().position(|own| own.id == comment) else {
            return false;
        };
        if let Some(comment) = self.comments.get_mut(position) {
            comment.body = comment.body.replace(words, &blocks);
            comment.html_body = comment.html_body.replace(&escaped(words), &blocks);
        }
        if position == 0 {
            self.description = self.description.replace(words, &blocks);
        }
        true
    }
}

/// What a person attached; a client would have to upload it first.
fn attachments(comment: &Value, audit_id: u64) -> Vec<Value> {
    let listed = comment.get("attachments").and_then(Value::as_array);
    let document = |(number, file): (usize, &Value)| {
        let name = file.get("file_name").and_then(Value::as_str).unwrap_or("file");
        let id = audit_id + 50_000 + number as u64;
        json!({
            "id": id,
            "url": format!("https://sandbox.zendesk.example/api/v2/attachments/{id}.json"),
            "file_name": name,
            "content_url": format!("https://sandbox.zendesk.example/attachments/token/t{id}/?name={name}"),
            "content_type": file.get("content_type").and_then(Value::as_str).unwrap_or("application/octet-stream"),
            "size": file.get("size").and_then(Value::as_u64).unwrap_or(1024),
            "inline": false,
            "deleted": false,
            "thumbnails": [],
        })
    };
    listed.into_iter().flatten().enumerate().map(document).collect()
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', "<br>")
}

/// A comment's text: `html_body` as plain text, else `body`.
pub(super) fn comment_text(comment: &Value) -> String {
    let mut text = match comment.get("html_body").and_then(Value::as_str) {
        Some(html) => without_tags(html),
        None => comment
            .get("body")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

fn without_tags(html: &str) -> String {
    let html = html.replace("<br>", "\n");
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
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
