//! The objects an expression can reach, with their fields and methods, and where each is offered.
//!
//! COMPAT(crowdsec): names and types are those rules are written against. An object that this list
//! does not know in full is open: what it may have besides is found out when the expression runs.

use super::signatures::Param;
use super::types::{Shape, Type};
use engine::function::Method;

/// The place an expression is written in, which decides what it can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Parsers, postoverflows, enrichers, and scenarios before an event is poured: `evt`
    Event,
    /// Conditions of a bucket, which run after an event is poured: `evt`, `queue`, `leaky`
    Pour,
    /// The `overflow_filter` of a scenario: `queue`, `signal`, `leaky`, and `evt`, which is nil
    Overflow,
    /// Profiles: `Alert`
    Profile,
    /// Alert contexts: `evt`, `match`, `req`
    Context,
    /// Assertions of hub tests: `results`
    HubTest,
}

impl Place {
    /// Every place.
    pub const ALL: &'static [Self] =
        &[Self::Event, Self::Pour, Self::Overflow, Self::Profile, Self::Context, Self::HubTest];

    /// Returns what an expression in this place can name.
    #[must_use]
    pub const fn roots(self) -> &'static [Root] {
        match self {
            Self::Event => &[Root::Event],
            Self::Pour => &[Root::Event, Root::Queue, Root::Leaky],
            Self::Overflow => &[Root::Event, Root::Queue, Root::Leaky, Root::Signal],
            Self::Profile => &[Root::Alert],
            Self::Context => &[Root::Event, Root::Match, Root::Request],
            Self::HubTest => &[Root::Results],
        }
    }
}

/// A variable that the place of an expression offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// `evt`: the event at hand
    Event,
    /// `queue`: the events of the bucket
    Queue,
    /// `leaky`: the bucket
    Leaky,
    /// `signal`: the overflow
    Signal,
    /// `Alert`: the alert a profile decides about
    Alert,
    /// `match`: the rule that matched a request
    Match,
    /// `req`: the request
    Request,
    /// `results`: what a hub test gave
    Results,
}

impl Root {
    /// Every variable of every place.
    pub const ALL: &'static [Self] = &[
        Self::Event,
        Self::Queue,
        Self::Leaky,
        Self::Signal,
        Self::Alert,
        Self::Match,
        Self::Request,
        Self::Results,
    ];

    /// Returns the variable's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "evt",
            Self::Queue => "queue",
            Self::Leaky => "leaky",
            Self::Signal => "signal",
            Self::Alert => "Alert",
            Self::Match => "match",
            Self::Request => "req",
            Self::Results => "results",
        }
    }

    /// Returns the variable's type.
    #[must_use]
    pub const fn as_type(self) -> Type {
        match self {
            Self::Event => Type::Object(Object::Event),
            Self::Queue => Type::Object(Object::Queue),
            Self::Leaky => Type::Object(Object::Leaky),
            Self::Signal => Type::Object(Object::Overflow),
            Self::Alert => Type::Object(Object::Alert),
            Self::Match | Self::Request | Self::Results => Type::Any,
        }
    }
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A line on its way through the parsers, or an overflow on its way through postoverflows
    Event,
    /// The line of an event
    Line,
    /// What a bucket gave: `evt.Overflow`, `signal`
    Overflow,
    /// An alert as it is sent
    Alert,
    /// The source of an alert
    Source,
    /// An event within an alert
    AlertEvent,
    /// A key and a value of an alert or of one of its events
    MetaItem,
    /// A decision within an alert
    Decision,
    /// What request inspection found: `evt.Appsec`
    Appsec,
    /// The rules that matched a request, as a list of maps
    MatchedRules,
    /// The events of a bucket
    Queue,
    /// A bucket
    Leaky,
    /// What a city database knows about an address
    GeoCity,
    /// The country part of [`Object::GeoCity`]
    GeoCountry,
    /// The location part of [`Object::GeoCity`]
    GeoLocation,
    /// What a network database knows about an address
    GeoAsn,
    /// A range of addresses
    Network,
    /// What threat intelligence knows about an address
    Cti,
    /// The answer to a request
    HttpResponse,
}

