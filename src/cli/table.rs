//! Tables for people: columns as wide as they need to be, numbers to the right.

use std::fmt::Write as _;

/// A table under construction.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// To which side a column's cells lean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

impl Table {
    /// A table with these column heads and no rows.
    pub(super) fn new<'h>(head: impl IntoIterator<Item = (&'h str, Align)>) -> Self {
        Table {
            head: head
                .into_iter()
                .map(|(name, align)| (name.to_owned(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines of text, without trailing spaces.
    pub(super) fn render(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|(name, _)| name.clone()).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                std::iter::once(&head)
                    .chain(&self.rows)
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.head) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}"),
                    Align::Right => write!(line, "{cell:>width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// One line of at most this many characters: line ends become spaces, what is longer ends in `…`.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_widest_cell() {
        let mut table = Table::new([
            ("flow", Align::Left),
            ("read", Align::Right),
            ("why", Align::Left),
        ]);
        table.row(["cases".to_owned(), "12,345".to_owned(), "new".to_owned()]);
        table.row(["é".to_owned(), "1".to_owned(), String::new()]);
        assert_eq!(
            table.render(),
            "flow     read  why\ncases  12,345  new\né           1\n"
        );
    }

    #[test]
    fn long_texts_are_cut_by_characters_and_stay_on_one_line() {
        assert_eq!(shorten("a\n  b", 10), "a b");
        assert_eq!(shorten("äöüäöü", 4), "äöü…");
    }
}
