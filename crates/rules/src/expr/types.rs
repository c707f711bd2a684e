//! What the checker knows about the value of an expression before it runs.
//!
//! A type is a promise in one direction only: [`Type::Any`] stands for "known when it runs", and any
//! value may turn out to be nil, since absent parts of an event are.

use super::objects::Object;
use core::fmt::{Display, Formatter, Result};

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Known only when the expression runs
    Any,
    /// `nil` and nothing else
    Nil,
    /// `true` or `false`
    Bool,
    /// A whole number
    Int,
    /// A number with a fraction
    Float,
    /// A text
    Str,
    /// A list of bytes
    Bytes,
    /// A point in time
    Time,
    /// A length of time
    Duration,
    /// A day of the week, which is also a number
    Weekday,
    /// A month of the year, which is also a number
    Month,
    /// A time zone
    Location,
    /// A list whose elements have one type
    List(Box<Self>),
    /// A map from texts to values of one type
    Map(Box<Self>),
    /// Something with named fields and methods
    Object(Object),
}

/// A type as constant tables write it down.
#[derive(Clone, Debug)]
pub enum Shape {
    /// The type itself
    Is(Type),
    /// A list of it
    ListOf(Type),
    /// A map to it
    MapOf(Type),
    /// A map to lists of it
    MapOfLists(Type),
    /// A list of maps to it
    ListOfMaps(Type),
}

impl Shape {
    /// Returns the type that is meant.
    #[must_use]
    pub fn to_type(&self) -> Type {
        match self {
            Self::Is(of) => of.clone(),
            Self::ListOf(of) => Type::list(of.clone()),
            Self::MapOf(of) => Type::map(of.clone()),
            Self::MapOfLists(of) => Type::map(Type::list(of.clone())),
            Self::ListOfMaps(of) => Type::list(Type::map(of.clone())),
        }
    }
}

impl Type {
    /// Returns the type of a list of `element`s.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// Returns the type of a map to `value`s.
    #[must_use]
    pub fn map(value: Self) -> Self {
        Self::Map(Box::new(value))
    }

    /// Tells whether nothing is known about the value.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// Tells whether the value may be a truth value.
    #[must_use]
    pub fn may_be_bool(&self) -> bool {
        matches!(self, Self::Any | Self::Bool)
    }

    /// Tells whether the value may be a text.
    #[must_use]
    pub fn may_be_text(&self) -> bool {
        matches!(self, Self::Any | Self::Str)
    }

    /// Tells whether the value is known to be a whole number; durations are counted in nanoseconds.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Int | Self::Duration | Self::Weekday | Self::Month)
    }

    /// Tells whether the value is known to be a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.is_whole() || *self == Self::Float
    }

    /// Tells whether the value may be a whole number.
    #[must_use]
    pub fn may_be_whole(&self) -> bool {
        self.is_any() || self.is_whole()
    }

    /// Tells whether the value may be a number.
    #[must_use]
    pub fn may_be_number(&self) -> bool {
        self.is_any() || self.is_number()
    }

    /// Returns the type of the elements, if the value may be a list.
    #[must_use]
    pub fn element(&self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::List(element) => Some((**element).clone()),
            Self::Bytes => Some(Self::Int),
            Self::Object(object) => object.element(),
            Self::Nil
            | Self::Bool
            | Self::Int
            | Self::Float
            | Self::Str
            | Self::Time
            | Self::Duration
            | Self::Weekday
            | Self::Month
            | Self::Location
            | Self::Map(_) => None,
        }
    }

    /// Tells whether values of the two types can be equal at all; if not, comparing them is a
    /// mistake.
    #[must_use]
    pub fn is_comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Nil, _) | (_, Self::Any | Self::Nil) => true,
            (Self::List(one), Self::List(another)) | (Self::Map(one), Self::Map(another)) => {
                one.is_comparable(another)
            }
            (Self::Bytes, Self::List(element)) | (Self::List(element), Self::Bytes) => {
                element.may_be_whole()
            }
            (one, another) => one == another || (one.is_number() && another.is_number()),
        }
    }

    /// Returns the type of a value that has one of the two types.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nil, only) | (only, Self::Nil) => only,
            (Self::List(one), Self::List(another)) => Self::list(one.join(*another)),
            (Self::Map(one), Self::Map(another)) => Self::map(one.join(*another)),
            (one, another) if one == another => one,
            _ => Self::Any,
        }
    }

    /// Returns the type of the elements that lists of all these types have.
    pub fn join_all(types: impl IntoIterator<Item = Self>) -> Self {
        types.into_iter().reduce(Self::join).unwrap_or(Self::Any)
    }
}

/// Names the type in a sentence: `a string`, `a list of events`.
impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::List(element) => {
                f.write_str("a list")?;
                of_plural(f, element)
            }
            Self::Map(value) => {
                f.write_str("a map")?;
                of_plural(f, value)
            }
            Self::Object(object) => f.write_str(object.description()),
            _ => f.write_str(self.singular()),
        }
    }
}

impl Type {
    fn singular(&self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Nil => "nil",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Str => "a string",
            Self::Bytes => "a byte string",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Weekday => "a day of the week",
            Self::Month => "a month",
            Self::Location => "a time zone",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Object(object) => object.description(),
        }
    }
}

/// Adds what a list or map holds, where that is known and short to say.
fn of_plural(f: &mut Formatter<'_>, of: &Type) -> Result {
    let plural = match of {
        Type::Bool => "booleans",
        Type::Int => "integers",
        Type::Float => "floats",
        Type::Str => "strings",
        Type::Time => "times",
        Type::Duration => "durations",
        Type::List(_) => "lists",
        Type::Map(_) => "maps",
        Type::Any
        | Type::Nil
        | Type::Bytes
        | Type::Weekday
        | Type::Month
        | Type::Location
        | Type::Object(_) => return Ok(()),
    };
    write!(f, " of {plural}")
}

#[cfg(test)]
mod tests {
    use super::Type;
    use crate::expr::objects::Object;

    #[test]
    fn numbers_of_all_widths_compare() {
        assert!(Type::Int.is_comparable(&Type::Float));
        assert!(Type::Weekday.is_comparable(&Type::Int));
        assert!(!Type::Int.is_comparable(&Type::Str));
        assert!(!Type::list(Type::Int).is_comparable(&Type::list(Type::Str)));
        assert!(Type::list(Type::Any).is_comparable(&Type::list(Type::Str)));
    }

    #[test]
    fn joining_keeps_what_both_promise() {
        assert_eq!(Type::Nil.join(Type::Str), Type::Str);
        assert_eq!(Type::Int.join(Type::Str), Type::Any);
        assert_eq!(Type::list(Type::Nil).join(Type::list(Type::Int)), Type::list(Type::Int));
        assert_eq!(Type::join_all([]), Type::Any);
    }

    #[test]
    fn types_read_as_words() {
        assert_eq!(Type::map(Type::list(Type::Str)).to_string(), "a map of lists");
        assert_eq!(Type::list(Type::Any).to_string(), "a list");
        assert_eq!(Type::Object(Object::Event).to_string(), "an event");
    }
}
