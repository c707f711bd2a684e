//! What expressions compute with.
//!
//! Most values an expression meets are texts, and most of those are pieces of the event: a
//! [`Text`] is a range of the event's arena or the number of a literal, so passing one around
//! copies sixteen bytes and no characters.

use crate::event::{Event, Snapshot};
use crate::pool::{LitId, Pool, Space};
use alloc::{borrow::Cow, boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use model::Time;

/// A text value.
#[derive(Clone, Debug)]
pub enum Text {
    /// A range of the current event's arena.
    Arena {
        /// First byte
        start: u32,
        /// Bytes
        len: u32,
    },
    /// A literal of the program.
    Lit(LitId),
    /// A text with a life of its own: an element of a list, a value of a JSON tree.
    Shared(Arc<str>),
}

/// A value of the expression language.
#[derive(Clone, Debug)]
pub enum Value {
    /// `nil`
    Nil,
    /// A boolean
    Bool(bool),
    /// An integer
    Int(i64),
    /// A float
    Float(f64),
    /// A text
    Text(Text),
    /// Bytes, from `b"…"`
    Bytes(Arc<[u8]>),
    /// An instant
    Time(Time),
    /// A length of time in nanoseconds
    Duration(i64),
    /// A list. `Arc` because lists outlive the event when a snapshot keeps them.
    List(Arc<Vec<Self>>),
    /// A map with text keys
    Map(Arc<Map>),
    /// A structure with named fields and methods
    Object(Arc<Object>),
    /// An event: the current one or one of a bucket's queue
    Event(EventRef),
    /// One of an event's maps of texts
    Fields(EventRef, Space),
}

/// Which event a value speaks of.
#[derive(Clone, Debug)]
pub enum EventRef {
    /// The event being processed.
    Current,
    /// An event kept in a bucket.
    Kept(Arc<Snapshot>),
}

/// A map with text keys, in byte-wise order (I2).
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// What reading a key that is not there gives.
    pub missing: Missing,
    /// The pairs. Texts are [`Text::Shared`].
    pub entries: BTreeMap<Arc<str>, Value>,
}

/// What reading an absent key of a map gives: Go's zero value of the map's element type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// `map[string]any`
    #[default]
    Nil,
    /// `map[string]string`
    Text,
    /// `map[string][]T`
    List,
    /// A map of such maps
    MapOfLists,
}

impl Missing {
    /// The value of an absent key.
    #[must_use]
    pub fn value(self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Text => Value::shared(""),
            Self::List => Value::List(Arc::new(Vec::new())),
            Self::MapOfLists => {
                Value::Map(Arc::new(Map { missing: Self::List, entries: BTreeMap::new() }))
            }
        }
    }
}

/// A structure: what Go would print as a struct.
#[derive(Clone, Debug)]
pub struct Object {
    /// Which methods it has.
    pub kind: ObjectKind,
    /// Its fields in declaration order.
    pub fields: Vec<(&'static str, Value)>,
}

impl Object {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The text of a field, empty when it is absent or no [`Text::Shared`].
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Value::Text(Text::Shared(text))) => text,
            _ => "",
        }
    }
}

/// What an [`Object`] is, which decides its methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after spec §1")]
pub enum ObjectKind {
    Event,
    Line,
    Overflow,
    Alert,
    Source,
    AlertEvent,
    MetaItem,
    Queue,
    Bucket,
    Geo,
    Http,
    Appsec,
    Other,
}

impl Value {
    /// A text with a life of its own.
    #[must_use]
    pub fn shared(text: &str) -> Self {
        Self::Text(Text::Shared(Arc::from(text)))
    }

    /// A list of texts.
    #[must_use]
    pub fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(Arc::new(items.into_iter().map(Self::shared).collect()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    /// A structure.
    #[must_use]
    pub fn object(kind: ObjectKind, fields: Vec<(&'static str, Self)>) -> Self {
        Self::Object(Arc::new(Object { kind, fields }))
    }

    /// The name `type()` gives.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::List(_) => "array",
            Self::Map(_) | Self::Fields(..) => "map",
            Self::Object(_) | Self::Event(_) => "struct",
        }
    }
}

impl Text {
    /// The characters, given the event and the pool the text refers to.
    #[must_use]
    pub fn get<'a>(&'a self, event: &'a Event, pool: &'a Pool) -> &'a str {
        match self {
            Self::Arena { start, len } => event.arena(*start, *len),
            Self::Lit(lit) => pool.lit_text(*lit),
            Self::Shared(text) => text,
        }
    }
}

/// Why an expression gave no value. The place it stands in decides what that means (spec §6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError(pub Box<str>);

impl EvalError {
    /// An error with a message of its own.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        let message: Cow<'static, str> = message.into();
        Self(String::from(message).into_boxed_str())
    }
}

impl core::fmt::Display for EvalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for EvalError {}
