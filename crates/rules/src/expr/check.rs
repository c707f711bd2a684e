//! Finds out what an expression means in its place, and whether it can work there.
//!
//! The checker walks the tree once. For each node it notes a [`Type`] and, where the node's text
//! does not say all, a [`Meaning`]: which function is called, which variable is read. It goes on
//! after a mistake, with [`Type::Any`] for what it could not make out, so that one mistake is
//! reported once and the next one too.
//!
//! It is lenient where types are dynamic: only what can never work is refused. Reading order: this
//! file for names and structure, `operators` for operators, `calls` for functions and methods.

mod calls;
mod operators;

use super::ast::{Ast, Expr, Kind, Literal, Name, NodeId, Pointer, Span};
use super::objects::{Object, Place, Root};
use super::types::Type;
use super::{ExprError, codes};
use engine::function::{Function, Group, Method};

/// What a checked tree means, node by node.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The type of each node, by its id.
    types: Vec<Type>,
    /// The meaning of each node, by its id.
    meanings: Vec<Meaning>,
    /// How many `let` variables are in reach at once, at most.
    pub n_variables: u16,
    /// How many closures enclose one another, at most.
    pub n_closures: u16,
}

impl Checked {
    /// Returns the type of a node.
    #[must_use]
    pub fn type_of(&self, node: &Expr) -> &Type {
        self.types.get(node.id.index()).unwrap_or(&Type::Any)
    }

    /// Returns what a node means beyond its kind.
    #[must_use]
    pub fn meaning_of(&self, node: &Expr) -> Meaning {
        self.meanings.get(node.id.index()).copied().unwrap_or(Meaning::Plain)
    }
}

/// What a node means beyond what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing more
    Plain,
    /// [`Kind::Name`], or a member or index of `$env`: a variable of the place
    Root(Root),
    /// [`Kind::Name`] or [`Kind::Let`]: a `let` variable, numbered from the outermost that is in
    /// reach
    Variable(u16),
    /// [`Kind::Pointer`] or [`Kind::Closure`]: a closure, numbered from the outermost that encloses
    /// the node
    Closure(u16),
    /// [`Kind::Member`] or [`Kind::Index`] of an object: a field that its type lists, by name
    Field(Object, &'static str),
    /// [`Kind::Member`] of a map: a key
    Key,
    /// [`Kind::Member`] of something that is known only when the expression runs
    Dynamic,
    /// [`Kind::Call`] of a function
    Function(Function),
    /// [`Kind::Call`] of a method on the object of its callee, which may have a dynamic type
    Method(Method),
    /// [`Kind::Call`] of a method that no listed type has, on an object with a dynamic type
    DynamicMethod,
}

/// What the place of an expression does with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Takes anything
    Anything,
    /// Decides by it
    Bool,
    /// Uses it as a text
    Str,
}

/// After so many mistakes the rest of a tree is not looked at: finding the names that were meant
/// takes time, and nobody reads on.
const MAX_ERRORS: usize = 20;

/// Tells whether a constant pattern is a regular expression, and if not, why.
pub type PatternCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Checks a tree against the place it was written in.
///
/// # Errors
///
/// The mistakes, in the order in which the walk meets them: at least one, and some twenty at most.
pub fn check(
    ast: &Ast,
    place: Place,
    wanted: Wanted,
    pattern: PatternCheck<'_>,
) -> Result<Checked, Vec<ExprError>> {
    let n_nodes = ast.n_nodes as usize;
    let checked = Checked {
        types: vec![Type::Any; n_nodes],
        meanings: vec![Meaning::Plain; n_nodes],
        n_variables: 0,
        n_closures: 0,
    };
    let mut checker = Checker {
        place,
        pattern,
        checked,
        errors: Vec::new(),
        variables: Vec::new(),
        closures: Vec::new(),
    };
    let result = checker.expr(&ast.root);
    checker.result(&ast.root, &result, wanted);
    if checker.errors.is_empty() { Ok(checker.checked) } else { Err(checker.errors) }
}

struct Checker<'a> {
    place: Place,
    pattern: PatternCheck<'a>,
    checked: Checked,
    errors: Vec<ExprError>,
    /// The `let` variables in reach, outermost first.
    variables: Vec<Variable<'a>>,
    /// The closures around the current node, outermost first.
    closures: Vec<Enclosing>,
}

