//! Fields and methods of events, alerts, sources and other structures (spec §1).

use super::{Cx, EMPTY, Eval, EvalError, not_a, space_of};
use crate::event::Kind;
use crate::expr::Prop;
use crate::function::Method;
use crate::overflow::no_overflow;
use crate::pool::{Space, known};
use crate::value::{EventRef, Map, Missing, Object, ObjectKind, Value};
use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;
use model::{Time, TimeMode};

impl Cx<'_> {
    /// Parts of the current event that are not texts.
    pub(super) fn event_prop(&mut self, prop: Prop) -> Eval<Value> {
        Ok(match prop {
            Prop::Event => Value::Event(EventRef::Current),
            Prop::Type => Value::Int(match self.event.kind {
                Kind::Log => 0,
                Kind::Overflow => 1,
            }),
            Prop::ExpectMode => Value::Int(match self.event.time_mode {
                TimeMode::Live => 0,
                TimeMode::Event => 1,
            }),
            Prop::Whitelisted => Value::Bool(self.event.whitelisted),
            Prop::Process => Value::Bool(self.event.process),
            Prop::Time => Value::Time(self.event.time),
            Prop::LineTime => Value::Time(self.event.line_time),
            Prop::LineProcess => Value::Bool(true),
            Prop::Line => self.line(),
            Prop::Unmarshaled => Value::Map(Arc::new(self.event.unmarshaled.clone())),
            Prop::Overflow => self.overflow(),
            Prop::Appsec => Value::object(ObjectKind::Appsec, Vec::new()),
        })
    }

    fn line(&self) -> Value {
        let text = |field| Value::Text(self.event.text(field).unwrap_or(EMPTY));
        Value::object(
            ObjectKind::Line,
            alloc::vec![
                ("Raw", text(known::LINE_RAW)),
                ("Src", text(known::LINE_SRC)),
                ("Time", Value::Time(self.event.line_time)),
                ("Labels", Value::Fields(EventRef::Current, Space::Label)),
                ("Process", Value::Bool(true)),
                ("Module", text(known::LINE_MODULE)),
            ],
        )
    }

    /// `evt.Overflow`, made once and kept until something writes to it.
    fn overflow(&mut self) -> Value {
        let event = &mut *self.event;
        let Some(overflow) = &event.overflow else { return no_overflow() };
        event.overflow_value.get_or_insert_with(|| overflow.value()).clone()
    }

    /// `of.name`
    pub(super) fn member(&mut self, of: &Value, name: &str) -> Eval<Value> {
        match of {
            Value::Map(map) => {
                Ok(map.entries.get(name).cloned().unwrap_or_else(|| map.missing.value()))
            }
            Value::Object(object) => object
                .field(name)
                .cloned()
                .ok_or_else(|| EvalError::new(format!("no field `{name}` here"))),
            Value::Fields(EventRef::Current, space) => {
                let text = self.event.named(*space, name, self.pool);
                Ok(Value::Text(text.unwrap_or(EMPTY)))
            }
            Value::Fields(EventRef::Kept(kept), space) => {
                let kept = Arc::clone(kept);
                let text = kept.named(*space, name, self.pool).unwrap_or("");
                Ok(Value::Text(self.event.push(text)))
            }
            Value::Event(event) => self.event_member(event, name),
            Value::Nil => Err(EvalError::new(format!("cannot read `{name}` of nil"))),
            other => Err(not_a("object", other)),
        }
    }

    fn event_member(&mut self, event: &EventRef, name: &str) -> Eval<Value> {
        if let Some(space) = space_of(name) {
            return Ok(Value::Fields(event.clone(), space));
        }
        let kept = match event {
            EventRef::Current => {
                if let Some(field) = self.pool.find_field(Space::Event, name) {
                    return Ok(Value::Text(self.event.text(field).unwrap_or(EMPTY)));
                }
                let prop = match name {
                    "Type" => Prop::Type,
                    "ExpectMode" => Prop::ExpectMode,
                    "Whitelisted" => Prop::Whitelisted,
                    "Process" => Prop::Process,
                    "Time" => Prop::Time,
                    "Line" => Prop::Line,
                    "Unmarshaled" => Prop::Unmarshaled,
                    "Overflow" => Prop::Overflow,
                    "Appsec" => Prop::Appsec,
                    _ => return Err(EvalError::new(format!("events have no field `{name}`"))),
                };
                return self.event_prop(prop);
            }
            EventRef::Kept(kept) => Arc::clone(kept),
        };
        Ok(match name {
            "Type" => Value::Int(i64::from(kept.kind == Kind::Overflow)),
            "ExpectMode" => Value::Int(i64::from(kept.time_mode == TimeMode::Event)),
            "Whitelisted" => Value::Bool(false),
            "Process" => Value::Bool(true),
            "Time" => Value::Time(kept.time),
            "Unmarshaled" => Value::Map(Arc::new(kept.unmarshaled().cloned().unwrap_or_default())),
            "Overflow" => kept.overflow().map_or_else(no_overflow, |overflow| overflow.value()),
            "Appsec" => Value::object(ObjectKind::Appsec, Vec::new()),
            "Line" => {
                let mut text = |field| {
                    let text = kept.get(field, self.pool).unwrap_or("");
                    Value::Text(self.event.push(text))
                };
                Value::object(
                    ObjectKind::Line,
                    alloc::vec![
                        ("Raw", text(known::LINE_RAW)),
                        ("Src", text(known::LINE_SRC)),
                        ("Module", text(known::LINE_MODULE)),
                        ("Labels", Value::Fields(event.clone(), Space::Label)),
                        ("Time", Value::Time(kept.time)),
                        ("Process", Value::Bool(true)),
                    ],
                )
            }
            _ => match self.pool.find_field(Space::Event, name) {
                Some(field) => {
                    let text = kept.get(field, self.pool).unwrap_or("");
                    Value::Text(self.event.push(text))
                }
                None => return Err(EvalError::new(format!("events have no field `{name}`"))),
            },
        })
    }

    /// `of.method(args)`
    pub(super) fn method(&mut self, of: &Value, method: Method, args: &[Value]) -> Eval<Value> {
        match of {
            Value::Event(event) => self.event_method(event, method, args),
            Value::Object(object) => self.object_method(object, method, args),
            Value::Time(time) => self.time_method(*time, method, args),
            Value::Duration(span) => self.duration_method(*span, method, args),
            Value::Nil => Err(EvalError::new(format!("cannot call `{}` on nil", method.name()))),
            other => Err(EvalError::new(format!(
                "{} has no method `{}`",
                other.type_name(),
                method.name()
            ))),
        }
    }

    fn event_method(&mut self, event: &EventRef, method: Method, args: &[Value]) -> Eval<Value> {
        match method {
            Method::GetType => {
                let kind = match event {
                    EventRef::Current => self.event.kind,
                    EventRef::Kept(kept) => kept.kind,
                };
                Ok(self.literal(match kind {
                    Kind::Log => "log",
                    Kind::Overflow => "overflow",
                }))
            }
            Method::GetMeta => {
                let key = self.arg_text(args, 0)?.to_owned();
                let text = match event {
                    EventRef::Current => match &self.event.overflow {
                        Some(overflow) => overflow.meta(&key).to_owned(),
                        None => {
                            let text = self.event.named(Space::Meta, &key, self.pool);
                            return Ok(Value::Text(text.unwrap_or(EMPTY)));
                        }
                    },
                    EventRef::Kept(kept) => match kept.overflow() {
                        Some(overflow) => overflow.meta(&key).to_owned(),
                        None => kept.named(Space::Meta, &key, self.pool).unwrap_or("").to_owned(),
                    },
                };
                Ok(self.literal(&text))
            }
            Method::SetMeta | Method::SetParsed => {
                let EventRef::Current = event else {
                    return Err(EvalError::new("events in a bucket cannot be changed"));
                };
                let key = self.arg_text(args, 0)?.to_owned();
                let value = match args.get(1) {
                    Some(Value::Text(text)) => text.clone(),
                    _ => return Err(EvalError::new("a text is needed as second argument")),
                };
                let space = if method == Method::SetMeta { Space::Meta } else { Space::Parsed };
                self.event.set_named(space, &key, value, self.pool);
                Ok(Value::Bool(true))
            }
            Method::ParseIpSources => {
                let texts: Vec<String> = match event {
                    EventRef::Current => self.event_addresses(),
                    EventRef::Kept(kept) => {
                        let ip = kept.get(known::META_SOURCE_IP, self.pool);
                        ip.into_iter().map(str::to_owned).collect()
                    }
                };
                let addresses =
                    texts.iter().filter(|text| text.parse::<IpAddr>().is_ok()).map(String::as_str);
                Ok(Value::texts(addresses))
            }
            _ => Err(EvalError::new(format!("events have no method `{}`", method.name()))),
        }
    }

    /// The addresses the current event is about, as texts.
    pub(crate) fn event_addresses(&self) -> Vec<String> {
        match &self.event.overflow {
            Some(overflow) => overflow.sources.iter().map(|(key, _)| key.clone()).collect(),
            None => {
                let ip = self.event.get(known::META_SOURCE_IP, self.pool);
                ip.into_iter().map(str::to_owned).collect()
            }
        }
    }

    fn object_method(&mut self, object: &Object, method: Method, args: &[Value]) -> Eval<Value> {
        let unknown =
            || Err(EvalError::new(format!("{:?} has no method `{}`", object.kind, method.name())));
        match (object.kind, method) {
            (ObjectKind::Overflow, Method::GetSources) => match object.field("Sources") {
                Some(Value::Map(sources)) => {
                    Ok(Value::texts(sources.entries.keys().map(|key| &**key)))
                }
                _ => Ok(Value::list(Vec::new())),
            },
            (ObjectKind::Alert, Method::GetScope | Method::GetValue) => {
                match object.field("Source") {
                    Some(Value::Object(source)) => {
                        let source = Arc::clone(source);
                        self.object_method(&source, method, args)
                    }
                    _ => Ok(self.literal("")),
                }
            }
            (ObjectKind::Alert, Method::GetScenario) => Ok(self.literal(object.text("Scenario"))),
            (ObjectKind::Alert, Method::GetEventsCount) => {
                Ok(object.field("EventsCount").cloned().unwrap_or(Value::Int(0)))
            }
            (ObjectKind::Alert | ObjectKind::AlertEvent, Method::GetMeta) => {
                let key = self.arg_text(args, 0)?.to_owned();
                let items = match object.field("Meta") {
                    Some(Value::List(items)) => Arc::clone(items),
                    _ => Arc::default(),
                };
                let found = items.iter().find_map(|item| match item {
                    Value::Object(item) if item.text("Key") == key => item.field("Value").cloned(),
                    _ => None,
                });
                Ok(found.unwrap_or_else(|| self.literal("")))
            }
            (ObjectKind::Source, Method::GetScope) => Ok(self.literal(object.text("Scope"))),
            (ObjectKind::Source, Method::GetValue) => Ok(self.literal(object.text("Value"))),
            (ObjectKind::Source, Method::GetAsNumberName) => {
                let number = object.text("AsNumber");
                let name = object.text("AsName");
                let mut text = String::new();
                if number != "0" {
                    text.push_str(number);
                    text.push(' ');
                }
                text.push_str(name);
                let text = text.trim_end().to_owned();
                Ok(self.literal(&text))
            }
            (ObjectKind::Source, Method::String) => {
                let text = source_text(object);
                Ok(self.literal(&text))
            }
            (ObjectKind::Event, Method::GetMeta) => {
                let key = self.arg_text(args, 0)?.to_owned();
                match object.field("Meta") {
                    Some(meta) => {
                        let meta = meta.clone();
                        self.member(&meta, &key)
                    }
                    None => Ok(self.literal("")),
                }
            }
            (ObjectKind::Event, Method::GetType) => {
                let overflow = matches!(object.field("Type"), Some(Value::Int(1)));
                Ok(self.literal(if overflow { "overflow" } else { "log" }))
            }
            _ => unknown(),
        }
    }

    fn time_method(&mut self, time: Time, method: Method, args: &[Value]) -> Eval<Value> {
        crate::eval::call::time_method(self, time, method, args)
    }

    fn duration_method(&mut self, span: i64, method: Method, args: &[Value]) -> Eval<Value> {
        crate::eval::call::duration_method(self, span, method, args)
    }

    /// A text as a value.
    pub(crate) fn literal(&mut self, text: &str) -> Value {
        Value::Text(self.event.push(text))
    }

    /// An argument that must be a text.
    pub(crate) fn arg_text<'b>(&'b self, args: &'b [Value], index: usize) -> Eval<&'b str> {
        match args.get(index) {
            Some(Value::Text(text)) => Ok(self.str(text)),
            Some(other) => Err(not_a("string", other)),
            None => Err(EvalError::new("an argument is missing")),
        }
    }
}

