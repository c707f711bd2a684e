//! What each function takes and gives.
//!
//! Functions whose result depends on what they are given (`first`, `filter`, …) are marked so, and
//! the checker works the result out; everything else is one row of a table.

use super::objects::Object;
use super::types::{Shape, Type};
use engine::function::Function;

/// What may be given for one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Anything
    Any,
    /// A string
    Str,
    /// A whole number
    Int,
    /// Any number
    Number,
    /// A number, or a string or boolean that can be read as one
    Numeric,
    /// A number or a list of numbers
    Numbers,
    /// Something that has a length
    Sized,
    /// A list
    List,
    /// A list of strings
    Strings,
    /// A list of times
    Times,
    /// A map
    Map,
    /// A map that can hold any value
    Tree,
    /// A time
    Time,
    /// A duration
    Duration,
    /// A duration or nil
    Lifetime,
    /// A time zone
    Location,
    /// A closure that gives a boolean
    Predicate,
    /// A closure that gives a number
    NumberOf,
    /// A closure
    Closure,
}

impl Param {
    /// Tells whether a value of type `given` may be passed; closures are not values.
    #[must_use]
    pub fn accepts(self, given: &Type) -> bool {
        if given.is_any() {
            return true;
        }
        match self {
            Self::Any => true,
            Self::Str => *given == Type::Str,
            Self::Int => given.is_whole(),
            Self::Number => given.is_number(),
            Self::Numeric => given.is_number() || matches!(given, Type::Str | Type::Bool),
            Self::Numbers => {
                given.is_number()
                    || given.element().is_some_and(|element| Self::Numbers.accepts(&element))
            }
            Self::Sized => {
                matches!(given, Type::Str | Type::Map(_) | Type::Object(_))
                    || given.element().is_some()
            }
            Self::List => given.element().is_some(),
            Self::Strings => matches!(given, Type::List(element) if element.may_be_text()),
            Self::Times => {
                matches!(given, Type::List(element) if matches!(**element, Type::Time | Type::Any))
            }
            Self::Map => matches!(given, Type::Map(_)),
            // COMPAT(crowdsec): `evt.Meta` and its like hold strings only and cannot take a tree.
            Self::Tree => matches!(given, Type::Map(value) if **value == Type::Any),
            Self::Time => *given == Type::Time,
            Self::Duration => given.is_whole(),
            Self::Lifetime => *given == Type::Nil || given.is_whole(),
            Self::Location => *given == Type::Location,
            Self::Predicate | Self::NumberOf | Self::Closure => false,
        }
    }

    /// Tells whether the parameter is a closure.
    #[must_use]
    pub const fn is_closure(self) -> bool {
        matches!(self, Self::Predicate | Self::NumberOf | Self::Closure)
    }

    /// Names what the parameter takes in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Str => "a string",
            Self::Int => "an integer",
            Self::Number => "a number",
            Self::Numeric => "a number or a string",
            Self::Numbers => "a number or a list of numbers",
            Self::Sized => "a string, a list or a map",
            Self::List => "a list",
            Self::Strings => "a list of strings",
            Self::Times => "a list of times",
            Self::Map => "a map",
            Self::Tree => "a map that can hold any value, such as `evt.Unmarshaled`",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Lifetime => "a duration or nil",
            Self::Location => "a time zone",
            Self::Predicate | Self::NumberOf | Self::Closure => "a closure",
        }
    }
}

/// What a function gives.
#[derive(Clone, Debug)]
pub enum Gives {
    /// Always the same type
    Always(Shape),
    /// What its first argument is
    First,
    /// An element of its first argument
    Element,
    /// A list of the elements of its first argument
    Elements,
    /// What its closure gives
    Closure,
    /// A list of what its closure gives
    ClosureList,
    /// A map to lists of the elements of its first argument
    Groups,
    /// A list of the values of the map that is its first argument
    MapValues,
}

/// What a function takes and gives.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The parameters, without the repeated one.
    pub params: &'static [Param],
    /// How many of them must be given; the rest is optional.
    pub n_required: usize,
    /// The parameter that may be given any number of times after the others.
    pub rest: Option<Param>,
    /// The result.
    pub gives: Gives,
}

