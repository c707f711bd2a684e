//! What the rule compiler is given: texts, what each of them is, and where it came from.
//!
//! Reading directories, following links and decoding bytes is the edge's job (I1). The edge hands
//! over every file it found, in any order; the order in which items take effect is decided here.

/// A text to compile, and what it is.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// What the text holds.
    pub kind: FileKind,
    /// The name diagnostics show, and by which files of a kind are put in order: the installed path.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Who wrote it, as far as the hub knows.
    pub origin: Origin,
}

/// What a [`SourceFile`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Parser nodes of a stage, `s01-parse` for example.
    Parser {
        /// The directory the file lies in.
        stage: String,
    },
    /// Nodes that see overflows, of a stage of their own.
    Postoverflow {
        /// The directory the file lies in.
        stage: String,
    },
    /// Scenarios.
    Scenario,
    /// An alert context from the hub: names under a `context:` key.
    Context,
    /// The operator's own alert context: names at the top level.
    ConsoleContext,
    /// Which scenarios only simulate. A later file (`simulation.yaml.local`) amends an earlier one.
    Simulation,
    /// A file of grok definitions, `NAME regex` on each line.
    Patterns,
}

/// Where an item comes from; alerts carry it so that their reader knows which rule spoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Written by the operator.
    #[default]
    Local,
    /// Installed from the hub.
    Hub {
        /// The installed version, or `?` when the file was edited since.
        version: String,
        /// SHA-256 of the file, in hex.
        hash: String,
        /// Whether the file was edited since it was installed.
        tainted: bool,
    },
}
