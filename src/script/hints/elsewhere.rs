//! Names that other languages have, and what is written here.

/// What a name means here, if it is known in another language.
type Known = (&'static [&'static str], &'static str);

/// Names that stand for something wherever they are.
const WORDS: [Known; 14] = [
    (&["raise"], "`throw \"text\"` raises an error"),
    (
        &["class", "struct"],
        "there are no classes: a map holds values and closures, `#{ x: 1 }`",
    ),
    (
        &["match"],
        "one of several cases is `switch x { 1 => .., _ => .. }`",
    ),
    (&["mut"], "every variable may change: `let x = 1`"),
    (
        &["except"],
        "an error is caught by `try { .. } catch (error) { .. }`",
    ),
    (&["None", "null", "nil", "undefined"], "nothing is `()`"),
    (&["True"], "it is `true` here"),
    (&["False"], "it is `false` here"),
    (&["lambda"], "a closure is `|x| x + 1`"),
    (
        &["elif", "elsif", "elseif"],
        "the next condition is `else if x { .. }`",
    ),
    (&["var"], "a variable begins with `let`"),
    (
        &["new"],
        "a function makes a value: `tensor([1])`; as a name choose another",
    ),
    (&["self"], "the value that a method is called on is `this`"),
    (
        &["def", "func", "function"],
        "a function is `fn name(a, b) { .. }`",
    ),
];

const VARIABLES: [Known; 6] = [
    (&["quit"], "`:quit` or Ctrl-D leaves"),
    (
        &["exit"],
        "`:quit` or Ctrl-D leaves the prompt, `exit()` ends a script",
    ),
    (
        &["help"],
        "`help()` lists what there is, `help(\"softmax\")` or `softmax?` explains a name",
    ),
    (
        &["np", "numpy", "torch", "jnp", "tf"],
        "tensors are made and computed with by `mx::`, as in `mx::zeros([2, 3])`; `help(\"mx\")` lists it",
    ),
    (
        &["math"],
        "`sqrt(x)`, `exp(x)` and the like need no module; of tensors they are in `mx::`",
    ),
    (&["console", "sys", "os"], "`print(x)` writes a line"),
];

const FUNCTIONS: [Known; 26] = [
    (
        &["tolist", "to_list", "numpy"],
        "`t.to_array()` makes lists of a tensor",
    ),
    (
        &["dir", "vars"],
        "`help(x)` lists what a value has, Tab behind `x.` too",
    ),
    (
        &["print"],
        "`print` takes one value; several stand in one text: print(`${a} ${b}`)",
    ),
    (
        &["println", "printf", "echo", "puts"],
        "`print(x)` writes a line",
    ),
    (
        &["str", "repr"],
        "`x.to_string()`, or in a text `${x}` between back-ticks",
    ),
    (
        &["format"],
        "values stand in a text between back-ticks: `${a} of ${b}`",
    ),
    (&["float"], "`x.to_float()`, of a text `parse_float(text)`"),
    (
        &["range"],
        "`0..n` counts from 0 to n - 1, `range(from, to, step)` by steps",
    ),
    (&["sorted"], "`list.sort()` sorts a list in place"),
    (
        &["reversed"],
        "`list.reverse()` turns a list round in place",
    ),
    (&["dict", "object"], "a map is written `#{ key: value }`"),
    (&["list", "tuple", "array"], "a list is written `[1, 2]`"),
    (
        &["set"],
        "a map serves as a set: `seen[key] = true`, `key in seen`",
    ),
    (&["upper", "toUpperCase"], "`text.to_upper()`"),
    (&["lower", "toLowerCase"], "`text.to_lower()`"),
    (&["strip"], "`text.trim()` trims a text in place"),
    (&["startswith", "startsWith"], "`text.starts_with(\"..\")`"),
    (&["endswith", "endsWith"], "`text.ends_with(\"..\")`"),
    (
        &["append"],
        "`list.push(item)` adds an item, `list + other` joins two lists",
    ),
    (
        &["enumerate"],
        "`for (item, i) in list { .. }` counts along, as `list.map(|item, i| ..)` does",
    ),
    (
        &["isinstance", "type", "typeof"],
        "`type_of(x)` names the type of a value",
    ),
    (
        &["time"],
        "`timestamp()` now, and `.elapsed` of it later: seconds",
    ),
    (
        &["random", "rand", "randn", "randint"],
        "`mx::random::` has `uniform`, `normal`, `randint` and others",
    ),
    (&["any"], "`list.some(|x| ..)`; of a tensor `t.any()`"),
    (
        &["length", "size", "count"],
        "`x.len()`; of a tensor `t.size` and `t.shape`",
    ),
    (&["join"], "`text::join(list, \", \")`"),
];

const PROPERTIES: [Known; 1] = [(&["length", "size", "count"], "`.len()`")];

fn find(table: &[Known], name: &str) -> Option<&'static str> {
    let known = table.iter().find(|(names, _)| names.contains(&name))?;
    Some(known.1)
}

/// Of a word wherever it stands.
pub fn word(name: &str) -> Option<&'static str> {
    find(&WORDS, name)
}

/// Of a name that is used as a variable.
pub fn variable(name: &str) -> Option<&'static str> {
    find(&VARIABLES, name)
}

/// Of a name that is called.
pub fn function(name: &str) -> Option<&'static str> {
    find(&FUNCTIONS, name)
}

/// Of a name behind a dot.
pub fn property(name: &str) -> Option<&'static str> {
    find(&PROPERTIES, name)
}

/// What a cell does without an error where other languages do something else: `7 // 2` ends before a
/// comment.
pub fn comment(source: &str, is_variable: impl Fn(&str) -> bool) -> Option<&'static str> {
    let (before, rest) = source.trim().rsplit_once("//")?;
    let is_whole = |text: &str| text.matches('"').count().is_multiple_of(2) && !text.contains('\n');
    let rest = rest.trim().trim_end_matches([';', ')']);
    let is_operand = rest.parse::<f64>().is_ok() || is_variable(rest);
    let does = "what follows `//` is a comment; `/` of two integers is whole already, and \
                `mx::floor_divide(a, b)` is what `//` is of arrays in Python";
    (is_whole(before) && !before.trim().is_empty() && is_operand).then_some(does)
}

#[cfg(test)]
mod tests {
    use super::comment;

    #[test]
    fn a_division_of_python_is_told_from_a_comment() {
        let is_variable = |name: &str| name == "x";
        for input in ["7 // 2", "x // x", "let y = a // 2.5;"] {
            assert!(comment(input, is_variable).is_some(), "{input}");
        }
        for input in ["// 2", "7 / 2", "7 // seven", "\"a // 2", "f(1) // 2 calls"] {
            assert!(comment(input, is_variable).is_none(), "{input}");
        }
    }
}
