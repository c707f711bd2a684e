//! The evaluator: walks an expression over an event.
//!
//! [`Cx::test`] answers filters and takes the short way for the shapes they are made of;
//! [`Cx::eval`] gives values. Expressions may write to the event (`evt.SetMeta`, `UnmarshalJSON`),
//! so each is evaluated exactly once and in order (spec §13, trap 55).
//!
//! Reading order: this file, `ops` (operators), `each` (closures), `member` (fields and methods),
//! `call` (functions).

mod call;
mod each;
mod member;
mod ops;
mod scratch;
mod tree;

pub use member::event_value;
pub use scratch::Scratch;
pub use tree::{json_texts, parse_json};

use crate::data::DataFiles;
use crate::event::Event;
use crate::expr::{Expr, Prop, Root, SetOp, TextOp};
use crate::outside::Outside;
use crate::pool::{MemoId, Pool, Space};
use crate::value::{EvalError, EventRef, Map, Text, Value};
use alloc::{format, sync::Arc, vec::Vec};
use model::Timestamp;

/// Elements an expression may make in all before it is stopped (spec §6.5).
const BUDGET: u32 = 1_000_000;

/// How deep values may nest: walks over them recurse. More than the nesting of any JSON text that is
/// read ([`crate::builtins::json::MAX_DEPTH`]), since expressions put such trees into lists.
const MAX_DEPTH: usize = 500;

/// What an expression is evaluated in.
pub struct Cx<'a> {
    /// Fields, literals, patterns.
    pub pool: &'a Pool,
    /// Data files.
    pub data: &'a DataFiles,
    /// `evt`
    pub event: &'a mut Event,
    /// Caches and variables.
    pub scratch: &'a mut Scratch,
    /// The world.
    pub outside: &'a dyn Outside,
    /// The current time.
    pub now: Timestamp,
    /// The variables besides `evt`.
    pub roots: &'a Roots,
}

impl core::fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cx").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The variables of an environment besides `evt`.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// `queue`
    pub queue: Option<Value>,
    /// `leaky`
    pub leaky: Option<Value>,
    /// `signal`
    pub signal: Option<Value>,
    /// `Alert`
    pub alert: Option<Value>,
    /// `results`
    pub results: Option<Value>,
    /// Set where there is no current event: reading `evt` is an error then (overflow filters).
    pub no_event: bool,
}

/// The outcome of an expression.
pub type Eval<T> = Result<T, EvalError>;

