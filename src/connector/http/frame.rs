//! [`Frame`]: a page without its records, from which single values are read.
//!
//! A page is mostly records, and the token, the address or the flag that leads on from it stands before or behind them.
//! Looking for one in the whole page would scan every record again for each.

use bytes::{Bytes, BytesMut};

use super::records::select;
use crate::expression::{JsonError, Path, Step, Value};

/// A page, and the same page with its list of records emptied.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    whole: Bytes,
    emptied: Option<Emptied>,
}

#[derive(Clone, Debug)]
struct Emptied {
    text: Bytes,
    /// Where the list stands.
    list: Box<[Step]>,
}

impl Frame {
    /// A page from which no list was cut.
    pub(super) fn new(page: &Bytes) -> Frame {
        Frame {
            whole: page.clone(),
            emptied: None,
        }
    }

    /// A page whose list at a path was cut into these elements.
    pub(super) fn around(page: &Bytes, list: &Path, elements: &[Bytes]) -> Frame {
        let mut frame = Frame::new(page);
        let (Some(steps), Some(first), Some(last)) = (list.steps(), elements.first(), elements.last()) else {
            return frame;
        };
        let place = |at: *const u8| (at as usize).checked_sub(page.as_ptr() as usize);
        let (start, end) = (place(first.as_ptr()), place(last.as_ptr_range().end));
        // Elements that were written anew do not stand in the page.
        if let (Some(start), Some(end)) = (start, end)
            && let (Some(before), Some(after)) = (page.get(..start), page.get(end..))
            && start < end
        {
            let mut text = BytesMut::with_capacity(before.len() + after.len());
            text.extend_from_slice(before);
            text.extend_from_slice(after);
            frame.emptied = Some(Emptied {
                text: text.freeze(),
                list: steps.into(),
            });
        }
        frame
    }

    /// The shortest text that holds the same at a path as the page does.
    pub(super) fn text(&self, path: &Path) -> &Bytes {
        match (&self.emptied, path.steps()) {
            (Some(emptied), Some(steps)) if apart(&emptied.list, steps) => &emptied.text,
            _ => &self.whole,
        }
    }

    /// The value at a path of the page; `None` for null too.
    ///
    /// # Errors
    /// When the page is not JSON.
    pub(super) fn select(&self, path: &Path) -> Result<Option<Value<'static>>, JsonError> {
        select(self.text(path), path)
    }
}

/// Whether two paths part before either ends, at members of different names. Positions say nothing: a negative one may
/// be the same element as another.
fn apart(one: &[Step], other: &[Step]) -> bool {
    one.iter()
        .zip(other)
        .find(|(one, other)| one != other)
        .is_some_and(|pair| matches!(pair, (Step::Name(_), Step::Name(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::split_records;

    fn frame(page: &'static str, list: &str) -> Frame {
        let (page, list) = (Bytes::from_static(page.as_bytes()), Path::parse(list).unwrap());
        Frame::around(&page, &list, &split_records(&page, &list).unwrap())
    }

    fn is_read_without_records(frame: &Frame, path: &str) -> bool {
        let path = Path::parse(path).unwrap();
        let whole = select(&frame.whole, &path).unwrap();
        assert_eq!(frame.select(&path).unwrap(), whole, "{}", path.source());
        frame.text(&path).len() < frame.whole.len()
    }

    #[test]
    fn what_stands_beside_the_records_is_read_without_them() {
        let frame = frame(
            r#"{"next":"a","data":{"rows":[{"id":1}, {"id":2}],"more":true},"end":false,"rows":[7]}"#,
            "$.data.rows",
        );
        for path in ["$.next", "$.data.more", "$.end", "$.rows", "$.rows[0]", "$.none"] {
            assert!(is_read_without_records(&frame, path), "{path}");
        }
        for path in [
            "$",
            "$.data",
            "$.data.rows",
            "$.data.rows[-1].id",
            "$.data.rows[*].id",
            "$.data.*",
        ] {
            assert!(!is_read_without_records(&frame, path), "{path}");
        }
    }

    #[test]
    fn a_page_without_records_or_with_a_list_in_a_list_stays_whole() {
        assert!(!is_read_without_records(
            &frame(r#"{"rows":[],"next":"a"}"#, "$.rows"),
            "$.next"
        ));
        let nested = frame(
            r#"[{"rows":[1,2],"next":"a"},{"rows":[],"next":"b"}]"#,
            "$[0].rows",
        );
        assert!(is_read_without_records(&nested, "$[0].next"));
        assert!(!is_read_without_records(&nested, "$[-1].next"));
        assert!(!is_read_without_records(&nested, "$[1].next"));
    }
}
