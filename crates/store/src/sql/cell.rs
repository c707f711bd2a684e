//! Values on their way into and out of a database.
//!
//! PostgreSQL says of each parameter and column of which type it is; a [`Cell`] takes that shape.
//! So the same text is an instant for a column of instants and a text for one of texts, and tables
//! that other programs made are read and written in the types those chose.

use std::{borrow::Cow, error::Error as StdError};

use bytes::{BufMut as _, BytesMut};
use model::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::time;

/// Seconds from 1970 to 2000, where PostgreSQL begins to count.
const EPOCH: i64 = 946_684_800;

/// One value. A truth is 0 or 1, an instant its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    /// Bytes that are no text; nothing here can use them.
    Other,
}

/// A value that belongs to nobody else.
pub(crate) type Value = Cell<'static>;

impl<'a> Cell<'a> {
    pub(crate) fn from_sqlite(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::Real(real),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_or(Self::Other, |text| Self::Text(text.into()))
            }
            ValueRef::Blob(_) => Self::Other,
        }
    }

    /// The text, where it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Other => None,
        }
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl rusqlite::ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null | Self::Other => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

type Trouble = Box<dyn StdError + Sync + Send>;

impl ToSql for Cell<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Trouble> {
        let unfit = || format!("{self:?} does not fit a column of type {ty}");
        match self {
            Self::Null | Self::Other => return Ok(IsNull::Yes),
            Self::Integer(integer) => match *ty {
                Type::INT8 => out.put_i64(*integer),
                Type::INT4 => out.put_i32(i32::try_from(*integer)?),
                Type::INT2 => out.put_i16(i16::try_from(*integer)?),
                Type::BOOL => out.put_u8(u8::from(*integer != 0)),
                _ => return Err(unfit().into()),
            },
            Self::Real(real) => match *ty {
                Type::FLOAT8 => out.put_f64(*real),
                #[expect(clippy::cast_possible_truncation, reason = "the column holds no more")]
                Type::FLOAT4 => out.put_f32(*real as f32),
                _ => return Err(unfit().into()),
            },
            Self::Text(text) => match *ty {
                Type::TIMESTAMPTZ | Type::TIMESTAMP => out.put_i64(to_micros(text)),
                Type::JSONB => {
                    // The version of the format.
                    out.put_u8(1);
                    put_text(text, out);
                }
                _ => put_text(text, out),
            },
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// PostgreSQL's texts cannot hold the character 0, which alerts from anywhere may contain.
fn put_text(text: &str, out: &mut BytesMut) {
    if text.contains('\0') {
        out.put_slice(text.replace('\0', "\u{fffd}").as_bytes());
    } else {
        out.put_slice(text.as_bytes());
    }
}

/// An instant as PostgreSQL counts it. What is no instant lies before all of them, as the empty text
/// lies before every text.
fn to_micros(text: &str) -> i64 {
    time::from_text(text)
        .map_or(i64::MIN, |at| at.unix_nanos().div_euclid(1000) - EPOCH * 1_000_000)
}

/// An instant's text. Those beyond what an instant can be become the first or the last.
fn from_micros(micros: i64) -> String {
    let unix = micros.saturating_add(EPOCH * 1_000_000);
    time::to_text(Timestamp::from_unix_nanos(unix.saturating_mul(1000)))
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Trouble> {
        Ok(match *ty {
            Type::INT8 => Self::Integer(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Self::Integer(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => Self::Integer(i16::from_be_bytes(raw.try_into()?).into()),
            Type::BOOL => Self::Integer(i64::from(raw.first().is_some_and(|byte| *byte != 0))),
            Type::FLOAT8 => Self::Real(f64::from_be_bytes(raw.try_into()?)),
            Type::FLOAT4 => Self::Real(f32::from_be_bytes(raw.try_into()?).into()),
            Type::TIMESTAMPTZ | Type::TIMESTAMP => {
                Self::Text(from_micros(i64::from_be_bytes(raw.try_into()?)).into())
            }
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::JSON | Type::NAME => {
                Self::Text(std::str::from_utf8(raw)?.into())
            }
            Type::JSONB => {
                Self::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?.into())
            }
            _ => Self::Other,
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Trouble> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What can be a parameter.
pub(crate) trait Bind {
    fn bind(&self) -> Cell<'_>;
}

impl Bind for Cell<'_> {
    fn bind(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Self::Null => Cell::Null,
            Self::Integer(integer) => Cell::Integer(*integer),
            Self::Real(real) => Cell::Real(*real),
            Self::Other => Cell::Other,
        }
    }
}

macro_rules! integers {
    ($($ty:ty),*) => {
        $(impl Bind for $ty {
            fn bind(&self) -> Cell<'_> {
                Cell::Integer(i64::from(*self))
            }
        })*
    };
}
integers!(i64, i32, u32, bool);

macro_rules! reals {
    ($($ty:ty),*) => {
        $(impl Bind for $ty {
            fn bind(&self) -> Cell<'_> {
                Cell::Real(f64::from(*self))
            }
        })*
    };
}
reals!(f32, f64);

impl Bind for str {
    fn bind(&self) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(self))
    }
}

impl Bind for String {
    fn bind(&self) -> Cell<'_> {
        self.as_str().bind()
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Cell<'_> {
        (**self).bind()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, Bind::bind)
    }
}

