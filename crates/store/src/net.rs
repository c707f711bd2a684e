//! Addresses as the five integers of the tables, and the questions SQL can answer with them.
//!
//! SQLite's integers are signed, so each unsigned word is moved by 2^63 - 1 to keep its order.

use ipnet::IpNet;

use crate::{Relation, sql::Value};

/// The columns `start_ip, end_ip, start_suffix, end_suffix, ip_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) start_suffix: i64,
    pub(crate) end_suffix: i64,
    pub(crate) size: i64,
}

/// Moves a word into the signed range, keeping the order. The two greatest words collide, which
/// existing databases already live with.
fn signed(word: u64) -> i64 {
    const HALF: u64 = (1 << 63) - 1;
    if word >= HALF {
        i64::try_from(word - HALF).unwrap_or(i64::MAX)
    } else {
        -i64::try_from(HALF - word).unwrap_or(i64::MAX)
    }
}

/// Splits 128 bits into two words.
pub(crate) fn words(bits: u128) -> (u64, u64) {
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    (u64::try_from(bits >> 64).unwrap_or(u64::MAX), low)
}

impl Columns {
    pub(crate) fn of(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self {
                start: signed(u64::from(net.network().to_bits())),
                end: signed(u64::from(net.broadcast().to_bits())),
                start_suffix: signed(0),
                end_suffix: signed(0),
                size: 4,
            },
            IpNet::V6(net) => {
                let (start, start_suffix) = words(net.network().to_bits());
                let (end, end_suffix) = words(net.broadcast().to_bits());
                Self {
                    start: signed(start),
                    end: signed(end),
                    start_suffix: signed(start_suffix),
                    end_suffix: signed(end_suffix),
                    size: 16,
                }
            }
        }
    }
}

/// Adds to `sql` the condition that the row named `row` lies to `net` as asked.
///
/// Networks are prefixes, so those that contain one are few and known: they are looked up one by
/// one in the index instead of scanning everything that starts before.
pub(crate) fn condition(
    row: &str,
    net: IpNet,
    relation: Relation,
    sql: &mut String,
    values: &mut Vec<Value>,
) {
    let asked = Columns::of(net);
    match relation {
        Relation::Inside => {
            sql.push_str(&format!(
                "({row}.start_ip BETWEEN ? AND ? AND {row}.end_ip <= ? AND {row}.ip_size = ?"
            ));
            values.extend([asked.start, asked.end, asked.end, asked.size].map(Value::from));
            if asked.size == 16 {
                sql.push_str(&format!(
                    " AND ({row}.start_ip > ? OR {row}.start_suffix >= ?)\
                     AND ({row}.end_ip < ? OR {row}.end_suffix <= ?)"
                ));
                values.extend(
                    [asked.start, asked.start_suffix, asked.end, asked.end_suffix].map(Value::from),
                );
            }
            sql.push(')');
        }
        Relation::Contains => {
            sql.push_str(&format!(
                "({row}.ip_size = ? AND ({row}.start_ip, {row}.end_ip) IN (VALUES "
            ));
            values.push(asked.size.into());
            let mut seen = Vec::new();
            for length in (0..=net.prefix_len()).rev() {
                let Ok(wider) = IpNet::new(net.addr(), length) else { continue };
                let wider = Columns::of(wider.trunc());
                if seen.contains(&(wider.start, wider.end)) {
                    continue;
                }
                // PostgreSQL takes the type of the rows from the first.
                sql.push_str(match seen.is_empty() {
                    true => "(CAST(? AS BIGINT), CAST(? AS BIGINT))",
                    false => ", (?, ?)",
                });
                values.extend([wider.start, wider.end].map(Value::from));
                seen.push((wider.start, wider.end));
            }
            sql.push(')');
            if asked.size == 16 {
                sql.push_str(&format!(
                    " AND ({row}.start_ip < ? OR {row}.start_suffix <= ?)\
                     AND ({row}.end_ip > ? OR {row}.end_suffix >= ?)"
                ));
                values.extend(
                    [asked.start, asked.start_suffix, asked.end, asked.end_suffix].map(Value::from),
                );
            }
            sql.push(')');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_order() {
        let words = [0, 1, (1 << 63) - 2, (1 << 63) - 1, 1 << 63, u64::MAX - 2, u64::MAX - 1];
        assert!(words.map(signed).is_sorted_by(|a, b| a < b));
        assert_eq!(signed(0), -i64::MAX);
        assert_eq!(signed(u64::MAX), i64::MAX);
    }
}