/// A source in one line: `ip 192.0.2.7 (FR/64496)`, `range …`, `<scope> <value>`.
fn source_text(source: &Object) -> String {
    let (scope, value) = (source.text("Scope"), source.text("Value"));
    let origin = match (source.text("Cn"), source.text("AsNumber")) {
        ("", "") => String::new(),
        (cn, asn) => format!(" ({cn}/{asn})"),
    };
    match scope {
        "" => "empty source".to_owned(),
        "Ip" => format!("ip {value}{origin}"),
        "Range" => format!("range {value}{origin}"),
        other => format!("{other} {value}"),
    }
}

/// An event as a tree of values with a life of its own: what hub tests look into.
#[must_use]
pub fn event_value(cx: &mut Cx<'_>) -> Value {
    let fields = |space| cx.lasting(Value::Fields(EventRef::Current, space));
    let text = |field| Value::shared(cx.event.get(field, cx.pool).unwrap_or(""));
    let line = Value::object(
        ObjectKind::Line,
        alloc::vec![
            ("Raw", text(known::LINE_RAW)),
            ("Src", text(known::LINE_SRC)),
            ("Time", Value::Time(cx.event.line_time)),
            ("Labels", fields(Space::Label)),
            ("Process", Value::Bool(true)),
            ("Module", text(known::LINE_MODULE)),
        ],
    );
    let unmarshaled = Map { missing: Missing::Nil, entries: cx.event.unmarshaled.entries.clone() };
    let kind = i64::from(cx.event.kind == Kind::Overflow);
    let mode = i64::from(cx.event.time_mode == TimeMode::Event);
    let mut values = alloc::vec![
        ("Type", Value::Int(kind)),
        ("ExpectMode", Value::Int(mode)),
        ("Whitelisted", Value::Bool(cx.event.whitelisted)),
        ("WhitelistReason", text(known::WHITELIST_REASON)),
        ("Stage", text(known::STAGE)),
        ("Line", line),
        ("Parsed", fields(Space::Parsed)),
        ("Enriched", fields(Space::Enriched)),
        ("Unmarshaled", Value::Map(Arc::new(unmarshaled))),
        ("Time", Value::Time(cx.event.time)),
        ("StrTime", text(known::STR_TIME)),
        ("StrTimeFormat", text(known::STR_TIME_FORMAT)),
        ("MarshaledTime", text(known::MARSHALED_TIME)),
        ("Process", Value::Bool(cx.event.process)),
        ("Meta", fields(Space::Meta)),
    ];
    let overflow = match &cx.event.overflow {
        Some(overflow) => overflow.value(),
        None => no_overflow(),
    };
    values.push(("Overflow", overflow));
    Value::object(ObjectKind::Event, values)
}