impl Signature {
    /// Returns the parameter that takes the argument at `index`.
    #[must_use]
    pub fn param(&self, index: usize) -> Option<Param> {
        self.params.get(index).copied().or(self.rest)
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
const LIST: Shape = Shape::ListOf(Type::Any);

const ONE_STR: &[Param] = &[Param::Str];
const TWO_STRS: &[Param] = &[Param::Str; 2];
const THREE_STRS: &[Param] = &[Param::Str; 3];

/// A function that takes exactly `params`.
const fn exactly(params: &'static [Param], gives: Shape) -> Signature {
    Signature { params, n_required: params.len(), rest: None, gives: Gives::Always(gives) }
}

/// A function that takes `n_required` of `params`, or more of them.
const fn at_least(n_required: usize, params: &'static [Param], gives: Shape) -> Signature {
    Signature { params, n_required, rest: None, gives: Gives::Always(gives) }
}

/// A function that takes `params` and any number of `rest`.
const fn and_more(params: &'static [Param], rest: Param, gives: Shape) -> Signature {
    Signature { params, n_required: params.len(), rest: Some(rest), gives: Gives::Always(gives) }
}

/// A function whose result depends on what it is given.
const fn depending(n_required: usize, params: &'static [Param], gives: Gives) -> Signature {
    Signature { params, n_required, rest: None, gives }
}

/// Returns what `function` takes and gives.
#[must_use]
pub const fn signature(function: Function) -> Signature {
    use Function as F;
    use Param as P;
    match function {
        // Closures.
        F::All | F::None | F::Any | F::One => exactly(&[P::List, P::Predicate], BOOL),
        F::Filter => depending(2, &[P::List, P::Predicate], Gives::Elements),
        F::Map => depending(2, &[P::List, P::Closure], Gives::ClosureList),
        F::Count => at_least(1, &[P::List, P::Predicate], INT),
        F::Sum => depending(1, &[P::List, P::NumberOf], Gives::Closure),
        F::Find | F::FindLast => depending(2, &[P::List, P::Predicate], Gives::Element),
        F::FindIndex | F::FindLastIndex => exactly(&[P::List, P::Predicate], INT),
        F::GroupBy => depending(2, &[P::List, P::Closure], Gives::Groups),
        F::SortBy => depending(2, &[P::List, P::Closure, P::Str], Gives::Elements),
        F::Reduce => at_least(2, &[P::List, P::Closure, P::Any], ANY),

        // Sizes, types and conversions.
        F::Len => exactly(&[P::Sized], INT),
        F::Type | F::String => exactly(&[P::Any], STR),
        F::Abs => depending(1, &[P::Number], Gives::First),
        F::Ceil | F::Floor | F::Round => exactly(&[P::Number], FLOAT),
        F::Int => exactly(&[P::Numeric], INT),
        F::Float => exactly(&[P::Numeric], FLOAT),

        // Strings.
        F::TrimBuiltin | F::TrimPrefixBuiltin | F::TrimSuffixBuiltin => at_least(1, TWO_STRS, STR),
        F::UpperBuiltin | F::LowerBuiltin => exactly(ONE_STR, STR),
        F::SplitBuiltin | F::SplitAfterBuiltin => at_least(2, &[P::Str, P::Str, P::Int], STRINGS),
        F::ReplaceBuiltin => at_least(3, &[P::Str, P::Str, P::Str, P::Int], STR),
        F::Repeat => exactly(&[P::Str, P::Int], STR),
        F::JoinBuiltin => at_least(1, &[P::Strings, P::Str], STR),
        F::IndexOf | F::LastIndexOf => exactly(TWO_STRS, INT),
        F::HasPrefix | F::HasSuffix => exactly(TWO_STRS, BOOL),

        // Numbers and bits.
        F::Max | F::Min => and_more(&[P::Numbers], P::Numbers, ANY),
        F::Mean | F::Median => and_more(&[P::Numbers], P::Numbers, FLOAT),
        F::BitAnd | F::BitOr | F::BitXor | F::BitNand | F::BitShl | F::BitShr | F::BitUshr => {
            exactly(&[P::Int, P::Int], INT)
        }
        F::BitNot => exactly(&[P::Int], INT),

        // Encodings.
        F::ToJson => exactly(&[P::Any], STR),
        F::FromJson => exactly(ONE_STR, ANY),
        F::ToBase64 | F::FromBase64 => exactly(ONE_STR, STR),

        // Time.
        F::Now => exactly(&[], TIME),
        F::Duration => exactly(ONE_STR, DURATION),
        F::Date => at_least(1, THREE_STRS, TIME),
        F::Timezone => exactly(ONE_STR, Shape::Is(Type::Location)),

        // Lists and maps.
        F::First | F::Last => depending(1, &[P::List], Gives::Element),
        F::GetBuiltin => depending(2, &[P::Any, P::Any], Gives::Element),
        F::Take => depending(2, &[P::List, P::Int], Gives::Elements),
        F::Keys => exactly(&[P::Map], STRINGS),
        F::Values => depending(1, &[P::Map], Gives::MapValues),
        F::ToPairs => exactly(&[P::Map], Shape::ListOf(Type::Any)),
        F::FromPairs => exactly(&[P::List], Shape::MapOf(Type::Any)),
        F::Reverse | F::Uniq => depending(1, &[P::List], Gives::Elements),
        F::Concat => and_more(&[P::List], P::List, LIST),
        F::FlattenBuiltin => exactly(&[P::List], LIST),
        F::Sort => depending(1, &[P::List, P::Str], Gives::Elements),

        // Helpers: strings.
        F::Upper | F::Lower | F::TrimSpace | F::B64Decode => exactly(ONE_STR, STR),
        F::Fields => exactly(ONE_STR, STRINGS),
        F::Index | F::IndexAny => exactly(TWO_STRS, INT),
        F::Join => exactly(&[P::Strings, P::Str], STR),
        F::Split | F::SplitAfter => exactly(TWO_STRS, STRINGS),
        F::SplitN | F::SplitAfterN => exactly(&[P::Str, P::Str, P::Int], STRINGS),
        F::Replace => exactly(&[P::Str, P::Str, P::Str, P::Int], STR),
        F::ReplaceAll => exactly(THREE_STRS, STR),
        F::Trim | F::TrimLeft | F::TrimRight | F::TrimPrefix | F::TrimSuffix => {
            exactly(TWO_STRS, STR)
        }
        F::Sprintf => and_more(ONE_STR, P::Any, STR),
        F::ToString => exactly(&[P::Any], STR),
        F::Match => exactly(TWO_STRS, BOOL),
        F::Get => exactly(&[P::Strings, P::Int], STR),
        F::Atof => exactly(ONE_STR, FLOAT),
        F::LogInfo => and_more(ONE_STR, P::Any, BOOL),
        F::Hostname => exactly(&[], STR),

        // Helpers: URLs.
        F::PathEscape | F::QueryEscape | F::PathUnescape | F::QueryUnescape => {
            exactly(ONE_STR, STR)
        }
        F::ParseUri | F::ParseQuery => exactly(ONE_STR, Shape::MapOfLists(Type::Str)),
        F::ExtractQueryParam => exactly(TWO_STRS, STRINGS),

        // Helpers: JSON, XML and key-value text.
        F::JsonExtract => exactly(TWO_STRS, STR),
        F::JsonExtractLib | F::JsonExtractUnescape => and_more(TWO_STRS, P::Str, STR),
        F::JsonExtractSlice => exactly(TWO_STRS, LIST),
        F::JsonExtractObject => exactly(TWO_STRS, Shape::MapOf(Type::Any)),
        F::ToJsonString => exactly(&[P::Any], STR),
        F::UnmarshalJson | F::ParseKv | F::ParseKvLax => exactly(&[P::Str, P::Tree, P::Str], ANY),
        F::XmlGetNodeValue => exactly(TWO_STRS, STR),
        F::XmlGetAttributeValue => exactly(THREE_STRS, STR),

        // Helpers: addresses, look-ups and requests.
        F::IpInRange => exactly(TWO_STRS, BOOL),
        F::IpToRange => exactly(TWO_STRS, STR),
        F::IsIpv4 | F::IsIpv6 | F::IsIp => exactly(ONE_STR, BOOL),
        F::LookupHost => exactly(ONE_STR, STRINGS),
        F::GeoIpEnrich => exactly(ONE_STR, Shape::Is(Type::Object(Object::GeoCity))),
        F::GeoIpAsnEnrich => exactly(ONE_STR, Shape::Is(Type::Object(Object::GeoAsn))),
        F::GeoIpRangeEnrich => exactly(ONE_STR, Shape::Is(Type::Object(Object::Network))),
        F::IpToCountry => exactly(ONE_STR, STR),
        F::CrowdsecCti => exactly(ONE_STR, Shape::Is(Type::Object(Object::Cti))),
        F::HttpGet | F::HttpHead => exactly(ONE_STR, Shape::Is(Type::Object(Object::HttpResponse))),
        F::HttpPost => exactly(THREE_STRS, Shape::Is(Type::Object(Object::HttpResponse))),
        F::HttpRequest => exactly(
            &[P::Str, P::Str, P::Map, P::Str],
            Shape::Is(Type::Object(Object::HttpResponse)),
        ),
        F::MatchKnownBot => and_more(THREE_STRS, P::Str, ANY),
        F::Ja4h => exactly(&[P::Any], STR),
        F::LibInjectionIsSqli | F::LibInjectionIsXss => exactly(ONE_STR, BOOL),

        // Helpers: data files, stashes and the decision database.
        F::File => exactly(ONE_STR, STRINGS),
        F::RegexpInFile => exactly(TWO_STRS, BOOL),
        F::FileMap => exactly(ONE_STR, Shape::ListOfMaps(Type::Str)),
        F::LookupFile | F::GetFromStash => exactly(TWO_STRS, STR),
        F::SetInStash => exactly(&[P::Str, P::Str, P::Str, P::Lifetime], ANY),
        F::GetDecisionsCount | F::GetActiveDecisionsCount => exactly(ONE_STR, INT),
        F::GetDecisionsSinceCount => exactly(TWO_STRS, INT),
        F::GetActiveDecisionsTimeLeft => exactly(ONE_STR, DURATION),

        // Helpers: dates, numbers and collections.
        F::TimeNow => exactly(&[], STR),
        F::ParseUnix => exactly(ONE_STR, STR),
        F::AverageInterval | F::MedianInterval => exactly(&[P::Times], DURATION),
        F::Distance => exactly(&[P::Str; 4], FLOAT),
        F::FloatApproxEqual => exactly(&[P::Number, P::Number], BOOL),
        F::Flatten | F::FlattenDistinct => and_more(&[], P::Any, LIST),
        F::Distinct => exactly(&[P::Any], LIST),
        F::KeyExists => exactly(&[P::Str, P::Map], BOOL),

        // Hub tests.
        F::Basename => exactly(ONE_STR, STR),
    }
}

#[cfg(test)]
mod tests {
    use super::{Param, signature};
    use crate::expr::types::Type;
    use engine::function::{Function, Group};

    #[test]
    fn closures_are_the_second_argument_of_predicates_and_of_nothing_else() {
        for function in Function::ALL {
            let signature = signature(*function);
            let closures: Vec<usize> = (0..signature.params.len())
                .filter(|at| signature.params[*at].is_closure())
                .collect();
            let expected = if function.group() == Group::Predicate { vec![1] } else { Vec::new() };
            assert_eq!(closures, expected, "{}", function.name());
            assert!(signature.n_required <= signature.params.len(), "{}", function.name());
        }
    }

    #[test]
    fn unknown_types_are_accepted_and_known_ones_checked() {
        assert!(Param::Str.accepts(&Type::Any));
        assert!(!Param::Str.accepts(&Type::Nil));
        assert!(!Param::Str.accepts(&Type::Int));
        assert!(Param::Number.accepts(&Type::Int));
        assert!(Param::Strings.accepts(&Type::list(Type::Any)));
        assert!(!Param::Strings.accepts(&Type::list(Type::Int)));
        assert!(!Param::Tree.accepts(&Type::map(Type::Str)));
        assert!(Param::Numbers.accepts(&Type::list(Type::list(Type::Float))));
    }
}
