//! Query parameters: each at most once, none unknown, every fault reported.

use url::form_urlencoded;

use crate::problem::{FieldFault, Kind, Problem};

/// The parameters of a request, and what was wrong with them so far.
#[derive(Debug)]
pub(crate) struct Params {
    given: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl Params {
    /// Reads a query; only parameters of `known` may be there.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Self {
        let given: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        let mut faults: Vec<FieldFault> = Vec::new();
        for (index, (name, _)) in given.iter().enumerate() {
            let pointer = pointer(name);
            if faults.iter().any(|fault| fault.pointer == pointer) {
                continue;
            }
            if !known.contains(&name.as_str()) {
                faults.push(FieldFault::new(pointer, "is not known here", listed(known)));
            } else if given.iter().take(index).any(|(earlier, _)| earlier == name) {
                faults.push(FieldFault::new(pointer, "is there more than once", "one value"));
            }
        }
        Self { given, faults }
    }

    /// The value as it is, if given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value as `read` understands it; a value it does not understand is a fault.
    pub(crate) fn value<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = read(text);
        if value.is_none() {
            let detail = format!("{:?} will not do", clipped(text));
            self.faults.push(FieldFault::new(pointer(name), detail, expected));
        }
        value
    }

    /// Notes a fault that takes more than one value to find.
    pub(crate) fn fault(&mut self, name: &str, detail: String, expected: &str) {
        self.faults.push(FieldFault::new(pointer(name), detail, expected));
    }

    /// All is well, or everything that is not.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some(first) = self.faults.first() else {
            return Ok(());
        };
        let detail =
            format!("parameter {}: {}", first.pointer.trim_start_matches('/'), first.detail);
        Err(Problem { errors: self.faults, ..Problem::new(Kind::InvalidParameter, detail) })
    }
}

/// RFC 6901: `~` and `/` are escaped.
fn pointer(name: &str) -> String {
    format!("/{}", clipped(name).replace('~', "~0").replace('/', "~1"))
}

/// What the caller sent, short enough to say back.
fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

fn listed(known: &[&str]) -> String {
    match known {
        [] => "no parameters".to_owned(),
        known => known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(query: &str) -> Vec<FieldFault> {
        let mut params = Params::parse(Some(query), &["limit", "q"]);
        params.value("limit", "1 to 100", |text| text.parse::<u8>().ok());
        params.finish().err().map(|problem| problem.errors).unwrap_or_default()
    }

    #[test]
    fn values_are_decoded() {
        let params = Params::parse(Some("q=a%20b+c%C3%BC&limit="), &["limit", "q"]);
        assert_eq!(params.text("q"), Some("a b cü"));
        assert_eq!(params.text("limit"), Some(""));
        assert_eq!(params.text("other"), None);
        assert_eq!(params.finish(), Ok(()));
        assert_eq!(Params::parse(None, &[]).finish(), Ok(()));
        assert_eq!(Params::parse(Some(""), &[]).finish(), Ok(()));
    }

    #[test]
    fn every_fault_is_reported() {
        let expected = vec![
            FieldFault::new("/a~1b", "is not known here", "limit, q"),
            FieldFault::new("/q", "is there more than once", "one value"),
            FieldFault::new("/limit", "\"300\" will not do", "1 to 100"),
        ];
        assert_eq!(faults("a/b=1&q=1&q=2&q=3&limit=300&a/b"), expected);
    }

    #[test]
    fn the_detail_names_the_first_fault() {
        let problem = Params::parse(Some("x=1"), &[]).finish().unwrap_err();
        assert_eq!(problem.kind, Kind::InvalidParameter);
        assert_eq!(problem.detail, "parameter x: is not known here");
        assert_eq!(problem.errors[0].expected, "no parameters");
    }

    #[test]
    fn long_input_is_not_said_back_whole() {
        let long = "x".repeat(9_000);
        let [fault] = faults(&long).try_into().unwrap();
        assert_eq!(fault.pointer.len(), 65);
    }
}