/// A field: its name and what it holds.
pub type Field = (&'static str, Shape);

/// A method: its name, what it takes and what it gives.
#[derive(Clone, Debug)]
pub struct MethodSignature {
    /// The method.
    pub method: Method,
    /// What it takes; there are no optional arguments.
    pub params: &'static [Param],
    /// What it gives.
    pub result: Shape,
}

impl Object {
    /// Returns the object's fields.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Event => EVENT,
            Self::Line => LINE,
            Self::Overflow => OVERFLOW,
            Self::Alert => ALERT,
            Self::Source => SOURCE,
            Self::AlertEvent => ALERT_EVENT,
            Self::MetaItem => META_ITEM,
            Self::Decision => DECISION,
            Self::Appsec => APPSEC,
            Self::Queue => QUEUE,
            Self::Leaky => LEAKY,
            Self::GeoCity => GEO_CITY,
            Self::GeoCountry => GEO_COUNTRY,
            Self::GeoLocation => GEO_LOCATION,
            Self::GeoAsn => GEO_ASN,
            Self::HttpResponse => HTTP_RESPONSE,
            Self::MatchedRules | Self::Network | Self::Cti => &[],
        }
    }

    /// Returns the object's methods.
    #[must_use]
    pub const fn methods(self) -> &'static [MethodSignature] {
        match self {
            Self::Event => EVENT_METHODS,
            Self::Overflow => OVERFLOW_METHODS,
            Self::Alert => ALERT_METHODS,
            Self::Source => SOURCE_METHODS,
            Self::AlertEvent => ALERT_EVENT_METHODS,
            Self::Appsec => APPSEC_METHODS,
            Self::MatchedRules => MATCHED_RULES_METHODS,
            Self::Network => STRING_METHODS,
            Self::Cti => CTI_METHODS,
            Self::Line
            | Self::MetaItem
            | Self::Decision
            | Self::Queue
            | Self::Leaky
            | Self::GeoCity
            | Self::GeoCountry
            | Self::GeoLocation
            | Self::GeoAsn
            | Self::HttpResponse => &[],
        }
    }

    /// Returns the type of a field by its name.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|(known, _)| *known == name)
    }

    /// Tells whether the object may have fields and methods that are not listed.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::GeoCity | Self::GeoCountry | Self::GeoLocation | Self::Network | Self::Cti
        )
    }

    /// Returns the type of the elements, if the object is also a list.
    #[must_use]
    pub fn element(self) -> Option<Type> {
        (self == Self::MatchedRules).then(|| Type::map(Type::Any))
    }

    /// Names the object in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Event => "an event",
            Self::Line => "the line of an event",
            Self::Overflow => "an overflow",
            Self::Alert => "an alert",
            Self::Source => "the source of an alert",
            Self::AlertEvent => "an event of an alert",
            Self::MetaItem => "a meta item of an alert",
            Self::Decision => "a decision",
            Self::Appsec => "the findings about a request",
            Self::MatchedRules => "the rules that matched a request",
            Self::Queue => "the queue of a bucket",
            Self::Leaky => "a bucket",
            Self::GeoCity => "the location of an address",
            Self::GeoCountry => "the country of an address",
            Self::GeoLocation => "the coordinates of an address",
            Self::GeoAsn => "the network of an address",
            Self::Network => "a range of addresses",
            Self::Cti => "threat intelligence about an address",
            Self::HttpResponse => "the answer to a request",
        }
    }
}

impl Type {
    /// Returns the methods that values of this type have.
    #[must_use]
    pub const fn methods(&self) -> &'static [MethodSignature] {
        match self {
            Self::Time => TIME_METHODS,
            Self::Duration => DURATION_METHODS,
            Self::Weekday | Self::Month | Self::Location => STRING_METHODS,
            Self::Object(object) => object.methods(),
            Self::Any
            | Self::Nil
            | Self::Bool
            | Self::Int
            | Self::Float
            | Self::Str
            | Self::Bytes
            | Self::List(_)
            | Self::Map(_) => &[],
        }
    }
}

const BOOL: Shape = Shape::Is(Type::Bool);
const INT: Shape = Shape::Is(Type::Int);
const FLOAT: Shape = Shape::Is(Type::Float);
const STR: Shape = Shape::Is(Type::Str);
const TIME: Shape = Shape::Is(Type::Time);
const DURATION: Shape = Shape::Is(Type::Duration);
const ANY: Shape = Shape::Is(Type::Any);
const STRINGS: Shape = Shape::ListOf(Type::Str);

const fn object(object: Object) -> Shape {
    Shape::Is(Type::Object(object))
}

const fn list_of(object: Object) -> Shape {
    Shape::ListOf(Type::Object(object))
}

const EVENT: &[Field] = &[
    ("Type", INT),
    ("ExpectMode", INT),
    ("Whitelisted", BOOL),
    ("WhitelistReason", STR),
    ("Stage", STR),
    ("Line", object(Object::Line)),
    ("Parsed", Shape::MapOf(Type::Str)),
    ("Enriched", Shape::MapOf(Type::Str)),
    ("Unmarshaled", Shape::MapOf(Type::Any)),
    ("Overflow", object(Object::Overflow)),
    ("Time", TIME),
    ("StrTime", STR),
    ("StrTimeFormat", STR),
    ("MarshaledTime", STR),
    ("Process", BOOL),
    ("Appsec", object(Object::Appsec)),
    ("Meta", Shape::MapOf(Type::Str)),
];

