//! From the SQL of this crate to PostgreSQL's.
//!
//! Three things differ where the statements otherwise agree: the marks of parameters, a plus that
//! keeps SQLite from an index (PostgreSQL counts its rows and needs no such hint), and two words.

/// Turns a statement into one for PostgreSQL.
pub(super) fn translate(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    write(sql, 0, &mut out);
    out
}

/// Turns an insertion of one row, `INSERT … VALUES (…)`, into one of `n_rows` that answers with the
/// numbers of the new rows. Marks must be numbered.
pub(super) fn insertion(sql: &str, n_params: usize, n_rows: usize) -> String {
    const VALUES: &str = "VALUES ";
    let mut out = String::new();
    let (head, row) = sql.split_at(sql.rfind(VALUES).map_or(sql.len(), |at| at + VALUES.len()));
    write(head, 0, &mut out);
    for n in 0..n_rows {
        if n > 0 {
            out.push_str(", ");
        }
        write(row, n * n_params, &mut out);
    }
    out.push_str(" RETURNING id");
    out
}

/// Writes a piece of a statement, its marks moved up by `offset`.
fn write(sql: &str, offset: usize, out: &mut String) {
    let mut n_marks = 0;
    let mut rest = sql;
    while let Some(at) = rest.find(['?', '+', '\'', 'C', 'i']) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let after = &found[1..];
        match found.as_bytes().first() {
            Some(b'\'') => {
                // A text; two quotes in a row are two texts for this purpose.
                let end = after.find('\'').map_or(found.len(), |end| end + 2);
                out.push_str(&found[..end]);
                rest = &found[end..];
            }
            Some(b'?') => {
                let n_digits = after.bytes().take_while(u8::is_ascii_digit).count();
                n_marks = after[..n_digits].parse().unwrap_or(n_marks + 1);
                out.push('$');
                out.push_str(&(offset + n_marks).to_string());
                rest = &after[n_digits..];
            }
            Some(b'+') if after.starts_with(|next: char| next.is_ascii_alphabetic()) => {
                rest = after
            }
            _ => {
                rest = found;
                for (ours, theirs) in [("CROSS JOIN ", "JOIN "), ("instr(", "strpos(")] {
                    if let Some(tail) = rest.strip_prefix(ours) {
                        out.push_str(theirs);
                        rest = tail;
                    }
                }
                if rest.len() == found.len() {
                    out.push_str(&found[..1]);
                    rest = after;
                }
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_turned_and_nothing_else() {
        let check = |sql: &str, want: &str| assert_eq!(translate(sql), want);
        check("SELECT id FROM a WHERE b = ? AND c > ?", "SELECT id FROM a WHERE b = $1 AND c > $2");
        check("VALUES (?1, ?1, ?12)", "VALUES ($1, $1, $12)");
        check("x = '?+d C' AND y = ?", "x = '?+d C' AND y = $1");
        check("it''s '' ? 'CROSS JOIN '", "it''s '' $1 'CROSS JOIN '");
        check("+d.until > ? AND value + 1", "d.until > $1 AND value + 1");
        check("f CROSS JOIN alerts a ON CASE", "f JOIN alerts a ON CASE");
        check("instr(lower(s), lower(?)) > 0", "strpos(lower(s), lower($1)) > 0");
        check("'open", "'open");
        check("é ? 'é' +é", "é $1 'é' +é");
    }

    #[test]
    fn an_insertion_takes_many_rows() {
        let got = insertion("INSERT INTO t (a, b, c) VALUES (?1, ?1, ?2)", 2, 2);
        assert_eq!(got, "INSERT INTO t (a, b, c) VALUES ($1, $1, $2), ($3, $3, $4) RETURNING id");
    }
}
