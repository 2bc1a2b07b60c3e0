//! Tables as Parquet, uncompressed, every column optional: what is unknown is null there, too.

use std::sync::Arc;

use parquet::{
    basic::{LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};

use super::export::{ColumnType, SCHEMA_VERSION, Table, Value};

/// Rows of one row group.
const GROUP_ROWS: usize = 65_536;

/// The file.
///
/// # Errors
/// The writer's; none is expected for tables of ours.
pub fn write(table: &Table, rows: &[Vec<Value>]) -> Result<Vec<u8>, ParquetError> {
    let field = |column: &super::export::Column| {
        let of = match column.kind {
            ColumnType::Integer => Type::primitive_type_builder(column.name, Physical::INT64),
            ColumnType::Text => Type::primitive_type_builder(column.name, Physical::BYTE_ARRAY)
                .with_logical_type(Some(LogicalType::String)),
        };
        of.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let fields = table.columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder(table.name).with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_created_by("bbt-console".to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "schema_version".to_owned(),
            SCHEMA_VERSION.to_owned(),
        )]))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for group_rows in rows.chunks(GROUP_ROWS) {
        let mut group = writer.next_row_group()?;
        for (at, column) in table.columns.iter().enumerate() {
            let Some(mut out) = group.next_column()? else {
                break;
            };
            let cells = || group_rows.iter().map(|row| row.get(at));
            match column.kind {
                ColumnType::Integer => {
                    let is = |cell: &Option<&Value>| matches!(cell, Some(Value::Integer(_)));
                    let levels: Vec<i16> = cells().map(|cell| i16::from(is(&cell))).collect();
                    let values: Vec<i64> = cells()
                        .filter_map(|cell| match cell {
                            Some(Value::Integer(number)) => Some(*number),
                            _ => None,
                        })
                        .collect();
                    out.typed::<Int64Type>()
                        .write_batch(&values, Some(&levels), None)?;
                }
                ColumnType::Text => {
                    let is = |cell: &Option<&Value>| matches!(cell, Some(Value::Text(_)));
                    let levels: Vec<i16> = cells().map(|cell| i16::from(is(&cell))).collect();
                    let values: Vec<ByteArray> = cells()
                        .filter_map(|cell| match cell {
                            Some(Value::Text(text)) => Some(ByteArray::from(text.as_str())),
                            _ => None,
                        })
                        .collect();
                    out.typed::<ByteArrayType>()
                        .write_batch(&values, Some(&levels), None)?;
                }
            }
            out.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use ::parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };

    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_null_stays_null() {
        let table = Table::of("classrooms").unwrap();
        let rows = vec![
            vec![
                Value::Integer(1),
                Value::Integer(7),
                Value::Text("c1".into()),
                Value::Text("=一班".into()),
                Value::Null,
            ],
            vec![
                Value::Integer(2),
                Value::Null,
                Value::Text("c2".into()),
                Value::Text(String::new()),
                Value::Text("三".into()),
            ],
        ];
        let file = write(table, &rows).unwrap();
        assert_eq!(
            file,
            write(table, &rows).unwrap(),
            "the same rows, the same bytes"
        );
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (
                read[0].get_long(1).unwrap(),
                read[0].get_string(3).unwrap().as_str()
            ),
            (7, "=一班")
        );
        assert!(read[0].get_string(4).is_err() && read[1].get_long(1).is_err());
        assert!(write(table, &[]).unwrap().starts_with(b"PAR1"));
    }
}