/// The parameters of a statement: `()`, an array, a vector, or `params![…]` where types differ.
pub(crate) trait Params {
    fn cells(&self) -> impl Iterator<Item = Cell<'_>>;
}

impl Params for () {
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        std::iter::empty()
    }
}

impl<T: Bind, const N: usize> Params for [T; N] {
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.iter().map(Bind::bind)
    }
}

impl<const N: usize> Params for &[&dyn Bind; N] {
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.iter().map(|value| value.bind())
    }
}

impl Params for Vec<Value> {
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.iter().map(Bind::bind)
    }
}

/// Parameters of different types.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::sql::Bind),*]
    };
}
pub(crate) use params;

/// What a column can be read as.
pub(crate) trait FromCell: Sized {
    /// `None` when the cell holds something else.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Integer(integer) = cell { Some(integer) } else { None }
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Integer(integer) = cell { Some(integer != 0) } else { None }
    }
}

impl FromCell for f64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Real(real) => Some(real),
            // SQLite keeps a whole number as such.
            #[expect(clippy::cast_precision_loss, reason = "no coordinate is that large")]
            Cell::Integer(integer) => Some(integer as Self),
            Cell::Null | Cell::Text(_) | Cell::Other => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.into_owned()) } else { None }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(cell: &Cell<'_>, ty: &Type) -> Option<Value> {
        let mut bytes = BytesMut::new();
        match cell.to_sql(ty, &mut bytes).ok()? {
            IsNull::Yes => Some(Cell::Null),
            IsNull::No => match Cell::from_sql(ty, &bytes).ok()? {
                Cell::Text(text) => Some(text.into_owned().into()),
                Cell::Integer(integer) => Some(Cell::Integer(integer)),
                Cell::Real(real) => Some(Cell::Real(real)),
                Cell::Null => Some(Cell::Null),
                Cell::Other => Some(Cell::Other),
            },
        }
    }

    #[test]
    fn a_cell_takes_the_shape_of_its_column() {
        let check = |cell: Value, ty: Type, want: Option<Value>| {
            assert_eq!(round_trip(&cell, &ty), want, "{cell:?} as {ty}");
        };
        let text = |text: &str| Value::from(text.to_owned());
        check(Cell::Integer(7), Type::INT8, Some(Cell::Integer(7)));
        check(Cell::Integer(7), Type::INT2, Some(Cell::Integer(7)));
        check(Cell::Integer(1 << 40), Type::INT4, None);
        check(Cell::Integer(2), Type::BOOL, Some(Cell::Integer(1)));
        check(Cell::Integer(2), Type::TIMESTAMPTZ, None);
        check(Cell::Real(2.25), Type::FLOAT4, Some(Cell::Real(2.25)));
        check(Cell::Null, Type::TEXT, Some(Cell::Null));
        check(text("a\0b"), Type::TEXT, Some(text("a\u{fffd}b")));
        check(text("{}"), Type::JSONB, Some(text("{}")));
    }

    #[test]
    fn instants_keep_their_microseconds_and_their_order() {
        let check = |sent: &str, want: &str| {
            let cell = Value::from(sent.to_owned());
            assert_eq!(round_trip(&cell, &Type::TIMESTAMPTZ), Some(want.to_owned().into()));
        };
        check("2023-11-14 22:13:20+00:00", "2023-11-14 22:13:20+00:00");
        check("2023-11-14 22:13:20.123456789+00:00", "2023-11-14 22:13:20.123456+00:00");
        check("1969-12-31 23:59:59.999999999+00:00", "1969-12-31 23:59:59.999999+00:00");
        check("1999-01-01 00:00:00.5+00:00", "1999-01-01 00:00:00.5+00:00");
        let first = time::to_text(Timestamp::MIN);
        check("", &first);
        assert!(
            to_micros("") < to_micros(&first)
                && to_micros(&first) < to_micros("1970-01-01 00:00:00")
        );
        // The year 1, as others write "never"; infinity, as people do.
        assert_eq!(from_micros(-63_082_281_600_000_000), first);
        assert_eq!(from_micros(i64::MAX), time::to_text(Timestamp::MAX));
    }
}
