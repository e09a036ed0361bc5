//! Filling a template: one pass, and nothing goes in unescaped.

use alloc::borrow::Cow;
use alloc::string::String;

/// A placeholder's name and value. `None` leaves out the lines on which the placeholder stands.
pub(super) type Value<'a> = (&'static str, Option<Cow<'a, str>>);

/// `template` with each `{{name}}` replaced by its escaped value. Values are never read as
/// templates. A name without a value counts as `None`.
pub(super) fn fill(template: &str, values: &[Value<'_>]) -> String {
    let mut html = String::with_capacity(4_096);
    for line in template.split_inclusive('\n') {
        let start = html.len();
        if fill_line(line, values, &mut html).is_none() {
            html.truncate(start);
        }
    }
    html
}

fn fill_line(line: &str, values: &[Value<'_>], html: &mut String) -> Option<()> {
    let mut rest = line;
    while let Some((before, name, after)) = next_placeholder(rest) {
        html.push_str(before);
        let (_, value) = values.iter().find(|(known, _)| *known == name)?;
        escape(value.as_deref()?, html);
        rest = after;
    }
    html.push_str(rest);
    Some(())
}

/// What stands before the next placeholder, its name, and what follows it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

/// Escapes for element content and for attribute values in either kind of quotes.
pub(super) fn escape(value: &str, html: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        html.push_str(&rest[..at]);
        html.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    html.push_str(rest);
}

#[cfg(test)]
pub(super) fn placeholders(template: &str) -> alloc::collections::BTreeSet<&str> {
    let mut names = alloc::collections::BTreeSet::new();
    let mut rest = template;
    while let Some((_, name, after)) = next_placeholder(rest) {
        names.insert(name);
        rest = after;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &'static str, value: &'static str) -> Value<'static> {
        (name, Some(Cow::Borrowed(value)))
    }

    #[test]
    fn values_are_escaped_for_text_and_attributes() {
        let html = fill("<a title=\"{{a}}\">{{a}}</a>", &[value("a", "<&>\"'é&amp;")]);
        let escaped = "&lt;&amp;&gt;&quot;&#39;é&amp;amp;";
        assert_eq!(html, alloc::format!("<a title=\"{escaped}\">{escaped}</a>"));
    }

    #[test]
    fn values_are_not_templates() {
        let values = [value("a", "{{b}}"), value("b", "{{a}}"), value("c", "{{"), value("d", "}}")];
        assert_eq!(fill("{{a}}{{b}} {{c}}a{{d}}", &values), "{{b}}{{a}} {{a}}");
    }

    #[test]
    fn lines_without_a_value_are_left_out() {
        let values = [value("a", "1"), ("b", None)];
        assert_eq!(fill("{{a}}\n{{a}} {{b}}\n{{a}}\n", &values), "1\n1\n");
        assert_eq!(fill("x\n{{a}}{{unknown}}\ny", &values), "x\ny");
    }

    #[test]
    fn braces_that_are_no_placeholder_stay() {
        assert_eq!(fill("a{b}c}}d{{e", &[]), "a{b}c}}d{{e");
    }
}
