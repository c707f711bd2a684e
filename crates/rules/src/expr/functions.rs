//! The closed list of functions and methods an expression may call.
//!
//! This file is plain data: it names no other module and nothing but `core`, so that the compiler
//! and the evaluator can share one list and neither can know a function the other lacks. Arity and
//! types live with the checker, behavior lives with the evaluator.
//!
//! One variant is one spelling. Names are case-sensitive, and the language's own functions and the
//! product's helpers overlap but for case (`upper` and `Upper` treat errors differently), so a
//! language function whose name would clash carries the suffix `Builtin`.
//!
//! INVARIANT: the order of variants is the order of [`Function::ALL`] and [`Method::ALL`], and a
//! discriminant is an index into it.

/// Where a function comes from and what it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Language: takes a closure that is run for each element.
    Predicate,
    /// Language: sizes, types and conversions.
    Conversion,
    /// Language: strings.
    Text,
    /// Language: numbers and bits.
    Number,
    /// Language: JSON and base64.
    Encoding,
    /// Language: clock, dates and durations.
    Time,
    /// Language: lists and maps.
    Collection,
    /// Helper: strings.
    HelperText,
    /// Helper: URLs and HTTP text.
    HelperUrl,
    /// Helper: JSON, XML and key-value text.
    HelperTree,
    /// Helper: addresses, look-ups and requests.
    HelperNetwork,
    /// Helper: data files, stashes and the decision database.
    HelperData,
    /// Helper: dates, numbers and collections.
    HelperMisc,
    /// Only in the assertions of hub tests.
    HubTest,
}

impl Group {
    /// Tells whether the group belongs to the language, so that `::name()` may force it.
    #[must_use]
    pub const fn is_builtin(self) -> bool {
        match self {
            Self::Predicate
            | Self::Conversion
            | Self::Text
            | Self::Number
            | Self::Encoding
            | Self::Time
            | Self::Collection => true,
            Self::HelperText
            | Self::HelperUrl
            | Self::HelperTree
            | Self::HelperNetwork
            | Self::HelperData
            | Self::HelperMisc
            | Self::HubTest => false,
        }
    }
}

macro_rules! functions {
    ($($group:ident { $($variant:ident $name:literal,)+ })+) => {
        /// A function an expression may call by its bare name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Function {
            $($(
                #[doc = concat!("`", $name, "`")]
                $variant,
            )+)+
        }

        impl Function {
            /// Every function, in the order of the variants.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// Returns the name an expression calls the function by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)+)+
                }
            }

            /// Finds the function an expression means by `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($($name => Some(Self::$variant),)+)+
                    _ => None,
                }
            }

            /// Returns where the function comes from and what it works on.
            #[must_use]
            pub const fn group(self) -> Group {
                match self {
                    $($(Self::$variant)|+ => Group::$group,)+
                }
            }

            /// Tells whether the function is part of the language, not of the product.
            #[must_use]
            pub const fn is_builtin(self) -> bool {
                self.group().is_builtin()
            }
        }
    };
}

