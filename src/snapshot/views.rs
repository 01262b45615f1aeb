//! Columns of texts that stay where they were received: views into a record's bytes instead of copies of them.
//!
//! A record kept whole is most of what a run moves, and its bytes live until its batch is written anyway. Files do not
//! know of this: what is written is text like any other ([`stored`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewBuilder};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;

/// Builds a column of texts, which stay in a source as far as they are part of it.
#[derive(Debug, Default)]
pub(super) struct TextViews {
    builder: StringViewBuilder,
    source: Bytes,
    /// The builder's number for the source, once a text of it was added.
    block: Option<u32>,
    /// Bytes of all texts.
    bytes: usize,
}

impl TextViews {
    pub(super) fn with_capacity(rows: usize) -> TextViews {
        TextViews {
            builder: StringViewBuilder::with_capacity(rows),
            ..TextViews::default()
        }
    }

    /// Where the next texts may be part of.
    pub(super) fn begin(&mut self, source: &Bytes) {
        self.source = source.clone();
        self.block = None;
    }

    pub(super) fn append(&mut self, text: &str) {
        self.bytes += text.len();
        if !self.append_view(text) {
            self.builder.append_value(text);
        }
    }

    pub(super) fn append_null(&mut self) {
        self.builder.append_null();
    }

    pub(super) fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        self.builder.len()
    }

    /// Bytes of all texts so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.begin(&Bytes::new());
        Arc::new(self.builder.finish())
    }

    /// False if the text is no part of the source.
    fn append_view(&mut self, text: &str) -> bool {
        let offset = (text.as_ptr() as usize).checked_sub(self.source.as_ptr() as usize);
        let Some(offset) = offset.filter(|offset| offset.saturating_add(text.len()) <= self.source.len())
        else {
            return false;
        };
        let (Ok(offset), Ok(length), true) = (
            u32::try_from(offset),
            u32::try_from(text.len()),
            self.source.len() < u32::MAX as usize,
        ) else {
            return false;
        };
        let block = *self
            .block
            .get_or_insert_with(|| self.builder.append_block(Buffer::from(self.source.clone())));
        self.builder.try_append_view(block, offset, length).is_ok()
    }
}

/// What a column is in a file.
pub(super) fn stored(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(field).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// The same rows, holding no more bytes than their own.
pub(super) fn compacted(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |array: &ArrayRef| match array.data_type() {
        DataType::Utf8View => arrow::compute::cast(array, &DataType::Utf8),
        _ => Ok(Arc::clone(array)),
    };
    let columns = rows.columns().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(stored(&rows.schema()), columns)
}

/// The bytes that an array's own rows take, without what its buffers hold for others.
pub(crate) fn slice_bytes(array: &ArrayRef) -> usize {
    if let Some(views) = array.as_string_view_opt() {
        // A view of sixteen bytes holds its text's length in the lowest four.
        return views.lengths().map(|length| length as usize + 16).sum();
    }
    array
        .to_data()
        .get_slice_memory_size()
        .unwrap_or_else(|_| array.get_array_memory_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_source_are_not_copied_and_others_are() {
        let source = Bytes::from("{\"a\":\"a text of the record\"}".to_owned());
        let mut views = TextViews::with_capacity(4);
        views.append("before any source was named");
        views.begin(&source);
        views.append(std::str::from_utf8(&source).unwrap());
        views.append(std::str::from_utf8(&source[6..26]).unwrap());
        views.append_null();
        views.append("not a part of the record");
        views.append("");
        assert_eq!((views.len(), views.bytes()), (6, 27 + 28 + 20 + 24));
        let array = views.finish();
        let texts: Vec<_> = array.as_string_view().iter().collect();
        assert_eq!(
            texts,
            [
                Some("before any source was named"),
                Some("{\"a\":\"a text of the record\"}"),
                Some("a text of the record"),
                None,
                Some("not a part of the record"),
                Some(""),
            ]
        );
        let range = source.as_ptr_range();
        let is_shared = |row: usize| range.contains(&array.as_string_view().value(row).as_ptr());
        assert!(is_shared(1) && is_shared(2) && !is_shared(0) && !is_shared(4));
        assert_eq!(slice_bytes(&array), 27 + 28 + 20 + 24 + 6 * 16);

        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, true)]));
        let rows = compacted(&RecordBatch::try_new(schema, vec![array]).unwrap()).unwrap();
        assert_eq!(rows.schema().field(0).data_type(), &DataType::Utf8);
        assert_eq!(rows.column(0).as_string::<i32>().value(2), "a text of the record");
    }
}
