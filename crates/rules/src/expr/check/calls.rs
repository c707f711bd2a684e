//! The types of calls: functions, methods and the closures they take.

use super::{Checker, Enclosing, Meaning, narrow};
use crate::expr::ast::{Expr, Kind, Name, Span};
use crate::expr::objects::MethodSignature;
use crate::expr::signatures::{Gives, Param, Signature, signature};
use crate::expr::types::Type;
use crate::expr::{ExprError, codes};
use engine::function::{Function, Method};

impl<'a> Checker<'a> {
    pub(super) fn call(&mut self, node: &'a Expr, callee: &'a Expr, arguments: &'a [Expr]) -> Type {
        match &callee.kind {
            Kind::Name(name) => {
                match Function::from_name(name).filter(|function| self.offers(*function)) {
                    Some(function) => self.function(node, function, &callee.span, arguments),
                    None => self.no_function(name, &callee.span, arguments),
                }
            }
            Kind::Builtin(name) => {
                match Function::from_name(&name.text).filter(|function| function.is_builtin()) {
                    Some(function) => self.function(node, function, &name.span, arguments),
                    None => self.no_builtin(name, arguments),
                }
            }
            Kind::Member { object, name, .. } => self.method(node, object, name, arguments),
            _ => {
                self.arguments(arguments);
                let message = "only functions and methods can be called";
                let error = ExprError::new(codes::NOT_CALLABLE, callee.span.clone(), message);
                self.report(error)
            }
        }
    }

    /// Checks arguments of which nothing is known but that they are there.
    fn arguments(&mut self, arguments: &'a [Expr]) -> Vec<Type> {
        arguments
            .iter()
            .map(|argument| match &argument.kind {
                Kind::Closure(_) => self.closure(argument, Type::Any, false),
                _ => self.expr(argument),
            })
            .collect()
    }

    fn no_function(&mut self, name: &str, span: &Span, arguments: &'a [Expr]) -> Type {
        self.arguments(arguments);
        let is_value =
            self.root(name).is_some() || self.variables.iter().any(|known| known.name.text == name);
        let error = if is_value {
            let message = format!("`{name}` is not a function and cannot be called");
            ExprError::new(codes::NOT_CALLABLE, span.clone(), message)
        } else if Function::from_name(name).is_some() {
            let message = format!("`{name}` is offered only to the assertions of hub tests");
            ExprError::new(codes::UNKNOWN_FUNCTION, span.clone(), message)
        } else {
            let message = format!("unknown function `{name}`");
            let offered = Function::ALL.iter().filter(|function| self.offers(**function));
            ExprError::new(codes::UNKNOWN_FUNCTION, span.clone(), message).suggest(
                name,
                span.clone(),
                offered.map(|function| function.name()),
            )
        };
        self.report(error)
    }

    fn no_builtin(&mut self, name: &Name, arguments: &'a [Expr]) -> Type {
        self.arguments(arguments);
        let message = format!("the language has no function `{}`", name.text);
        let error = ExprError::new(codes::UNKNOWN_FUNCTION, name.span.clone(), message);
        let error = if Function::from_name(&name.text).is_some() {
            error.help("write the name without `::`")
        } else {
            let builtins = Function::ALL.iter().filter(|function| function.is_builtin());
            error.suggest(&name.text, name.span.clone(), builtins.map(|function| function.name()))
        };
        self.report(error)
    }