functions! {
    Predicate {
        All "all",
        None "none",
        Any "any",
        One "one",
        Filter "filter",
        Map "map",
        Count "count",
        Sum "sum",
        Find "find",
        FindIndex "findIndex",
        FindLast "findLast",
        FindLastIndex "findLastIndex",
        GroupBy "groupBy",
        SortBy "sortBy",
        Reduce "reduce",
    }
    Conversion {
        Len "len",
        Type "type",
        Abs "abs",
        Ceil "ceil",
        Floor "floor",
        Round "round",
        Int "int",
        Float "float",
        String "string",
    }
    Text {
        TrimBuiltin "trim",
        TrimPrefixBuiltin "trimPrefix",
        TrimSuffixBuiltin "trimSuffix",
        UpperBuiltin "upper",
        LowerBuiltin "lower",
        SplitBuiltin "split",
        SplitAfterBuiltin "splitAfter",
        ReplaceBuiltin "replace",
        Repeat "repeat",
        JoinBuiltin "join",
        IndexOf "indexOf",
        LastIndexOf "lastIndexOf",
        HasPrefix "hasPrefix",
        HasSuffix "hasSuffix",
    }
    Number {
        Max "max",
        Min "min",
        Mean "mean",
        Median "median",
        BitAnd "bitand",
        BitOr "bitor",
        BitXor "bitxor",
        BitNand "bitnand",
        BitShl "bitshl",
        BitShr "bitshr",
        BitUshr "bitushr",
        BitNot "bitnot",
    }
    Encoding {
        ToJson "toJSON",
        FromJson "fromJSON",
        ToBase64 "toBase64",
        FromBase64 "fromBase64",
    }
    Time {
        Now "now",
        Duration "duration",
        Date "date",
        Timezone "timezone",
    }
    Collection {
        First "first",
        Last "last",
        GetBuiltin "get",
        Take "take",
        Keys "keys",
        Values "values",
        ToPairs "toPairs",
        FromPairs "fromPairs",
        Reverse "reverse",
        Uniq "uniq",
        Concat "concat",
        FlattenBuiltin "flatten",
        Sort "sort",
    }
    HelperText {
        Upper "Upper",
        Lower "Lower",
        Fields "Fields",
        Index "Index",
        IndexAny "IndexAny",
        Join "Join",
        Split "Split",
        SplitAfter "SplitAfter",
        SplitN "SplitN",
        SplitAfterN "SplitAfterN",
        Replace "Replace",
        ReplaceAll "ReplaceAll",
        Trim "Trim",
        TrimLeft "TrimLeft",
        TrimRight "TrimRight",
        TrimSpace "TrimSpace",
        TrimPrefix "TrimPrefix",
        TrimSuffix "TrimSuffix",
        Sprintf "Sprintf",
        ToString "ToString",
        Match "Match",
        Get "Get",
        Atof "Atof",
        LogInfo "LogInfo",
        Hostname "Hostname",
        B64Decode "B64Decode",
    }
    HelperUrl {
        PathEscape "PathEscape",
        QueryEscape "QueryEscape",
        PathUnescape "PathUnescape",
        QueryUnescape "QueryUnescape",
        ParseUri "ParseUri",
        ParseQuery "ParseQuery",
        ExtractQueryParam "ExtractQueryParam",
    }
    HelperTree {
        JsonExtract "JsonExtract",
        JsonExtractLib "JsonExtractLib",
        JsonExtractUnescape "JsonExtractUnescape",
        JsonExtractSlice "JsonExtractSlice",
        JsonExtractObject "JsonExtractObject",
        ToJsonString "ToJsonString",
        UnmarshalJson "UnmarshalJSON",
        ParseKv "ParseKV",
        ParseKvLax "ParseKVLax",
        XmlGetNodeValue "XMLGetNodeValue",
        XmlGetAttributeValue "XMLGetAttributeValue",
    }
    HelperNetwork {
        IpInRange "IpInRange",
        IpToRange "IpToRange",
        IsIpv4 "IsIPV4",
        IsIpv6 "IsIPV6",
        IsIp "IsIP",
        LookupHost "LookupHost",
        GeoIpEnrich "GeoIPEnrich",
        GeoIpAsnEnrich "GeoIPASNEnrich",
        GeoIpRangeEnrich "GeoIPRangeEnrich",
        IpToCountry "IPToCountry",
        CrowdsecCti "CrowdsecCTI",
        HttpGet "HTTPGet",
        HttpHead "HTTPHead",
        HttpPost "HTTPPost",
        HttpRequest "HTTPRequest",
        MatchKnownBot "MatchKnownBot",
        Ja4h "JA4H",
        LibInjectionIsSqli "LibInjectionIsSQLI",
        LibInjectionIsXss "LibInjectionIsXSS",
    }
    HelperData {
        File "File",
        RegexpInFile "RegexpInFile",
        FileMap "FileMap",
        LookupFile "LookupFile",
        GetFromStash "GetFromStash",
        SetInStash "SetInStash",
        GetDecisionsCount "GetDecisionsCount",
        GetDecisionsSinceCount "GetDecisionsSinceCount",
        GetActiveDecisionsCount "GetActiveDecisionsCount",
        GetActiveDecisionsTimeLeft "GetActiveDecisionsTimeLeft",
    }
    HelperMisc {
        TimeNow "TimeNow",
        ParseUnix "ParseUnix",
        AverageInterval "AverageInterval",
        MedianInterval "MedianInterval",
        Distance "Distance",
        FloatApproxEqual "FloatApproxEqual",
        Flatten "Flatten",
        Distinct "Distinct",
        FlattenDistinct "FlattenDistinct",
        KeyExists "KeyExists",
    }
    HubTest {
        Basename "basename",
    }
}

