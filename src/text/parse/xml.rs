//! Elements without attributes, as small models are asked to write them.

/// The content of the last complete `<tag>..</tag>`, trimmed; `None` if there is none.
///
/// The innermost of nested pairs counts as the last one.
pub fn xml_tag(raw: &str, tag: &str) -> Option<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let start = raw[..raw.rfind(&close)?].rfind(&open)? + open.len();
    let end = start + raw[start..].find(&close)?;
    Some(raw[start..end].trim().to_string())
}

/// What stands before, in and after the first element of a name, which ends at its last end tag.
pub(super) struct Element<'a> {
    pub before: &'a str,
    pub content: &'a str,
    pub after: &'a str,
    pub is_closed: bool,
}

/// The element of a name that begins first and ends last; without an end tag it takes everything.
pub(super) fn element<'a>(raw: &'a str, tag: &str) -> Option<Element<'a>> {
    let (before, rest) = raw.split_once(&format!("<{tag}>"))?;
    let parts = rest.rsplit_once(&format!("</{tag}>"));
    let (content, after) = parts.unwrap_or((rest, ""));
    Some(Element {
        before,
        content,
        after,
        is_closed: parts.is_some(),
    })
}
