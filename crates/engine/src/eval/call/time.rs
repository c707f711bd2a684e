//! Dates and lengths of time, and the helpers that fit nowhere else.

use super::language::flatten;
use super::{Args, Cx, Eval, EvalError, Value};
use crate::builtins::layout::GoLayout;
use crate::builtins::time::DateTime;
use crate::builtins::{duration, number, parse_date, rfc3339 as dates};
use crate::function::{Function as F, Method as M};
use alloc::{format, string::String, vec::Vec};
use model::Time;

const SECOND: i64 = 1_000_000_000;

impl Cx<'_> {
    pub(super) fn time_helper(&mut self, args: &Args<'_>) -> Eval<Value> {
        match args.function {
            F::Now => Ok(Value::Time(Time::utc(self.now))),
            F::TimeNow => {
                let text = dates::format_rfc3339(DateTime::from(Time::utc(self.now)));
                Ok(self.literal(&text))
            }
            F::Duration => duration::parse_duration(args.str(0, self)?)
                .map(Value::Duration)
                .map_err(|error| args.failed(&error)),
            F::Date => self.date(args),
            // A zone is its name; instants are turned to it by `In`.
            F::Timezone => {
                let name = args.str(0, self)?;
                match self.outside.zone_offset(name, self.now.unix().0) {
                    Some(_) => Ok(args.get(0)?.clone()),
                    None => Err(args.failed("unknown time zone")),
                }
            }
            F::ParseUnix => {
                let of = args.str(0, self)?;
                let seconds = of.split('.').next().and_then(|whole| whole.parse().ok());
                let offset = self.outside.local_offset(seconds.unwrap_or(0));
                let text = parse_date::parse_unix_text(of, offset);
                Ok(self.literal(&text))
            }
            F::AverageInterval | F::MedianInterval => {
                let times: Vec<DateTime> = self
                    .elements(args.get(0)?)?
                    .iter()
                    .map(|item| match item {
                        Value::Time(time) => Ok(DateTime::from(*time)),
                        other => Err(args.not_a("time", other)),
                    })
                    .collect::<Eval<_>>()?;
                let interval = if args.function == F::AverageInterval {
                    number::average_interval(&times)
                } else {
                    number::median_interval(&times)
                };
                interval.map(Value::Duration).map_err(|error| args.failed(&error))
            }
            F::Distance => number::distance(
                args.str(0, self)?,
                args.str(1, self)?,
                args.str(2, self)?,
                args.str(3, self)?,
            )
            .map(Value::Float)
            .map_err(|error| args.failed(&error)),
            F::FloatApproxEqual => {
                Ok(Value::Bool(number::float_approx_equal(args.float(0)?, args.float(1)?)))
            }
            F::Flatten | F::FlattenDistinct => {
                let mut flat = Vec::new();
                flatten(args.values, &mut flat);
                if args.function == F::FlattenDistinct {
                    flat = self.unique(&flat)?;
                }
                self.made(Value::list(flat))
            }
            F::Distinct => match args.get(0)? {
                Value::List(items) => {
                    let unique = self.unique(items)?;
                    self.made(Value::list(unique))
                }
                _ => Ok(Value::Nil),
            },
            F::KeyExists => {
                let known = self.contains(args.get(1)?, args.get(0)?)?;
                Ok(Value::Bool(known))
            }
            _ => Err(args.misused()),
        }
    }

    fn date(&self, args: &Args<'_>) -> Eval<Value> {
        let layout = match args.values.get(1) {
            Some(_) => Some(args.str(1, self)?),
            None => None,
        };
        let offset = match args.values.get(2) {
            Some(_) => {
                let zone = args.str(2, self)?;
                self.outside
                    .zone_offset(zone, self.now.unix().0)
                    .ok_or_else(|| args.failed("unknown time zone"))?
            }
            None => 0,
        };
        let text = args.str(0, self)?;
        parse_date::date(text, layout, offset)
            .map(|date| Value::Time(date.into()))
            .ok_or_else(|| args.failed(&format!("`{text}` is no date")))
    }
}