    fn function(
        &mut self,
        node: &Expr,
        function: Function,
        span: &Span,
        arguments: &'a [Expr],
    ) -> Type {
        self.mean(node.id, Meaning::Function(function));
        let name = function.name();
        let signature = signature(function);
        if let Some(error) = wrong_count(name, span, &signature, arguments) {
            self.report(error);
        }
        let mut given: Vec<Type> = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let Some(param) = signature.param(index) else {
                // One too many, and reported as such.
                self.arguments(core::slice::from_ref(argument));
                continue;
            };
            let found = if let Kind::Closure(body) = &argument.kind {
                let element = given.first().and_then(Type::element).unwrap_or(Type::Any);
                let found = self.closure(argument, element, function == Function::Reduce);
                self.closure_result(name, param, body, &found);
                found
            } else {
                let found = self.expr(argument);
                self.argument(name, param, argument, &found);
                found
            };
            given.push(found);
        }
        result(&signature.gives, &given)
    }

    fn argument(&mut self, name: &str, param: Param, argument: &Expr, found: &Type) {
        if param.accepts(found) {
            return;
        }
        let message = format!("`{name}` needs {} here, this is {found}", param.description());
        let error = ExprError::new(codes::ARGUMENT_TYPE, argument.span.clone(), message);
        let error = match (param, found) {
            (Param::Str, found) if found.is_number() => error.help("convert it with `string(…)`"),
            (Param::Int | Param::Number, Type::Str) => {
                error.help("convert it with `int(…)` or `float(…)`")
            }
            _ => error,
        };
        self.report(error);
    }

    fn closure_result(&mut self, name: &str, param: Param, body: &Expr, found: &Type) {
        let (fits, wanted) = match param {
            Param::Predicate => (found.may_be_bool(), "a boolean"),
            Param::NumberOf => (found.may_be_number(), "a number"),
            _ => return,
        };
        if !fits {
            let message = format!("the closure of `{name}` must give {wanted}, but gives {found}");
            self.report(ExprError::new(codes::ARGUMENT_TYPE, body.span.clone(), message));
        }
    }

    /// Checks a closure that is run for each `element`; returns what it gives.
    fn closure(&mut self, argument: &'a Expr, element: Type, accumulates: bool) -> Type {
        let Kind::Closure(body) = &argument.kind else { return Type::Any };
        let number = narrow(self.closures.len());
        self.mean(argument.id, Meaning::Closure(number));
        self.closures.push(Enclosing { element, accumulates });
        self.checked.n_closures = self.checked.n_closures.max(number + 1);
        let found = self.expr(body);
        self.closures.pop();
        self.checked.types[argument.id.index()] = found.clone();
        found
    }

    // Methods.

    fn method(
        &mut self,
        node: &Expr,
        object: &'a Expr,
        name: &Name,
        arguments: &'a [Expr],
    ) -> Type {
        let of = self.expr(object);
        let given = self.arguments(arguments);
        if let Some(signature) = of.methods().iter().find(|known| known.method.name() == name.text)
        {
            self.mean(node.id, Meaning::Method(signature.method));
            self.method_arguments(signature, &name.span, arguments, &given);
            return signature.result.to_type();
        }
        let is_open = match &of {
            Type::Any => true,
            Type::Object(object) => object.is_open(),
            _ => false,
        };
        if is_open {
            let method = Method::from_name(&name.text);
            self.mean(node.id, method.map_or(Meaning::DynamicMethod, Meaning::Method));
            return Type::Any;
        }
        let error = no_method(&of, name);
        self.report(error)
    }

    fn method_arguments(
        &mut self,
        signature: &MethodSignature,
        span: &Span,
        arguments: &[Expr],
        given: &[Type],
    ) {
        let name = signature.method.name();
        let n_params = signature.params.len();
        if arguments.len() != n_params {
            let message = format!("`{name}` takes {}, not {}", count(n_params), arguments.len());
            self.report(ExprError::new(codes::ARGUMENT_COUNT, span.clone(), message));
        }
        for ((param, argument), found) in signature.params.iter().zip(arguments).zip(given) {
            self.argument(name, *param, argument, found);
        }
    }
}

fn no_method(of: &Type, name: &Name) -> ExprError {
    let message = format!("{of} has no method `{}`", name.text);
    let error = ExprError::new(codes::UNKNOWN_METHOD, name.span.clone(), message);
    let is_field = match of {
        Type::Object(object) => object.field(&name.text).is_some(),
        _ => false,
    };
    if is_field {
        return error.help(format!("`{}` is a field and is read without parentheses", name.text));
    }
    error.suggest(
        &name.text,
        name.span.clone(),
        of.methods().iter().map(|known| known.method.name()),
    )
}

fn wrong_count(
    name: &str,
    span: &Span,
    signature: &Signature,
    arguments: &[Expr],
) -> Option<ExprError> {
    let n_given = arguments.len();
    let (least, most) = (signature.n_required, signature.params.len());
    let takes = if n_given >= least && (n_given <= most || signature.rest.is_some()) {
        return None;
    } else if signature.rest.is_some() {
        format!("at least {}", count(least))
    } else if least == most {
        count(most)
    } else {
        format!("{least} to {}", count(most))
    };
    let message = format!("`{name}` takes {takes}, not {n_given}");
    Some(ExprError::new(codes::ARGUMENT_COUNT, span.clone(), message))
}

fn count(n_arguments: usize) -> String {
    match n_arguments {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        n => format!("{n} arguments"),
    }
}

/// Returns what a function gives for arguments of these types.
fn result(gives: &Gives, given: &[Type]) -> Type {
    let first = given.first().unwrap_or(&Type::Any);
    let element = || match first {
        // `get` takes maps and texts too.
        Type::Map(value) => (**value).clone(),
        _ => first.element().unwrap_or(Type::Any),
    };
    match gives {
        Gives::Always(shape) => shape.to_type(),
        Gives::First => first.clone(),
        Gives::Element => element(),
        Gives::Elements => Type::list(element()),
        // Without a closure, `sum` adds up the elements themselves.
        Gives::Closure => given.get(1).cloned().unwrap_or_else(element),
        Gives::ClosureList => Type::list(given.get(1).cloned().unwrap_or(Type::Any)),
        Gives::Groups => Type::map(Type::list(element())),
        Gives::MapValues => match first {
            Type::Map(value) => Type::list((**value).clone()),
            _ => Type::list(Type::Any),
        },
    }
}
