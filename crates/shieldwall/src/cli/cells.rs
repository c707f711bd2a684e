//! What lists of alerts and of decisions tell in the same words: fields of the local API's answers
//! as cells of a table or of CSV.

use api::{Alert, Source};

/// A field that may be absent.
pub(super) fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// A number that may be absent.
pub(super) fn id(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// `64500 Example Net`, whichever is known.
pub(super) fn network(source: &Source) -> String {
    let number = Some(text(&source.as_number)).filter(|number| *number != "0").unwrap_or_default();
    format!("{number} {}", text(&source.as_name)).trim().to_owned()
}

/// `Ip:192.0.2.1`, or the scope alone where there is no value.
pub(super) fn whom(scope: &Option<String>, value: &Option<String>) -> String {
    match text(value) {
        "" => text(scope).to_owned(),
        value => format!("{}:{value}", text(scope)),
    }
}

/// The column that is only there where it was asked for: who sent the alert.
pub(super) struct Machine {
    /// Whether it was asked for.
    pub(super) is_shown: bool,
    /// What the column is called.
    pub(super) title: &'static str,
}

impl Machine {
    /// The names of the columns, with this one where it belongs.
    pub(super) fn header(&self, columns: &[&'static str]) -> Vec<&'static str> {
        let mut header = columns.to_vec();
        header.extend(self.is_shown.then_some(self.title));
        header
    }

    /// A row, with the machine where it belongs.
    pub(super) fn row(&self, mut cells: Vec<String>, alert: &Alert) -> Vec<String> {
        cells.extend(self.is_shown.then(|| text(&alert.machine_id).to_owned()));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_empty() {
        let source = Source {
            scope: Some("Ip".to_owned()),
            as_number: Some("0".to_owned()),
            as_name: Some("A, B".to_owned()),
            ..Source::default()
        };
        assert_eq!(network(&source), "A, B");
        assert_eq!(whom(&source.scope, &source.value), "Ip");
        assert_eq!(whom(&source.scope, &Some("192.0.2.1".to_owned())), "Ip:192.0.2.1");
        assert_eq!((id(None), id(Some(3)), text(&None)), (String::new(), "3".to_owned(), ""));
        let machine = Machine { is_shown: true, title: "machine" };
        assert_eq!(machine.header(&["a"]), ["a", "machine"]);
        let alert = Alert { machine_id: Some("m".to_owned()), ..Alert::default() };
        assert_eq!(machine.row(vec!["b".to_owned()], &alert), ["b", "m"]);
        let hidden = Machine { is_shown: false, ..machine };
        assert_eq!(hidden.row(Vec::new(), &alert), [""; 0]);
    }
}
