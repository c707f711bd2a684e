//! The codes of mistakes in expressions: `R0200` to `R0299`.
//!
//! `R020x` and `R021x` are about the text, the rest about what it means.

syntax::registry! {
    CHARACTER = "R0200", "an expression holds a character that means nothing there";
    STRING_NOT_CLOSED = "R0201", "a string or comment is opened and not closed";
    ESCAPE = "R0202", "a string holds an escape that does not exist";
    NUMBER = "R0203", "a number is malformed or too large";
    UNEXPECTED = "R0204", "an expression has something where something else must be";
    NOT_CLOSED = "R0205", "a bracket is opened and not closed";
    EMPTY = "R0206", "an expression is empty";
    TOO_BIG = "R0207", "an expression is longer or deeper than is sensible";
    COALESCE_MIXED = "R0208", "another operator follows `??` without parentheses";
    NO_CLOSURE = "R0209", "`#` or `.Field` stands outside of a closure";
    UNKNOWN_NAME = "R0220", "an expression names something its place does not offer";
    UNKNOWN_FUNCTION = "R0221", "an expression calls a function that does not exist";
    UNKNOWN_FIELD = "R0222", "an expression reads a field that does not exist";
    UNKNOWN_METHOD = "R0223", "an expression calls a method that does not exist";
    ARGUMENT_COUNT = "R0224", "a function is given too many or too few arguments";
    ARGUMENT_TYPE = "R0225", "a function is given an argument of the wrong type";
    OPERAND_TYPE = "R0226", "an operator is given an operand of the wrong type";
    RESULT_TYPE = "R0227", "an expression gives a value of the wrong type for its place";
    NOT_CALLABLE = "R0228", "something is called that is not a function";
    VARIABLE_TAKEN = "R0229", "a `let` variable takes a name that is in use";
    BAD_PATTERN = "R0230", "the constant pattern of `matches` is not a regular expression";
    NOT_INDEXABLE = "R0231", "something is indexed or sliced that has no elements";
}
