//! The codes of what can be wrong with settings files (R04xx).

syntax::registry! {
    UNKNOWN_SETTING = "R0401", "a settings file has a key that nothing reads";
    WRONG_SETTING = "R0402", "a setting holds a list where a text belongs, or the like";
    MISSING_SETTING = "R0403", "a settings file lacks a key it cannot do without";
    CLASH = "R0404", "a `.local` file holds another kind of value than the file it amends";
    UNSUPPORTED_SOURCE = "R0405", "a datasource of this kind cannot be read yet";
    UNKNOWN_SOURCE = "R0406", "there is no datasource of this kind";
    BAD_SETTING = "R0407", "a setting has a value that makes no sense";
}