/// Go's methods of `time.Time`.
pub(super) fn of_time(cx: &mut Cx<'_>, time: Time, method: M, args: &[Value]) -> Eval<Value> {
    let date = DateTime::from(time);
    let civil = date.civil();
    let int = |value: i64| Ok(Value::Int(value));
    let other = || match args.first() {
        Some(Value::Time(other)) => Ok(*other),
        _ => Err(EvalError::new(format!("{} needs a time", method.name()))),
    };
    let span = || match args.first() {
        Some(Value::Duration(span) | Value::Int(span)) => Ok(*span),
        _ => Err(EvalError::new(format!("{} needs a duration", method.name()))),
    };
    match method {
        M::Year => int(civil.year),
        M::Month => int(i64::from(civil.month)),
        M::Day => int(i64::from(civil.day)),
        M::Hour => int(i64::from(civil.hour)),
        M::Minute => int(i64::from(civil.minute)),
        M::Second => int(i64::from(civil.second)),
        M::Nanosecond => int(i64::from(civil.nanos)),
        M::Weekday => int(i64::from(date.weekday())),
        M::YearDay => int(i64::from(date.year_day())),
        M::Unix => int(time.at.unix().0),
        M::UnixMilli => int(time.at.unix_nanos().div_euclid(1_000_000)),
        M::UnixMicro => int(time.at.unix_nanos().div_euclid(1_000)),
        M::UnixNano => int(time.at.unix_nanos()),
        M::IsZero => Ok(Value::Bool(date.is_zero())),
        M::Before => Ok(Value::Bool(time < other()?)),
        M::After => Ok(Value::Bool(time > other()?)),
        M::Equal => Ok(Value::Bool(time == other()?)),
        M::Compare => int(time.cmp(&other()?) as i64),
        M::Sub => Ok(Value::Duration(time.at.nanos_since(other()?.at))),
        M::Add => Ok(Value::Time(Time { at: time.at.plus_nanos(span()?), offset: time.offset })),
        M::AddDate => {
            let part = |index: usize| match args.get(index) {
                Some(Value::Int(part)) => Ok(*part),
                _ => Err(EvalError::new("AddDate needs years, months and days")),
            };
            Ok(Value::Time(date.add_date(part(0)?, part(1)?, part(2)?).into()))
        }
        M::Utc => Ok(Value::Time(Time::utc(time.at))),
        M::Local | M::In => {
            let zone = match args.first() {
                Some(Value::Text(zone)) => String::from(cx.str(zone)),
                _ => String::from("Local"),
            };
            let offset = cx
                .outside
                .zone_offset(&zone, time.at.unix().0)
                .ok_or_else(|| EvalError::new(format!("unknown time zone `{zone}`")))?;
            Ok(Value::Time(Time { at: time.at, offset }))
        }
        M::Location => Ok(cx.literal(if time.offset == 0 { "UTC" } else { "" })),
        M::Format => {
            let layout = GoLayout::compile(cx.arg_text(args, 0)?);
            let text = layout.format(date);
            Ok(cx.literal(&text))
        }
        M::Truncate => {
            let step = span()?;
            let nanos = time.at.unix_nanos();
            let cut = if step > 0 { nanos - nanos.rem_euclid(step) } else { nanos };
            let at = model::Timestamp::from_unix_nanos(cut);
            Ok(Value::Time(Time { at, offset: time.offset }))
        }
        M::Round => {
            let rounded = round(time.at.unix_nanos(), span()?);
            let at = model::Timestamp::from_unix_nanos(rounded);
            Ok(Value::Time(Time { at, offset: time.offset }))
        }
        M::String => {
            let text = dates::format_go_string(date);
            Ok(cx.literal(&text))
        }
        _ => Err(EvalError::new(format!("times have no method `{}`", method.name()))),
    }
}

/// Go's methods of `time.Duration`.
pub(super) fn of_duration(cx: &mut Cx<'_>, span: i64, method: M, args: &[Value]) -> Eval<Value> {
    let per = |unit: i64| Ok(Value::Float(span as f64 / unit as f64));
    let step = || match args.first() {
        Some(Value::Duration(step) | Value::Int(step)) => Ok(*step),
        _ => Err(EvalError::new(format!("{} needs a duration", method.name()))),
    };
    match method {
        M::Hours => per(3600 * SECOND),
        M::Minutes => per(60 * SECOND),
        M::Seconds => per(SECOND),
        M::Milliseconds => Ok(Value::Int(span / 1_000_000)),
        M::Microseconds => Ok(Value::Int(span / 1_000)),
        M::Nanoseconds => Ok(Value::Int(span)),
        M::Abs => Ok(Value::Duration(span.saturating_abs())),
        M::Round => Ok(Value::Duration(round(span, step()?))),
        M::Truncate => {
            let step = step()?;
            Ok(Value::Duration(if step > 0 { span - span % step } else { span }))
        }
        M::String => {
            let text = duration::format_duration(span);
            Ok(cx.literal(&text))
        }
        _ => Err(EvalError::new(format!("durations have no method `{}`", method.name()))),
    }
}

/// The multiple of `step` nearest to `value`, halves away from zero.
fn round(value: i64, step: i64) -> i64 {
    if step <= 0 {
        return value;
    }
    let rest = value % step;
    let down = value - rest;
    if rest.unsigned_abs().saturating_mul(2) >= step.unsigned_abs() {
        down.saturating_add(step.saturating_mul(value.signum()))
    } else {
        down
    }
}