struct Variable<'a> {
    name: &'a Name,
    holds: Type,
}

/// A closure around the current node.
struct Enclosing {
    /// The type of `#`.
    element: Type,
    /// Whether there is an `#acc`.
    accumulates: bool,
}

impl<'a> Checker<'a> {
    fn report(&mut self, error: ExprError) -> Type {
        self.errors.push(error);
        Type::Any
    }

    fn mean(&mut self, node: NodeId, meaning: Meaning) {
        self.checked.meanings[node.index()] = meaning;
    }

    fn expr(&mut self, node: &'a Expr) -> Type {
        if self.errors.len() >= MAX_ERRORS {
            return Type::Any;
        }
        let found = self.find(node);
        self.checked.types[node.id.index()] = found.clone();
        found
    }

    fn find(&mut self, node: &'a Expr) -> Type {
        match &node.kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Name(name) => self.name(node, name),
            Kind::Builtin(name) => self.bare_function(&name.text, &node.span),
            Kind::Environment => Type::map(Type::Any),
            Kind::Pointer(pointer) => self.pointer(node, *pointer),
            Kind::Member { object, name, .. } => self.member(node, object, name),
            Kind::Index { object, index, .. } => self.index(node, object, index),
            Kind::Slice { object, from, to } => {
                self.slice(object, [from.as_deref(), to.as_deref()])
            }
            Kind::Chain(run) => self.expr(run),
            Kind::Unary { operator, operand } => self.unary(*operator, operand),
            Kind::Binary { operator, operator_span, left, right } => {
                self.binary(*operator, operator_span, left, right)
            }
            Kind::Logic { operator, operands } => self.logic(*operator, operands),
            Kind::Comparison { first, rest } => self.comparison(node, first, rest),
            Kind::Conditional { condition, then, otherwise } => {
                self.condition(condition);
                let then = self.expr(then);
                then.join(self.expr(otherwise))
            }
            Kind::Elvis { value, otherwise } => {
                self.condition(value);
                let value = self.checked.type_of(value).clone();
                value.join(self.expr(otherwise))
            }
            Kind::Call { callee, arguments } => self.call(node, callee, arguments),
            // Closures are met as arguments; the parser makes none elsewhere.
            Kind::Closure(body) => self.expr(body),
            Kind::Let { name, value, body } => self.variable(node, name, value, body),
            Kind::Sequence(items) => {
                items.iter().map(|item| self.expr(item)).last().unwrap_or(Type::Any)
            }
            Kind::Array(items) => {
                let elements: Vec<Type> = items.iter().map(|item| self.expr(item)).collect();
                Type::list(Type::join_all(elements))
            }
            Kind::Map(entries) => self.map(entries),
        }
    }

    // Names.

    fn name(&mut self, node: &'a Expr, name: &str) -> Type {
        if let Some(number) = self.variables.iter().rposition(|variable| variable.name.text == name)
        {
            self.mean(node.id, Meaning::Variable(narrow(number)));
            return self.variables[number].holds.clone();
        }
        if let Some(root) = self.root(name) {
            self.mean(node.id, Meaning::Root(root));
            return root.as_type();
        }
        if Function::from_name(name).is_some() {
            return self.bare_function(name, &node.span);
        }
        let error = self.unknown_name(name, &node.span);
        self.report(error)
    }

    fn root(&self, name: &str) -> Option<Root> {
        self.place.roots().iter().copied().find(|root| root.name() == name)
    }

    fn unknown_name(&self, name: &str, span: &Span) -> ExprError {
        let roots = self.place.roots();
        if let Some(root) = Root::ALL.iter().find(|root| root.name() == name) {
            let offered: Vec<String> =
                roots.iter().map(|root| format!("`{}`", root.name())).collect();
            let message = format!("`{}` is not available here", root.name());
            return ExprError::new(codes::UNKNOWN_NAME, span.clone(), message)
                .help(format!("available here: {}", offered.join(", ")));
        }
        let error =
            ExprError::new(codes::UNKNOWN_NAME, span.clone(), format!("unknown name `{name}`"));
        let variables = self.variables.iter().rev().map(|variable| variable.name.text.as_str());
        let known =
            roots.iter().map(|root| root.name()).chain(variables).chain(["nil", "true", "false"]);
        let error = error.suggest(name, span.clone(), known);
        // `Meta.source_ip` is what `evt.Meta.source_ip` is called in other rule languages.
        let field = roots.iter().find(|root| match root.as_type() {
            Type::Object(object) => object.field(name).is_some(),
            _ => false,
        });
        match field {
            Some(root) if error.help.is_none() => {
                let meant = format!("{}.{name}", root.name());
                error.help(format!("did you mean `{meant}`?")).replace(span.clone(), meant)
            }
            _ => error,
        }
    }

    fn bare_function(&mut self, name: &str, span: &Span) -> Type {
        let message = format!("`{name}` is a function and must be called");
        let error = ExprError::new(codes::UNKNOWN_NAME, span.clone(), message);
        self.report(error.help(format!("write `{name}(…)`")))
    }

    fn pointer(&mut self, node: &Expr, pointer: Pointer) -> Type {
        let Some((number, closure)) = self.closures.iter().enumerate().next_back() else {
            // The parser lets no pointer stand outside of a closure.
            return Type::Any;
        };
        let found = match pointer {
            Pointer::Element => closure.element.clone(),
            Pointer::Index => Type::Int,
            Pointer::Accumulator if closure.accumulates => Type::Any,
            Pointer::Accumulator => {
                let message = "`#acc` has a meaning only in `reduce`";
                let error = ExprError::new(codes::UNKNOWN_NAME, node.span.clone(), message);
                return self.report(error);
            }
        };
        self.mean(node.id, Meaning::Closure(narrow(number)));
        found
    }

    fn variable(
        &mut self,
        node: &'a Expr,
        name: &'a Name,
        value: &'a Expr,
        body: &'a Expr,
    ) -> Type {
        let holds = self.expr(value);
        if let Some(error) = self.taken(name) {
            self.report(error);
        }
        let number = narrow(self.variables.len());
        self.mean(node.id, Meaning::Variable(number));
        self.variables.push(Variable { name, holds });
        self.checked.n_variables = self.checked.n_variables.max(number + 1);
        let result = self.expr(body);
        self.variables.pop();
        result
    }

    fn taken(&self, name: &Name) -> Option<ExprError> {
        let is = if self.root(&name.text).is_some() || name.text == "$env" {
            "a variable of the environment"
        } else if Function::from_name(&name.text).is_some_and(|function| self.offers(function)) {
            "a function"
        } else if self.variables.iter().any(|variable| variable.name.text == name.text) {
            "a variable already"
        } else {
            return None;
        };
        let message = format!("`{}` cannot be declared: it is {is}", name.text);
        let error = ExprError::new(codes::VARIABLE_TAKEN, name.span.clone(), message);
        let before = self.variables.iter().find(|variable| variable.name.text == name.text);
        Some(match before {
            Some(before) => error.see(before.name.span.clone(), "declared here"),
            None => error,
        })
    }

    fn offers(&self, function: Function) -> bool {
        function.group() != Group::HubTest || self.place == Place::HubTest
    }

    // Parts of values.

    fn member(&mut self, node: &Expr, object: &'a Expr, name: &Name) -> Type {
        let of = self.expr(object);
        if matches!(object.kind, Kind::Environment) {
            return self.environment(node, &name.text, &name.span);
        }
        match of {
            Type::Any => {
                self.mean(node.id, Meaning::Dynamic);
                Type::Any
            }
            Type::Map(value) => {
                self.mean(node.id, Meaning::Key);
                *value
            }
            Type::Object(object) => self.field(node, object, &name.text, &name.span),
            of => {
                let error = no_such_field(&of, &name.text, &name.span);
                self.report(error)
            }
        }
    }

    /// Finds a variable of the place by its name as a key of `$env`.
    fn environment(&mut self, node: &Expr, name: &str, span: &Span) -> Type {
        if let Some(root) = self.root(name) {
            self.mean(node.id, Meaning::Root(root));
            return root.as_type();
        }
        let error = self.unknown_name(name, span);
        self.report(error)
    }

    fn field(&mut self, node: &Expr, object: Object, name: &str, span: &Span) -> Type {
        if let Some((name, shape)) = object.field(name) {
            self.mean(node.id, Meaning::Field(object, name));
            return shape.to_type();
        }
        if object.is_open() {
            self.mean(node.id, Meaning::Dynamic);
            return Type::Any;
        }
        let error = no_such_field(&Type::Object(object), name, span);
        self.report(error)
    }

    fn index(&mut self, node: &Expr, object: &'a Expr, index: &'a Expr) -> Type {
        let of = self.expr(object);
        let by = self.expr(index);
        // The name is what stands between the quotes.
        let constant = match &index.kind {
            Kind::Literal(Literal::Str(text)) => {
                Some((text, index.span.start + 1..index.span.end - 1))
            }
            _ => None,
        };
        if let (Kind::Environment, Some((name, span))) = (&object.kind, &constant) {
            return self.environment(node, name, span);
        }
        let (wanted, found) = match of {
            Type::Any => return Type::Any,
            // Keys of other types occur in map literals.
            Type::Map(value) => return *value,
            Type::Str | Type::Bytes => (Type::Int, Type::Int),
            Type::List(element) => (Type::Int, *element),
            Type::Object(object) => match (constant, object.element()) {
                (_, Some(element)) => (Type::Int, element),
                (Some((name, span)), None) => return self.field(node, object, name, &span),
                (None, None) => (Type::Str, Type::Any),
            },
            of => {
                let error = not_indexable(&of, "indexed", &object.span);
                return self.report(error);
            }
        };
        let fits = if wanted == Type::Int { by.may_be_whole() } else { by.may_be_text() };
        if !fits {
            let of = self.checked.type_of(object);
            let message = format!("{of} is indexed by {wanted}, not by {by}");
            return self.report(ExprError::new(codes::NOT_INDEXABLE, index.span.clone(), message));
        }
        found
    }

    fn slice(&mut self, object: &'a Expr, bounds: [Option<&'a Expr>; 2]) -> Type {
        let of = self.expr(object);
        for bound in bounds.into_iter().flatten() {
            let by = self.expr(bound);
            if !by.may_be_whole() {
                let message = format!("a slice begins and ends at an integer, not at {by}");
                self.report(ExprError::new(codes::NOT_INDEXABLE, bound.span.clone(), message));
            }
        }
        if of == Type::Str || of.element().is_some() {
            return of;
        }
        let error = not_indexable(&of, "sliced", &object.span);
        self.report(error)
    }

    fn map(&mut self, entries: &'a [(Expr, Expr)]) -> Type {
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.expr(key);
            values.push(self.expr(value));
        }
        Type::map(Type::join_all(values))
    }

    // Conditions and the result.

    fn condition(&mut self, condition: &'a Expr) {
        let found = self.expr(condition);
        if !found.may_be_bool() {
            let message = format!("a condition must be a boolean, this is {found}");
            let error = ExprError::new(codes::OPERAND_TYPE, condition.span.clone(), message);
            self.report(error);
        }
    }

    fn result(&mut self, root: &Expr, found: &Type, wanted: Wanted) {
        let (fits, what) = match wanted {
            Wanted::Anything => return,
            Wanted::Bool => (found.may_be_bool(), "a boolean"),
            Wanted::Str => (found.may_be_text(), "a string"),
        };
        if !fits {
            let message = format!("the expression must give {what}, but gives {found}");
            self.report(ExprError::new(codes::RESULT_TYPE, root.span.clone(), message));
        }
    }
}

/// Narrows the number of a variable or closure, of which there are no more than levels of a tree.
fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

const fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Nil => Type::Nil,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Float(_) => Type::Float,
        Literal::Str(_) => Type::Str,
        Literal::Bytes(_) => Type::Bytes,
    }
}

fn no_such_field(of: &Type, name: &str, span: &Span) -> ExprError {
    let is_method = of.methods().iter().any(|known| known.method.name() == name);
    if is_method {
        let message = format!("`{name}` is a method and must be called");
        let error = ExprError::new(codes::UNKNOWN_FIELD, span.clone(), message);
        return error.help(format!("write `{name}()`")).replace(span.clone(), format!("{name}()"));
    }
    let error =
        ExprError::new(codes::UNKNOWN_FIELD, span.clone(), format!("{of} has no field `{name}`"));
    match of {
        Type::Object(object) => {
            error.suggest(name, span.clone(), object.fields().iter().map(|(known, _)| *known))
        }
        _ => error,
    }
}

fn not_indexable(of: &Type, done: &str, span: &Span) -> ExprError {
    ExprError::new(codes::NOT_INDEXABLE, span.clone(), format!("{of} cannot be {done}"))
}

#[cfg(test)]
mod tests;