impl Cx<'_> {
    /// Gives the next rule a budget of its own: what one spends must not silence the others.
    pub(crate) fn begin_rule(&mut self) {
        self.scratch.begin();
    }

    /// The same with other variables besides `evt`.
    pub fn with_roots<'b>(&'b mut self, roots: &'b Roots) -> Cx<'b> {
        Cx {
            pool: self.pool,
            data: self.data,
            event: self.event,
            scratch: self.scratch,
            outside: self.outside,
            now: self.now,
            roots,
        }
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// When evaluation fails, or gives something that is not a boolean.
    /// hot: `cargo xtask bench engine`
    pub fn test(&mut self, expr: &Expr) -> Eval<bool> {
        match expr {
            Expr::Bool(value) => Ok(*value),
            Expr::FieldEq(field, lit) => {
                self.need_event()?;
                let text = self.event.get(*field, self.pool).unwrap_or("");
                Ok(text == self.pool.lit_text(*lit))
            }
            Expr::FieldIn(field, lits) => {
                self.need_event()?;
                let text = self.event.get(*field, self.pool).unwrap_or("");
                Ok(lits.iter().any(|lit| self.pool.lit_text(*lit) == text))
            }
            Expr::HasField(field) => {
                self.need_event()?;
                Ok(self.event.has(*field))
            }
            Expr::And(left, right) => Ok(self.test(left)? && self.test(right)?),
            Expr::Or(left, right) => Ok(self.test(left)? || self.test(right)?),
            Expr::Not(inner) => Ok(!self.test(inner)?),
            Expr::Compare(op, left, right) => self.compare(*op, left, right),
            Expr::Text(op, left, right) => self.text_op(*op, left, right),
            Expr::Matches(text, regex) => {
                let Some(text) = self.text_or_nil(text)? else { return Ok(false) };
                let text = text.get(self.event, self.pool);
                Ok(self.pool.regex(*regex).is_match(self.scratch.regex(*regex), text))
            }
            Expr::InLits(text, lits) => {
                let value = self.eval(text)?;
                let Value::Text(text) = value else { return Ok(false) };
                let text = text.get(self.event, self.pool);
                Ok(lits.binary_search_by(|lit| self.pool.lit_text(*lit).cmp(text)).is_ok())
            }
            Expr::ContainsAny(text, set) => {
                let Some(text) = self.text_or_nil(text)? else { return Ok(false) };
                let text = text.get(self.event, self.pool);
                Ok(self.pool.literal_set(*set).contains_any(text))
            }
            Expr::InTextSet(op, text, set) => {
                let text = match self.eval(text)? {
                    Value::Text(text) => text,
                    Value::Nil => return Ok(false),
                    // Comparing a text with something else is no error, searching it is.
                    _ if *op == SetOp::Equal => return Ok(false),
                    other => return Err(not_a("string", &other)),
                };
                let text = text.get(self.event, self.pool);
                let set = self.pool.text_set(*set);
                Ok(match op {
                    SetOp::Equal => set.has(text),
                    SetOp::StartsWith => set.has_prefix_of(text),
                    SetOp::EndsWith => set.has_suffix_of(text),
                })
            }
            Expr::MatchesAny(text, id) => {
                let Some(text) = self.text_or_nil(text)? else { return Ok(false) };
                let text = text.get(self.event, self.pool);
                let set = self.pool.regex_set(*id);
                Ok(set.is_match_any(self.scratch.pool_set(*id), text).is_some())
            }
            Expr::RegexpInFile(text, file) => {
                let text = self.text(text)?;
                let text = text.get(self.event, self.pool);
                let set = &self.data.regexes[file.0 as usize].set;
                Ok(set.is_match_any(self.scratch.set(*file), text).is_some())
            }
            _ => match self.eval(expr)? {
                Value::Bool(value) => Ok(value),
                other => Err(not_a("bool", &other)),
            },
        }
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// When an operator or function cannot work with what it is given (spec §6.5).
    pub fn eval(&mut self, expr: &Expr) -> Eval<Value> {
        Ok(match expr {
            Expr::Nil => Value::Nil,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(value) => Value::Int(*value),
            Expr::Float(value) => Value::Float(*value),
            Expr::Lit(lit) => Value::Text(Text::Lit(*lit)),
            Expr::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
            Expr::Field(field) => {
                self.need_event()?;
                Value::Text(self.event.text(*field).unwrap_or(EMPTY))
            }
            Expr::Memo(memo) => {
                self.need_event()?;
                Value::Text(self.memo(*memo))
            }
            Expr::FieldAt(space, key) => {
                self.need_event()?;
                let key = self.text(key)?;
                // A key may be a piece of the arena, which `named` only reads.
                let key = key.get(self.event, self.pool);
                Value::Text(self.event.named(*space, key, self.pool).unwrap_or(EMPTY))
            }
            Expr::HasFieldAt(space, key) => {
                self.need_event()?;
                let Value::Text(key) = self.eval(key)? else { return Ok(Value::Bool(false)) };
                let key = key.get(self.event, self.pool);
                Value::Bool(self.event.named(*space, key, self.pool).is_some())
            }
            Expr::Fields(space) => {
                self.need_event()?;
                Value::Fields(EventRef::Current, *space)
            }
            Expr::Prop(prop) => self.prop(*prop)?,
            Expr::Root(root) => self.root(*root)?,
            Expr::Local(local) => self.scratch.local(*local),
            Expr::Element(depth) => self.scratch.frame(*depth).element,
            Expr::ElementIndex(depth) => Value::Int(self.scratch.frame(*depth).index),
            Expr::ElementAcc(depth) => self.scratch.frame(*depth).acc,
            Expr::Member { of, name, optional } => {
                let of = self.eval(of)?;
                if *optional && matches!(of, Value::Nil) {
                    return Err(self.leave_chain());
                }
                self.member(&of, self.pool.lit_text(*name))?
            }
            Expr::Index { of, key, optional } => {
                let of = self.eval(of)?;
                if *optional && matches!(of, Value::Nil) {
                    return Err(self.leave_chain());
                }
                let key = self.eval(key)?;
                self.index(&of, &key)?
            }
            Expr::Slice { of, from, to } => {
                let of = self.eval(of)?;
                let from = from.as_ref().map(|from| self.int(from)).transpose()?;
                let to = to.as_ref().map(|to| self.int(to)).transpose()?;
                self.slice(&of, from, to)?
            }
            Expr::Chain(inner) => match self.eval(inner) {
                Err(_) if core::mem::take(&mut self.scratch.left_chain) => Value::Nil,
                other => other?,
            },
            Expr::Neg(inner) => match self.eval(inner)? {
                Value::Int(value) => Value::Int(value.wrapping_neg()),
                Value::Float(value) => Value::Float(-value),
                Value::Duration(value) => Value::Duration(value.wrapping_neg()),
                other => return Err(not_a("number", &other)),
            },
            Expr::Plus(inner) => match self.eval(inner)? {
                value @ (Value::Int(_) | Value::Float(_) | Value::Duration(_)) => value,
                other => return Err(not_a("number", &other)),
            },
            Expr::Arith(op, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.arith(*op, &left, &right)?
            }
            Expr::In(needle, haystack) => {
                let needle = self.eval(needle)?;
                let haystack = self.eval(haystack)?;
                Value::Bool(self.contains(&haystack, &needle)?)
            }
            Expr::Cond(condition, then, otherwise) => {
                let branch = if self.test(condition)? { then } else { otherwise };
                self.eval(branch)?
            }
            Expr::Coalesce(left, right) => match self.eval(left)? {
                Value::Nil => self.eval(right)?,
                value => value,
            },
            Expr::MatchesComputed(text, pattern) => {
                let pattern = self.text(pattern)?;
                let Some(text) = self.text_or_nil(text)? else { return Ok(Value::Bool(false)) };
                let pattern = pattern.get(self.event, self.pool);
                let text = text.get(self.event, self.pool);
                Value::Bool(self.scratch.computed_match(pattern, text)?)
            }
            Expr::List(items) => {
                let items: Vec<Value> =
                    items.iter().map(|item| self.eval(item)).collect::<Eval<_>>()?;
                let list = Value::list(items);
                self.weigh(&list)?;
                list
            }
            Expr::Map(pairs) => {
                let mut map = Map::default();
                for (key, value) in pairs {
                    let key = self.eval(key)?;
                    let key = self.key_text(&key)?;
                    let value = self.eval(value)?;
                    map.entries.insert(key, self.lasting(value));
                }
                let map = Value::Map(Arc::new(map));
                self.weigh(&map)?;
                map
            }
            Expr::Range(from, to) => {
                let (from, to) = (self.int(from)?, self.int(to)?);
                let n = to.saturating_sub(from).saturating_add(1).max(0);
                self.spend(usize::try_from(n).unwrap_or(usize::MAX))?;
                Value::list((from..=to).map(Value::Int).collect())
            }
            Expr::Call(function, args) => self.call(*function, args)?,
            Expr::Method { of, method, args, optional } => {
                let of = self.eval(of)?;
                if *optional && matches!(of, Value::Nil) {
                    return Err(self.leave_chain());
                }
                let args: Vec<Value> =
                    args.iter().map(|arg| self.eval(arg)).collect::<Eval<_>>()?;
                self.method(&of, *method, &args)?
            }
            Expr::Each(each) => self.each(each)?,
            Expr::Let { local, value, body } => {
                let value = self.eval(value)?;
                self.scratch.set_local(*local, value);
                self.eval(body)?
            }
            Expr::Seq(first, then) => {
                self.eval(first)?;
                self.eval(then)?
            }
            Expr::HasField(_)
            | Expr::Not(_)
            | Expr::Compare(..)
            | Expr::And(..)
            | Expr::Or(..)
            | Expr::Text(..)
            | Expr::Matches(..)
            | Expr::FieldEq(..)
            | Expr::FieldIn(..)
            | Expr::InLits(..)
            | Expr::ContainsAny(..)
            | Expr::InTextSet(..)
            | Expr::MatchesAny(..)
            | Expr::RegexpInFile(..) => Value::Bool(self.test(expr)?),
        })
    }

    /// Evaluates an expression that must give a text.
    ///
    /// # Errors
    /// When evaluation fails or gives something else.
    pub fn text(&mut self, expr: &Expr) -> Eval<Text> {
        match self.eval(expr)? {
            Value::Text(text) => Ok(text),
            other => Err(not_a("string", &other)),
        }
    }

    /// A text derived from a field. The arena only grows while a line is processed, so the result
    /// stands as long as the field points to the same place. hot: `cargo xtask bench engine`
    pub(crate) fn memo(&mut self, id: MemoId) -> Text {
        let memo = self.pool.memo_of(id);
        let base = self.event.text(memo.field).unwrap_or(EMPTY);
        if let Some(known) = self.event.memo(id, &base) {
            return known;
        }
        let mut text = base.clone();
        for function in &memo.functions {
            text = self.text_function(*function, &text);
        }
        self.event.set_memo(id, &base, &text);
        text
    }

    /// Evaluates an operand of a text operator: nil makes the operator false (spec §6.2).
    fn text_or_nil(&mut self, expr: &Expr) -> Eval<Option<Text>> {
        match self.eval(expr)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Nil => Ok(None),
            other => Err(not_a("string", &other)),
        }
    }

    fn text_op(&mut self, op: TextOp, left: &Expr, right: &Expr) -> Eval<bool> {
        let left = self.text_or_nil(left)?;
        let right = self.text_or_nil(right)?;
        let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
        let left = left.get(self.event, self.pool);
        let right = right.get(self.event, self.pool);
        Ok(match op {
            TextOp::Contains => memchr::memmem::find(left.as_bytes(), right.as_bytes()).is_some(),
            TextOp::StartsWith => left.starts_with(right),
            TextOp::EndsWith => left.ends_with(right),
        })
    }

    fn int(&mut self, expr: &Expr) -> Eval<i64> {
        match self.eval(expr)? {
            Value::Int(value) => Ok(value),
            other => Err(not_a("int", &other)),
        }
    }

    fn prop(&mut self, prop: Prop) -> Eval<Value> {
        self.need_event()?;
        self.event_prop(prop)
    }

    fn root(&self, root: Root) -> Eval<Value> {
        let value = match root {
            Root::Queue => &self.roots.queue,
            Root::Leaky => &self.roots.leaky,
            Root::Signal => &self.roots.signal,
            Root::Alert => &self.roots.alert,
            Root::Results => &self.roots.results,
            // Only the request inspection fills these; elsewhere they are empty (spec §5.8).
            Root::Match | Root::Req => return Ok(Value::Map(Arc::new(Map::default()))),
            Root::Env => return Ok(self.environment()),
        };
        value.clone().ok_or_else(|| EvalError::new(format!("{root:?} is not set here")))
    }

    /// `$env`: what there is, by name.
    fn environment(&self) -> Value {
        let roots = self.roots;
        let mut map = Map::default();
        if !roots.no_event {
            map.entries.insert(Arc::from("evt"), Value::Event(EventRef::Current));
        }
        let named = [
            ("queue", &roots.queue),
            ("leaky", &roots.leaky),
            ("signal", &roots.signal),
            ("Alert", &roots.alert),
            ("results", &roots.results),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                map.entries.insert(Arc::from(name), value.clone());
            }
        }
        Value::Map(Arc::new(map))
    }

    fn need_event(&self) -> Eval<()> {
        if self.roots.no_event { Err(EvalError::new("there is no event here")) } else { Ok(()) }
    }

    /// Counts elements made; a rule that makes too many is stopped.
    pub(crate) fn spend(&mut self, n: usize) -> Eval<()> {
        let spent = self.scratch.spent.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        self.scratch.spent = spent;
        if spent > BUDGET {
            return Err(EvalError::new("expression makes more than 1000000 elements"));
        }
        Ok(())
    }

    /// Notes that an expression made a value of parts that may be large themselves: it counts with
    /// all that is below, since whoever prints or compares it walks all of that. Sharing is cheap to
    /// build, and forty lists of the list before are a thousand billion elements.
    pub(crate) fn weigh(&mut self, value: &Value) -> Eval<()> {
        let left = (BUDGET as usize).saturating_sub(self.scratch.spent as usize);
        let mut weight = 0;
        if !is_shallow(value, 0, &mut weight, left) {
            return Err(EvalError::new(format!("values nest deeper than {MAX_DEPTH}")));
        }
        self.spend(weight)
    }

    fn leave_chain(&mut self) -> EvalError {
        self.scratch.left_chain = true;
        EvalError::new("nil in an optional chain")
    }

    /// Makes a value independent of the event's arena, so that it may outlive the line.
    #[must_use]
    pub fn lasting(&self, value: Value) -> Value {
        match value {
            Value::Text(text @ (Text::Arena { .. } | Text::Lit(_))) => {
                Value::shared(text.get(self.event, self.pool))
            }
            Value::List(items) if items.iter().any(is_transient) => {
                Value::list(items.iter().map(|item| self.lasting(item.clone())).collect())
            }
            Value::Fields(from, space) => {
                let pairs = match &from {
                    EventRef::Current => self.event.pairs(space, self.pool),
                    EventRef::Kept(kept) => kept.pairs(space, self.pool),
                };
                let missing = crate::value::Missing::Text;
                let entries = pairs
                    .iter()
                    .map(|(key, text)| (Arc::from(*key), Value::shared(text)))
                    .collect();
                Value::Map(Arc::new(Map { missing, entries }))
            }
            other => other,
        }
    }

    /// The text of a map key: texts as they are, numbers in decimal.
    fn key_text(&self, key: &Value) -> Eval<Arc<str>> {
        Ok(match key {
            Value::Text(text) => Arc::from(text.get(self.event, self.pool)),
            Value::Int(value) => Arc::from(format!("{value}").as_str()),
            Value::Bool(value) => Arc::from(format!("{value}").as_str()),
            Value::Float(value) => Arc::from(format!("{value}").as_str()),
            other => return Err(not_a("map key", other)),
        })
    }
}

