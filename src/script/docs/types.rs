//! Types as a user of the scripts knows them.

/// The type that a method is called on, from its first parameter: `a: &mut Tensor`.
pub(super) fn receiver(param: &str) -> Option<String> {
    let (_, kind) = param.split_once(':')?;
    let kind = kind.trim().strip_prefix("&mut ")?;
    Some(friendly(kind))
}

/// A parameter, its type in the words of the scripts.
pub(super) fn param(text: &str) -> String {
    match text.split_once(':') {
        Some(("_", kind)) => friendly(kind),
        Some((name, kind)) => format!("{}: {}", name.trim(), friendly(kind)),
        None => text.into(),
    }
}

/// A type of Rust or of a signature in the words of the scripts.
pub fn friendly(kind: &str) -> String {
    let kind = kind.trim();
    for wrapper in ["Answer<", "RhaiResultOf<", "&mut ", "&"] {
        if let Some(inner) = kind.strip_prefix(wrapper) {
            let inner = if wrapper.ends_with('<') {
                inner.trim_end().trim_end_matches('>')
            } else {
                inner
            };
            return friendly(inner);
        }
    }
    let plain = match kind {
        "INT" | "i64" => "integer",
        "FLOAT" | "f64" => "number",
        "Dynamic" | "RhaiResult" => "value",
        "List" | "Array" | "array" => "list",
        "Map" => "map",
        "str" | "String" | "ImmutableString" => "string",
        "FnPtr" | "Fn" => "function",
        "char" => "character",
        "Blob" => "blob",
        range if range.contains("Range") || range.starts_with("range<") => "range",
        // A type of this program by its path in Rust.
        other if other.contains("mlx_repl::") => {
            let name = other.rsplit("::").next().unwrap_or(other);
            name.trim_end_matches('>')
        }
        other => other,
    };
    plain.into()
}
