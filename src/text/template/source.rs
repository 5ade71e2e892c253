//! What is changed in the source of a template before it is compiled; lines stay where they are.
//!
//! - Line ends become `\n`, as Jinja reads them.
//! - `{% generation %}` marks what the assistant said, which transformers uses for training masks.
//!   A `{% with %}` has the same scope and prints the same, and between it and an `{% if %}` there
//!   is a place for a mark that costs neither of them its trimming of whitespace.
//! - What is stored in a namespace passes through [`STORABLE`], for the sake of the stack.

/// The name of the function through which values to be stored in a namespace pass.
pub(super) const STORABLE: &str = "__storable";

/// The variables that are printed where a `{% generation %}` opens and closes.
pub(super) const MARKS: [&str; 2] = ["__said", "__unsaid"];

/// The source to compile.
pub(super) fn prepare(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut prepared = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(open) = rest.find('{') {
        prepared.push_str(&rest[..open]);
        rest = &rest[open..];
        let end = match rest.as_bytes().get(1) {
            Some(b'#') => rest.find("#}").map_or(rest.len(), |end| end + 2),
            Some(b'{') => end_of_tag(rest, "}}"),
            Some(b'%') => end_of_tag(rest, "%}"),
            _ => 1,
        };
        let (tag, after) = rest.split_at(end);
        rest = after;
        match words(tag).as_slice() {
            ["raw"] => {
                let raw = end_of_raw(rest);
                prepared.push_str(tag);
                prepared.push_str(&rest[..raw]);
                rest = &rest[raw..];
            }
            ["generation"] => prepared.push_str(&opened(tag)),
            ["endgeneration"] => prepared.push_str(&closed(tag)),
            ["set", ..] => prepared.push_str(&guarded(tag)),
            _ => prepared.push_str(tag),
        }
    }
    prepared.push_str(rest);
    prepared
}

/// Whether a prepared source marks what the assistant said.
pub(super) fn has_marks(prepared: &str) -> bool {
    prepared.contains(&format!("{{{{ {} }}}}", MARKS[0]))
}

/// `{% generation %}`, with the trimming that it asks for on its outer and inner side.
fn opened(tag: &str) -> String {
    let (before, after) = edges(tag);
    let mark = MARKS[0];
    format!(
        "{before} with %}}{{{{ {mark} }}}}{{% if true{}",
        &tag[tag.len() - after..]
    )
}

/// `{% endgeneration %}`.
fn closed(tag: &str) -> String {
    let (before, after) = edges(tag);
    let mark = MARKS[1];
    format!(
        "{before} endif %}}{{{{ {mark} }}}}{{% endwith{}",
        &tag[tag.len() - after..]
    )
}

/// The opening of a tag with its sign for trimming, and how long the other end of it is; the line
/// ends within belong to that end, so that lines stay where they are.
fn edges(tag: &str) -> (&str, usize) {
    let open = if tag[2..].starts_with(['-', '+']) {
        3
    } else {
        2
    };
    let word = tag.find("generation").unwrap_or(0) + "generation".len();
    (&tag[..open], tag.len() - word)
}

/// The words of a `{% .. %}`; none of anything else.
fn words(tag: &str) -> Vec<&str> {
    let inner = tag.strip_prefix("{%").and_then(|t| t.strip_suffix("%}"));
    let trims = ['-', '+'];
    let inner = inner.map(|inner| inner.trim_start_matches(trims).trim_end_matches(trims));
    inner.unwrap_or_default().split_whitespace().collect()
}

/// Where a tag ends, its closing mark included.
fn end_of_tag(tag: &str, close: &str) -> usize {
    find_outside(tag, close).map_or(tag.len(), |end| end + close.len())
}

/// Where the `{% endraw %}` begins.
fn end_of_raw(text: &str) -> usize {
    let ends = |(at, _): &(usize, &str)| {
        let tag = &text[*at..];
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        words(&tag[..end]) == ["endraw"]
    };
    let end = text.match_indices("{%").find(ends);
    end.map_or(text.len(), |(at, _)| at)
}

/// `{% set ns.x = value %}` with the value passed through [`STORABLE`].
fn guarded(tag: &str) -> String {
    let assignment = tag.strip_suffix("%}").and_then(|tag| {
        let tag = tag.strip_suffix(['-', '+']).unwrap_or(tag);
        let equals = find_outside(tag, "=")?;
        Some((&tag[..equals], &tag[equals + 1..]))
    });
    match assignment {
        Some((target, value)) if target.contains('.') && !value.trim().is_empty() => {
            let end = &tag[target.len() + 1 + value.len()..];
            // Two pairs of parentheses: `1, 2` is one value, not two arguments.
            format!("{target}={STORABLE}(({value})){end}")
        }
        _ => tag.to_string(),
    }
}

/// Where `what` stands in a tag, outside of strings and brackets.
fn find_outside(tag: &str, what: &str) -> Option<usize> {
    let bytes = tag.as_bytes();
    let (mut at, mut depth) = (2, 0_usize);
    while at < bytes.len() {
        if depth == 0 && bytes[at..].starts_with(what.as_bytes()) {
            return Some(at);
        }
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at + 1, quote),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn end_of_string(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_becomes_a_scope() {
        let source = "a{% generation %}b\n{%- endgeneration -%}c";
        assert_eq!(
            prepare(source),
            "a{% with %}{{ __said }}{% if true %}b\n{%- endif %}{{ __unsaid }}{% endwith -%}c"
        );
        assert!(has_marks(&prepare(source)) && !has_marks("a"));
        let quoted =
            "{{ '{% generation %}' }}{# {% generation %} #}{% raw %}{% generation %}{% endraw %}";
        assert_eq!(prepare(quoted), quoted);
        let unclosed = "{{ x {% generation %}";
        assert_eq!(prepare(unclosed), unclosed);
    }

    #[test]
    fn what_a_namespace_stores_is_looked_at() {
        let guarded = |tag| prepare(tag).replace(STORABLE, "f");
        assert_eq!(guarded("{%- set ns.x = 1 -%}"), "{%- set ns.x =f(( 1 ))-%}");
        assert_eq!(
            guarded("{% set ns.x, ns.y = 1, 2 %}"),
            "{% set ns.x, ns.y =f(( 1, 2 ))%}"
        );
        assert_eq!(
            guarded("{% set ns.x = '%}=' %}"),
            "{% set ns.x =f(( '%}=' ))%}"
        );
        for other in [
            "{% set x = a.b %}",
            "{% set ns.x %}",
            "{% set ns.x = %}",
            "{% set x | default(ns.a=1) %}",
            "{% if a.b == 1 %}",
            "{{ set ns.x = 1 }}",
        ] {
            assert_eq!(guarded(other), other);
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        assert_eq!(
            prepare("a\r\n{% set ns.x =\r 1 %}\r"),
            format!("a\n{{% set ns.x ={STORABLE}((\n 1 ))%}}\n")
        );
    }

    #[test]
    fn any_source_has_an_end() {
        let source = "é{{ '\\'}}{% raw %}{% set a.b = [({\"\\\\\" %}{# {% endraw";
        for (at, _) in source.char_indices() {
            prepare(&source[at..]);
            prepare(&source[..at]);
        }
        prepare(&"{% raw %}{%".repeat(100_000));
        prepare(&"{{".repeat(1_000));
    }
}
