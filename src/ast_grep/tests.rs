use super::*;
use proptest::prelude::*;

fn texts(pattern: &str, code: &str, language: &str) -> Vec<String> {
    let language = Language::named(language).unwrap();
    let found = find(pattern, code, language).unwrap();
    found.into_iter().map(|m| m.text).collect()
}

fn reason(pattern: &str, language: &str) -> String {
    let language = Language::named(language).unwrap();
    check(pattern, language).unwrap_err().to_string()
}

#[test]
fn every_language_has_metavariables() {
    let js = "foo(1); foo(a, b); bar(2)";
    assert_eq!(texts("foo($$$ARGS)", js, "js"), ["foo(1)", "foo(a, b)"]);
    assert_eq!(texts("foo($A)", js, "JavaScript"), ["foo(1)"]);
    let ts = "let a: string = 'x'; let b: number = 1;";
    assert_eq!(
        texts("let $N: number = $V", ts, "ts"),
        ["let b: number = 1;"]
    );
    let tsx = "const a = <Box id={1} />; f<string>(1)";
    assert_eq!(texts("<Box $$$P />", tsx, "tsx"), ["<Box id={1} />"]);
    let rs = "fn main() { let x = y.unwrap(); z.unwrap(); }";
    assert_eq!(texts("$X.unwrap()", rs, "rs"), ["y.unwrap()", "z.unwrap()"]);
    let py = "def f(a, b):\n    return a\n";
    assert_eq!(texts("def $F($$$P): $$$B", py, "py"), [py.trim()]);
    assert_eq!(texts("return $X", py, "python"), ["return a"]);
}

#[test]
fn the_last_semicolon_may_be_left_out() {
    let rs = "fn main() { let x = y.f(); let z = 1; }";
    assert_eq!(texts("let $N = $V", rs, "rs").len(), 2);
    assert_eq!(texts("let $N = $V;", rs, "rs").len(), 2);
    assert_eq!(texts("return $V", "return 1; ", "js"), ["return 1;"]);
}

#[test]
fn a_metavariable_stands_where_the_grammar_has_more() {
    let rs = "struct P { x: i32, y: i32 } impl P { fn a(&self) {} } enum E { A, B }";
    assert_eq!(texts("struct $N { $$$F }", rs, "rs").len(), 1);
    assert_eq!(texts("impl $N { $$$F }", rs, "rs").len(), 1);
    assert_eq!(
        texts("Some($X)", "fn f() { g(Some(1)) }", "rs"),
        ["Some(1)"]
    );
    let js = "switch (a) { case 1: f(); break; default: g() }";
    assert_eq!(texts("switch ($X) { $$$CASES }", js, "js"), [js]);
    assert!(reason("import $A from $B", "js").contains("syntax error"));
}

#[test]
fn a_repeated_metavariable_is_one_text() {
    let code = "a === a; a === b; f(x) === f(x)";
    assert_eq!(texts("$A === $A", code, "js"), ["a === a", "f(x) === f(x)"]);
    assert_eq!(texts("$_ === $_", code, "js").len(), 3);
}

#[test]
fn matches_inside_of_matches_are_found() {
    assert_eq!(texts("f($A)", "f(f(1))", "js"), ["f(f(1))", "f(1)"]);
}

#[test]
fn positions_are_characters() {
    let code = "ä('😀'); log('ü'); log(\"漢\")";
    let found = find("log($A)", code, LANGUAGES[0]).unwrap();
    assert_eq!(found.len(), 2);
    for m in found {
        let text: String = code.chars().skip(m.start).take(m.end - m.start).collect();
        assert_eq!(text, m.text);
    }
}

#[test]
fn an_invalid_pattern_says_why() {
    assert!(reason("", "js").contains("No AST root"));
    assert!(reason("  \n", "py").contains("No AST root"));
    assert!(reason("a; b", "js").contains("Multiple AST nodes"));
    assert!(reason("$$$ALL", "rust").contains("`$$$ALL`"));
    assert!(reason("foo($A", "js").contains("syntax error"));
    assert!(reason("class {{", "ts").contains("syntax error"));
    let text = reason("fn $F(", "rust");
    assert!(
        text.starts_with("pattern `fn $F(` (rust): syntax error"),
        "{text}"
    );
    // An error deep inside is an error too.
    assert!(reason("function f() { if (a { } }", "js").contains("syntax error"));
}

#[test]
fn an_unknown_language_lists_the_known() {
    let text = Language::named("cobol").unwrap_err().to_string();
    assert!(
        text.contains("\"cobol\"") && text.contains("\"python\" (py)"),
        "{text}"
    );
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(reason(&nested(100_000), "js").contains("nested deeper"));
    assert_eq!(texts(&nested(200), &nested(1500), "js").len(), 1);
    // The comparison of two bindings goes as deep as the code.
    let code = format!("{} == {}", nested(1900), nested(1900));
    assert_eq!(texts("$A == $A", &code, "js").len(), 1);
    let deep = find("$A", &nested(100_000), LANGUAGES[0]).unwrap_err();
    assert!(deep.to_string().contains("nested deeper"));
}

/// Text out of pieces that meet in code, so that much of it almost parses.
fn scraps() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "$A", "$$$", "$$$B", "$$C", "$_", "$", "µ", "(", ")", "{", "}", "[", "]", "<", ">", "/>",
        ",", ";", ":", ".", "=", "=>", "==", "+", "`", "${", "'", "\"", "\\", "\n", " ", "    ",
        "#", "//", "/*", "*/", "@", "&", "|", "!", "?", "fn ", "let ", "const ", "class ", "def ",
        "if ", "else ", "return ", "async ", "await ", "import ", "from ", "a", "b", "f", "1",
        "0x", "é", "😀", "\0", "\u{feff}", "\r\n",
    ]);
    prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn nothing_panics(pattern in scraps(), code in scraps(), which in 0..LANGUAGES.len()) {
        let language = LANGUAGES[which];
        let found = find(&pattern, &code, language);
        prop_assert_eq!(found.is_ok(), check(&pattern, language).is_ok());
        for m in found.unwrap_or_default() {
            let text: String = code.chars().skip(m.start).take(m.end - m.start).collect();
            prop_assert_eq!(text, m.text);
        }
    }

    #[test]
    fn code_is_found_in_itself(code in scraps(), which in 0..LANGUAGES.len()) {
        let language = LANGUAGES[which];
        if !code.contains(['$', 'µ']) && check(&code, language).is_ok() {
            prop_assert!(!find(&code, &code, language).unwrap().is_empty());
        }
    }

    #[test]
    fn any_text_is_taken(pattern in any::<String>(), code in any::<String>()) {
        for language in LANGUAGES {
            let _ = find(&pattern, &code, language);
        }
    }
}