macro_rules! methods {
    ($($variant:ident $name:literal,)+) => {
        /// A method an expression may call on a value.
        ///
        /// One variant is one name: what it does depends on the receiver, which is only known when
        /// the expression runs if its type is dynamic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Method {
            $(
                #[doc = concat!("`.", $name, "()`")]
                $variant,
            )+
        }

        impl Method {
            /// Every method, in the order of the variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name an expression calls the method by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Finds the method an expression means by `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

methods! {
    // Events, alerts and sources.
    GetType "GetType",
    GetMeta "GetMeta",
    SetMeta "SetMeta",
    SetParsed "SetParsed",
    ParseIpSources "ParseIPSources",
    GetSources "GetSources",
    GetScope "GetScope",
    GetValue "GetValue",
    GetScenario "GetScenario",
    GetEventsCount "GetEventsCount",
    GetAsNumberName "GetAsNumberName",
    // Request inspection.
    GetVar "GetVar",
    ById "ByID",
    ByKind "ByKind",
    ByTag "ByTag",
    ByTags "ByTags",
    ByTagRx "ByTagRx",
    ByDisruptiveness "ByDisruptiveness",
    BySeverity "BySeverity",
    ByAccuracy "ByAccuracy",
    GetUri "GetURI",
    GetHash "GetHash",
    GetVersion "GetVersion",
    GetName "GetName",
    GetNames "GetNames",
    GetMethod "GetMethod",
    GetRuleIds "GetRuleIDs",
    Kinds "Kinds",
    GetMatchedZones "GetMatchedZones",
    GetField "GetField",
    GetHighestSeverity "GetHighestSeverity",
    // Threat intelligence.
    GetAttackDetails "GetAttackDetails",
    GetBehaviors "GetBehaviors",
    GetMaliciousnessScore "GetMaliciousnessScore",
    IsPartOfCommunityBlocklist "IsPartOfCommunityBlocklist",
    GetBackgroundNoiseScore "GetBackgroundNoiseScore",
    GetFalsePositives "GetFalsePositives",
    GetClassifications "GetClassifications",
    IsFalsePositive "IsFalsePositive",
    // Times.
    Year "Year",
    Month "Month",
    Day "Day",
    Hour "Hour",
    Minute "Minute",
    Second "Second",
    Nanosecond "Nanosecond",
    Weekday "Weekday",
    YearDay "YearDay",
    Unix "Unix",
    UnixMilli "UnixMilli",
    UnixMicro "UnixMicro",
    UnixNano "UnixNano",
    IsZero "IsZero",
    Before "Before",
    After "After",
    Equal "Equal",
    Compare "Compare",
    Sub "Sub",
    Add "Add",
    AddDate "AddDate",
    In "In",
    Utc "UTC",
    Local "Local",
    Location "Location",
    Format "Format",
    // Times and durations.
    Truncate "Truncate",
    Round "Round",
    // Durations.
    Hours "Hours",
    Minutes "Minutes",
    Seconds "Seconds",
    Milliseconds "Milliseconds",
    Microseconds "Microseconds",
    Nanoseconds "Nanoseconds",
    Abs "Abs",
    // Anything that prints itself.
    String "String",
}

#[cfg(test)]
mod tests {
    use super::{Function, Method};

    #[test]
    fn names_lead_back_to_their_variant() {
        for (index, function) in Function::ALL.iter().enumerate() {
            assert_eq!(Function::from_name(function.name()), Some(*function));
            assert_eq!(*function as usize, index);
        }
        for (index, method) in Method::ALL.iter().enumerate() {
            assert_eq!(Method::from_name(method.name()), Some(*method));
            assert_eq!(*method as usize, index);
        }
        assert_eq!(Function::from_name("LEN"), None);
    }

    #[test]
    fn case_tells_a_helper_from_a_language_function() {
        assert_eq!(Function::from_name("upper"), Some(Function::UpperBuiltin));
        assert_eq!(Function::from_name("Upper"), Some(Function::Upper));
        assert!(Function::UpperBuiltin.is_builtin());
        assert!(!Function::Upper.is_builtin());
    }
}