const LINE: &[Field] = &[
    ("Raw", STR),
    ("Src", STR),
    ("Time", TIME),
    ("Labels", Shape::MapOf(Type::Str)),
    ("Process", BOOL),
    ("Module", STR),
];

const OVERFLOW: &[Field] = &[
    ("Mapkey", STR),
    ("BucketId", STR),
    ("Whitelisted", BOOL),
    ("Reprocess", BOOL),
    ("Sources", Shape::MapOf(Type::Object(Object::Source))),
    ("Alert", object(Object::Alert)),
    ("APIAlerts", list_of(Object::Alert)),
];

const ALERT: &[Field] = &[
    ("Capacity", INT),
    ("CreatedAt", STR),
    ("Decisions", list_of(Object::Decision)),
    ("Events", list_of(Object::AlertEvent)),
    ("EventsCount", INT),
    ("ID", INT),
    ("Kind", STR),
    ("Labels", STRINGS),
    ("Leakspeed", STR),
    ("MachineID", STR),
    ("Message", STR),
    ("Meta", list_of(Object::MetaItem)),
    ("Remediation", BOOL),
    ("Scenario", STR),
    ("ScenarioHash", STR),
    ("ScenarioVersion", STR),
    ("Simulated", BOOL),
    ("Source", object(Object::Source)),
    ("StartAt", STR),
    ("StopAt", STR),
    ("UUID", STR),
];

const SOURCE: &[Field] = &[
    ("IP", STR),
    ("Range", STR),
    ("Scope", STR),
    ("Value", STR),
    ("AsName", STR),
    ("AsNumber", STR),
    ("Cn", STR),
    ("Latitude", FLOAT),
    ("Longitude", FLOAT),
];

const ALERT_EVENT: &[Field] = &[("Meta", list_of(Object::MetaItem)), ("Timestamp", STR)];

const META_ITEM: &[Field] = &[("Key", STR), ("Value", STR)];

const DECISION: &[Field] = &[
    ("Duration", STR),
    ("ID", INT),
    ("Origin", STR),
    ("Scenario", STR),
    ("Scope", STR),
    ("Simulated", BOOL),
    ("Type", STR),
    ("Until", STR),
    ("UUID", STR),
    ("Value", STR),
];

const APPSEC: &[Field] = &[
    ("HasInBandMatches", BOOL),
    ("HasOutBandMatches", BOOL),
    ("MatchedRules", object(Object::MatchedRules)),
    ("Vars", Shape::MapOf(Type::Any)),
    ("HookVars", Shape::MapOf(Type::Any)),
];

const QUEUE: &[Field] = &[("Queue", list_of(Object::Event)), ("L", INT)];

const LEAKY: &[Field] = &[
    ("Name", STR),
    ("Mode", INT),
    ("Queue", object(Object::Queue)),
    ("Capacity", INT),
    ("CacheSize", INT),
    ("Mapkey", STR),
    ("Reprocess", BOOL),
    ("Simulated", BOOL),
    ("Uuid", STR),
    ("First_ts", TIME),
    ("Last_ts", TIME),
    ("Ovflw_ts", TIME),
    ("Total_count", INT),
    ("Leakspeed", DURATION),
    ("Duration", DURATION),
];

const GEO_CITY: &[Field] =
    &[("Country", object(Object::GeoCountry)), ("Location", object(Object::GeoLocation))];

const GEO_COUNTRY: &[Field] = &[("IsoCode", STR), ("IsInEuropeanUnion", BOOL)];

const GEO_LOCATION: &[Field] = &[("Latitude", FLOAT), ("Longitude", FLOAT), ("TimeZone", STR)];

const GEO_ASN: &[Field] = &[("AutonomousSystemNumber", INT), ("AutonomousSystemOrganization", STR)];

const HTTP_RESPONSE: &[Field] =
    &[("StatusCode", INT), ("Body", STR), ("Headers", Shape::MapOf(Type::Any))];

const fn method(method: Method, params: &'static [Param], result: Shape) -> MethodSignature {
    MethodSignature { method, params, result }
}

const EVENT_METHODS: &[MethodSignature] = &[
    method(Method::GetType, &[], STR),
    method(Method::GetMeta, &[Param::Str], STR),
    method(Method::SetMeta, &[Param::Str, Param::Str], BOOL),
    method(Method::SetParsed, &[Param::Str, Param::Str], BOOL),
    method(Method::ParseIpSources, &[], Shape::ListOf(Type::Any)),
];

const OVERFLOW_METHODS: &[MethodSignature] = &[method(Method::GetSources, &[], STRINGS)];

const ALERT_METHODS: &[MethodSignature] = &[
    method(Method::GetScope, &[], STR),
    method(Method::GetValue, &[], STR),
    method(Method::GetScenario, &[], STR),
    method(Method::GetEventsCount, &[], INT),
    method(Method::GetMeta, &[Param::Str], STR),
];