/// Counts the elements of a value, those of its elements included, until there are more than `left`.
/// `false` when they nest too deep.
fn is_shallow(value: &Value, depth: usize, weight: &mut usize, left: usize) -> bool {
    let mut is_fine = |item: &Value| {
        *weight += 1;
        *weight > left || (depth < MAX_DEPTH && is_shallow(item, depth + 1, weight, left))
    };
    match value {
        Value::List(items) => items.iter().all(&mut is_fine),
        Value::Map(map) => map.entries.values().all(&mut is_fine),
        _ => true,
    }
}

fn is_transient(value: &Value) -> bool {
    match value {
        Value::Text(Text::Arena { .. } | Text::Lit(_)) | Value::Fields(..) => true,
        Value::List(items) => items.iter().any(is_transient),
        _ => false,
    }
}

/// The empty text.
pub(crate) const EMPTY: Text = Text::Arena { start: 0, len: 0 };

pub(crate) fn not_a(wanted: &str, value: &Value) -> EvalError {
    EvalError::new(format!("{} where a {wanted} is needed", value.type_name()))
}

/// The space of a map of an event.
fn space_of(name: &str) -> Option<Space> {
    Some(match name {
        "Parsed" => Space::Parsed,
        "Meta" => Space::Meta,
        "Enriched" => Space::Enriched,
        _ => return None,
    })
}
