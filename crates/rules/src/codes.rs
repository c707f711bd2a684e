//! The codes of what can be wrong with items (R01xx) and groks (R03xx). Expressions (R02xx) have their
//! own list.

syntax::registry! {
    UNKNOWN_KEY = "R0101", "an item has a key that nothing reads";
    MISSING_KEY = "R0102", "an item lacks a key it cannot do without";
    WRONG_TYPE = "R0103", "a key holds a list where a text belongs, or the like";
    BAD_DURATION = "R0104", "a duration cannot be read, or makes no sense where it is";
    OUT_OF_RANGE = "R0105", "a number makes no sense where it is";
    UNKNOWN_WORD = "R0106", "a key holds a word other than those it knows";
    BAD_ADDRESS = "R0108", "an address or network of a whitelist cannot be read";
    BAD_FORMAT = "R0109", "the format of an item is no version number";
    OTHER_FORMAT = "R0110", "an item is skipped because it is of a format not known here";
    EMPTY_NODE = "R0111", "a parser node does nothing";
    UNNAMED_DOCUMENT = "R0112", "a document is skipped because it has no name, description or author";
    KEY_WITHOUT_EFFECT = "R0113", "a key has no effect where it is";
    FORBIDDEN_KEY = "R0114", "a key contradicts another one";
    BAD_PATH = "R0115", "a data file lies outside the data directory";
    BAD_TARGET = "R0116", "a static assigns to something that is not a text of the event";
    UNKNOWN_METHOD = "R0117", "a static calls a method that does not exist";
    SAME_NAME = "R0118", "two scenarios have the same name";
    MISSING_DATA = "R0119", "a data file that a rule consults is missing";
    BAD_DATA = "R0120", "a data file cannot be used";
    UNKNOWN_GROK = "R0301", "a grok refers to a pattern that is not defined before it";
    BROKEN_GROK = "R0302", "a grok refers to a pattern whose definition is wrong";
    HUGE_GROK = "R0303", "a grok becomes too large a regular expression";
    BAD_REGEX = "R0304", "a pattern is not a regular expression";
    GROK_WITHOUT_FIELD = "R0305", "a grok names no field, so its node can never succeed";
    GROK_NAME_TAKEN = "R0306", "a grok pattern is defined twice; the first definition counts";
    GROK_NO_REFERENCE = "R0307", "a text looks like a reference to a grok pattern but is none";
    BAD_GROK_NAME = "R0308", "no reference can spell the name of a grok pattern";
}