const SOURCE_METHODS: &[MethodSignature] = &[
    method(Method::GetScope, &[], STR),
    method(Method::GetValue, &[], STR),
    method(Method::GetAsNumberName, &[], STR),
    method(Method::String, &[], STR),
];

const ALERT_EVENT_METHODS: &[MethodSignature] = &[method(Method::GetMeta, &[Param::Str], STR)];

const APPSEC_METHODS: &[MethodSignature] = &[method(Method::GetVar, &[Param::Str], STR)];

const MATCHED_RULES_METHODS: &[MethodSignature] = &[
    method(Method::ById, &[Param::Any], object(Object::MatchedRules)),
    method(Method::ByKind, &[Param::Str], object(Object::MatchedRules)),
    method(Method::ByTag, &[Param::Str], object(Object::MatchedRules)),
    method(Method::ByTags, &[Param::List], object(Object::MatchedRules)),
    method(Method::ByTagRx, &[Param::Str], object(Object::MatchedRules)),
    method(Method::ByDisruptiveness, &[Param::Any], object(Object::MatchedRules)),
    method(Method::BySeverity, &[Param::Str], object(Object::MatchedRules)),
    method(Method::ByAccuracy, &[Param::Str], object(Object::MatchedRules)),
    method(Method::GetUri, &[], STR),
    method(Method::GetHash, &[], STR),
    method(Method::GetVersion, &[], STR),
    method(Method::GetName, &[], STR),
    method(Method::GetNames, &[], STRINGS),
    method(Method::GetMethod, &[], STR),
    method(Method::GetRuleIds, &[], Shape::ListOf(Type::Int)),
    method(Method::Kinds, &[], STRINGS),
    method(Method::GetMatchedZones, &[], STRINGS),
    method(Method::GetField, &[Param::Any], ANY),
    method(Method::GetHighestSeverity, &[], STR),
];

const CTI_METHODS: &[MethodSignature] = &[
    method(Method::GetAttackDetails, &[], STRINGS),
    method(Method::GetBehaviors, &[], STRINGS),
    method(Method::GetMaliciousnessScore, &[], FLOAT),
    method(Method::IsPartOfCommunityBlocklist, &[], BOOL),
    method(Method::GetBackgroundNoiseScore, &[], INT),
    method(Method::GetFalsePositives, &[], STRINGS),
    method(Method::GetClassifications, &[], STRINGS),
    method(Method::IsFalsePositive, &[], BOOL),
];

const STRING_METHODS: &[MethodSignature] = &[method(Method::String, &[], STR)];

const TIME_METHODS: &[MethodSignature] = &[
    method(Method::Year, &[], INT),
    method(Method::Month, &[], Shape::Is(Type::Month)),
    method(Method::Day, &[], INT),
    method(Method::Hour, &[], INT),
    method(Method::Minute, &[], INT),
    method(Method::Second, &[], INT),
    method(Method::Nanosecond, &[], INT),
    method(Method::Weekday, &[], Shape::Is(Type::Weekday)),
    method(Method::YearDay, &[], INT),
    method(Method::Unix, &[], INT),
    method(Method::UnixMilli, &[], INT),
    method(Method::UnixMicro, &[], INT),
    method(Method::UnixNano, &[], INT),
    method(Method::IsZero, &[], BOOL),
    method(Method::Before, &[Param::Time], BOOL),
    method(Method::After, &[Param::Time], BOOL),
    method(Method::Equal, &[Param::Time], BOOL),
    method(Method::Compare, &[Param::Time], INT),
    method(Method::Sub, &[Param::Time], DURATION),
    method(Method::Add, &[Param::Duration], TIME),
    method(Method::AddDate, &[Param::Int, Param::Int, Param::Int], TIME),
    method(Method::In, &[Param::Location], TIME),
    method(Method::Utc, &[], TIME),
    method(Method::Local, &[], TIME),
    method(Method::Location, &[], Shape::Is(Type::Location)),
    method(Method::Format, &[Param::Str], STR),
    method(Method::Truncate, &[Param::Duration], TIME),
    method(Method::Round, &[Param::Duration], TIME),
    method(Method::String, &[], STR),
];

const DURATION_METHODS: &[MethodSignature] = &[
    method(Method::Hours, &[], FLOAT),
    method(Method::Minutes, &[], FLOAT),
    method(Method::Seconds, &[], FLOAT),
    method(Method::Milliseconds, &[], INT),
    method(Method::Microseconds, &[], INT),
    method(Method::Nanoseconds, &[], INT),
    method(Method::Abs, &[], DURATION),
    method(Method::Truncate, &[Param::Duration], DURATION),
    method(Method::Round, &[Param::Duration], DURATION),
    method(Method::String, &[], STR),
];
