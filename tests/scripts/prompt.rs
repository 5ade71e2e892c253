//! What the prompt shows for what is typed, on one live engine for each table.

use crate::support::Terminal;
use mlx_repl::repl::Then;

fn follow(terminal: &mut Terminal, table: &[(&str, &str)]) {
    for (input, expected) in table {
        assert_eq!(terminal.shown(input), *expected, "{input}");
    }
}
#[test]
fn inputs_and_what_they_show() {
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[
            ("let x = 3;", ""),
            ("x + 1", "4"),
            ("out(2) + out(-1) + ans", "12"),
            ("  ", ""),
            ("\"text\"", "\"text\""),
            (
                ":nothing",
                "error: unknown command `:nothing`; :help lists the commands",
            ),
            (
                ":hlep",
                "error: unknown command `:hlep`; did you mean `:help`? :help lists the commands",
            ),
            (":hist 1-2", "   1  let x = 3;\n   2  x + 1"),
            ("%hist 2", "   2  x + 1"),
            (
                ":hist x",
                "error: `x` is no range of cells; write `3` or `3-7`",
            ),
            (
                "out(99)",
                "error: out: found 99; expected a cell whose value is kept (2, 3, 4), or -1 for\n       the last value\n  --> cell[5]:1:1\n  |\n1 | out(99)\n  | ^^^",
            ),
            (
                ":autoreload on",
                "changed scripts and imports are taken up before every cell",
            ),
            (
                ":autoreload",
                "changed scripts and imports wait for :reload",
            ),
            (
                ":autoreload maybe",
                "error: `:autoreload maybe`: write on or off",
            ),
            (":reload", "nothing has changed"),
            (
                ":time",
                "error: `:time` needs an expression, such as `:time x.sum()`",
            ),
            (":seed 7", "seed 7"),
            (
                ":seed -1",
                "error: `:seed -1`: a seed is a whole number, at least 0",
            ),
            (":device", "cpu"),
            (":reset", "2 variables, functions and imports are forgotten"),
            (":who", "no variables"),
            ("!(true)", "false"),
        ],
    );
    // Cells keep their numbers, and values are gone.
    assert!(
        terminal.shown("x").contains("cell[7]:1:1"),
        "{}",
        terminal.shown("x")
    );
    assert!(
        terminal
            .shown("out(2)")
            .contains("a cell whose value is kept (6)")
    );
    assert!(terminal.shown(":tb").contains("out: found 2"));
}

#[test]
fn values_are_shown_as_tables_summaries_and_pictures() {
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[
            ("[#{ a: 1, b: \"x\" }, #{ a: 22, b: \"y\", c: 0.5 }]", TABLE),
            (
                "let d = data::rows([#{ prompt: \"1+1=\", answer: \"2\" }, #{ prompt: \"2+2=\", answer: \"4\" }]);",
                "",
            ),
        ],
    );
    let dataset = terminal.shown("d");
    assert!(
        dataset.contains("prompt") && dataset.contains("2+2="),
        "{dataset}"
    );
    let list = terminal.shown("(0..1000).map(|i| i)");
    assert_eq!(
        list,
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999]\na list of 1000"
    );
    let model = "lm::qwen3(#{ hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2 }, \
                 #{ seed: 1, tokenizer: lm::char_tokenizer(\"0123456789+=\") })";
    let shown = terminal.shown(&format!("let model = {model}; model"));
    assert!(shown.starts_with("qwen3 with "), "{shown}");
    assert!(
        shown.contains("model.layers.*.self_attn.q_proj "),
        "{shown}"
    );
    // The parameters of the rows are those of the model.
    let rows = shown.lines().filter(|line| line.contains("float32  "));
    let total: usize = rows
        .map(|line| {
            line.split_whitespace()
                .last()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    assert_eq!(terminal.shown("model.num_parameters"), total.to_string());
    let trainer = "let t = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2, run_dir: DIR }); t";
    let dir = tempfile::tempdir().unwrap();
    let trainer = trainer.replace(
        "DIR",
        &format!("{:?}", dir.path().join("run").display().to_string()),
    );
    assert_eq!(terminal.shown(&trainer), "GrpoTrainer after 0 steps");
    terminal.shown("t.step(d, |outputs| outputs.map(|o| o.index)); t.step(d, |outputs| outputs.map(|o| o.index * 2));");
    let shown = terminal.shown("t");
    assert!(
        shown.contains("GrpoTrainer after 2 steps, reward"),
        "{shown}"
    );
    let report = terminal.shown("#{ steps: 3, run_dir: \"a folder of some length, as they are\", first_reward: 0.125, last: () }");
    assert!(
        report
            .lines()
            .any(|line| line.contains("first_reward") && line.contains("0.125")),
        "{report}"
    );
    assert_eq!(report.lines().count(), 4);
    let reward = shown
        .lines()
        .find(|line| line.trim_start().starts_with("reward "))
        .unwrap();
    assert!(
        reward.contains("1.5") && reward.contains('3') && reward.contains('█'),
        "{reward}"
    );
    for columns in [40, 80, 120] {
        terminal.session.borrow_mut().screen.columns = columns;
        for value in ["t", "t.metrics", "d", "plot::line([1, 2, 3])"] {
            let shown = terminal.shown(value);
            // The line that says what a value is may be longer.
            let wide = shown
                .lines()
                .skip(1)
                .find(|line| line.chars().count() > columns);
            assert_eq!(wide, None, "{value} at {columns}");
        }
    }
}

const TABLE: &str = concat!(
    "     a  b    c \n",
    "───────────────\n",
    " 0   1  x      \n",
    " 1  22  y  0.5 "
);

#[test]
fn statistics_and_variables() {
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[
            ("let x = tensor([1.0, 2.0, 0.0 / 0.0, 4.0]);", ""),
            ("let n = 3;", ""),
        ],
    );
    let shown = terminal.shown(":summ x");
    for expected in [
        "shape [4], float32, 16 bytes",
        "2.333",
        "not a number",
        "median",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let shown = terminal.shown(":who");
    assert!(
        shown.contains("[4] float32") && shown.contains("16 bytes") && shown.contains("integer"),
        "{shown}"
    );
    assert!(terminal.shown(":mem").contains("  x [4] float32"));
    let shown = terminal.shown(":time x.sum()");
    assert!(
        shown.contains("s, ") && shown.ends_with("at peak"),
        "{shown}"
    );
    assert_eq!(terminal.shown(":time let y = 5;").lines().count(), 1);
    assert_eq!(terminal.shown("y"), "5");
    let shown = terminal.shown(":timeit let z = n + 1;");
    assert!(
        shown.contains("a run, ") && shown.contains("runs)"),
        "{shown}"
    );
    assert!(
        terminal
            .shown("z")
            .starts_with("error: Variable not found: z")
    );
    assert!(
        terminal
            .shown(":timeit m")
            .contains("Variable not found: m")
    );
}

#[test]
fn cells_are_saved_and_scripts_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[
            ("let a = 1", ""),
            ("fn twice(n) {\n    n * 2\n}", ""),
            ("twice(a)", "2"),
        ],
    );
    let saved = path("saved.rhai");
    assert_eq!(
        terminal.shown(&format!(":save 1-3 {saved}")),
        format!("3 cells in {saved}")
    );
    let text = std::fs::read_to_string(&saved).unwrap();
    assert_eq!(text, "let a = 1;\nfn twice(n) {\n    n * 2\n}\ntwice(a);\n");
    assert!(
        terminal
            .shown(&format!(":save 1-3 {saved}"))
            .contains("exists; choose another name")
    );
    assert_eq!(
        terminal.shown(":save 8 x.rhai"),
        "error: there is no cell 8; `:hist` shows the cells"
    );
    std::fs::write(path("args.rhai"), "let b = args[0] + args.len();").unwrap();
    terminal.shown(&format!(":run {} one two", path("args.rhai")));
    assert_eq!(terminal.shown("b"), "\"one2\"");
    assert!(
        terminal
            .shown(":run nowhere.rhai")
            .starts_with("error: nowhere.rhai: ")
    );
    match terminal.prompt.enter(&format!(":load {saved}")) {
        Then::Fill(loaded) => assert_eq!(loaded, text),
        _ => panic!("the script is not the next input"),
    }
    match terminal.prompt.enter(":edit 2") {
        Then::Edit(cell) => assert!(cell.starts_with("fn twice")),
        _ => panic!("the cell is not the next input"),
    }
    assert!(matches!(terminal.prompt.enter(":quit"), Then::Leave));
    // A script that has changed is spoken of once, and taken up.
    std::fs::write(path("args.rhai"), "let b = 7; // changed").unwrap();
    assert_eq!(terminal.session.borrow_mut().news(), [path("args.rhai")]);
    assert_eq!(terminal.session.borrow_mut().news(), [""; 0]);
    assert_eq!(
        terminal.shown(":reload"),
        format!("{}: run again", path("args.rhai"))
    );
    assert_eq!(terminal.shown("b"), "7");
    terminal.shown(":autoreload on");
    std::fs::write(path("args.rhai"), "let b = 8; // again").unwrap();
    assert_eq!(
        terminal.shown("b"),
        format!("({}: run again)\n8", path("args.rhai"))
    );
}

#[test]
fn every_command_is_in_the_help() {
    let mut terminal = Terminal::new();
    let help = terminal.shown(":help");
    for command in mlx_repl::repl::COMMANDS {
        assert!(
            help.contains(&format!("  :{} ", command.name)),
            "{}",
            command.name
        );
    }
    assert!(terminal.shown(":help softmax").contains("mx::softmax"));
    assert!(terminal.shown(":help sofmax").contains("`softmax`"));
}

#[test]
fn errors_have_colours_where_they_are_wanted() {
    let mut terminal = Terminal::new();
    let plain = terminal.shown("let q = nope + 1;");
    assert!(
        !plain.contains('\u{1b}') && plain.contains("^^^^"),
        "{plain}"
    );
    terminal.session.borrow_mut().screen.colour = true;
    let coloured = terminal.shown("let q = nope + 1;");
    assert!(coloured.contains("\u{1b}[1;35m^^^^"), "{coloured}");
    let mut bare = String::new();
    let mut inside = false;
    for c in coloured.chars() {
        match c {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            c if !inside => bare.push(c),
            _ => {}
        }
    }
    let same = plain.replace("cell[1]", "cell[2]");
    assert_eq!(
        bare.lines().map(str::trim_end).collect::<Vec<_>>(),
        same.lines().map(str::trim_end).collect::<Vec<_>>()
    );
}

/// What a timed cell binds is forgotten, and what was there stays.
#[test]
fn timing_leaves_the_session_as_it_was() {
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[("let x = 1;", ""), ("let y = 2;", ""), ("const K = 3;", "")],
    );
    assert!(
        terminal
            .shown(":timeit let y = x + 5; let z = y;")
            .contains("a run")
    );
    assert!(
        terminal
            .shown(":timeit let q = 1; missing")
            .contains("missing")
    );
    terminal.shown(":timeit const K = 4;");
    follow(&mut terminal, &[("[x, y, K]", "[1, 2, 3]")]);
    for forgotten in ["z", "q"] {
        let shown = terminal.shown(forgotten);
        assert!(shown.contains("Variable not found"), "{shown}");
    }
}

/// Every cell that was saved is a statement of the script, whatever it ends in.
#[test]
fn saved_cells_are_a_script() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cells.rhai").display().to_string();
    let mut terminal = Terminal::new();
    for cell in [
        "let m = #{ a: 1 }",
        "let f = |x| { x }",
        "m.a + 1 // a note",
        "if true { 1 } else { 2 }",
        "\"a // b\"",
    ] {
        terminal.shown(cell);
    }
    assert!(
        terminal
            .shown(&format!(":save 1-5 {path}"))
            .contains("5 cells")
    );
    assert_eq!(terminal.shown(&format!(":run {path}")), "");
}

#[test]
fn nested_lists_are_shortened_between_their_brackets() {
    let mut terminal = Terminal::new();
    let shown = terminal.shown("(0..200).map(|i| [i])");
    assert!(
        shown.starts_with("[[0], [1],") && shown.contains("[199]]\na list of 200"),
        "{shown}"
    );
    assert_eq!(
        terminal.shown("throw \"bad row (line 3)\"").lines().next(),
        Some("error: bad row (line 3)")
    );
}

#[test]
fn what_other_languages_write_is_told_how_it_is_written_here() {
    let mut terminal = Terminal::new();
    terminal.shown("let t = mx::zeros([2, 3]); let list = [1, 2, 3]; let model = ();");
    for (input, expected) in ELSEWHERE {
        let shown = terminal.shown(input);
        let hint = shown.split("  hint: ").nth(1).unwrap_or_default();
        let hint = hint.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            hint.contains(expected),
            "{input}\n{shown}\nwanted: {expected}"
        );
    }
}

/// Input, and what its hint holds.
const ELSEWHERE: [(&str, &str); 54] = [
    ("raise \"no\"", "`throw"),
    ("class A { x }", "there are no classes"),
    ("match x { 1 => 2 }", "`switch x"),
    ("let mut y = 1", "every variable"),
    ("try { 1 } except { 2 }", "catch (error)"),
    ("list.map(x => x + 1)", "`|x| x + 1`"),
    ("t.tolist()", "to_array"),
    ("t.size()", "t.size"),
    ("for x of list { }", "for x in list"),
    ("let [x, y] = list", "list[1]"),
    ("mx::random.normal([2])", "`mx::random::..`"),
    ("dir(list)", "help(x)"),
    ("def f(x) { 3 }", "`fn name(a, b)"),
    ("def f(x):", "`fn name(a, b)"),
    ("function f(x) { 3 }", "`fn name(a, b)"),
    ("lambda x: x + 1", "`|x| x + 1`"),
    ("f\"x {y}\"", "`${a} of ${b}`"),
    ("[x for x in list]", "`list.map(|x| ..)`"),
    ("1 and 2", "`a && b`"),
    ("true or false", "`a || b`"),
    ("not true", "`!x`"),
    ("if not true { 1 }", "`!x`"),
    ("list[1:2]", "`a[1..3]`"),
    ("t[0, 1]", "`t[[0, 1]]`"),
    ("# a comment", "`//`"),
    ("import numpy as np", "need no import"),
    ("np.zeros(3)", "`mx::zeros([2, 3])`"),
    ("mx::softmax(t, axis=1)", "`f(x, #{ key: value })`"),
    ("if true { 1 } elif false { 2 }", "`else if x { .. }`"),
    ("1 if true else 2", "`if x { 1 } else { 2 }`"),
    ("true ? 1 : 2", "`if x { 1 } else { 2 }`"),
    ("t @ t", "`a.matmul(b)`"),
    ("str(3)", "`x.to_string()`"),
    ("\"{} x\".format(3)", "`${a} of ${b}`"),
    ("sum(list)", "`tensor(list).sum()`"),
    ("list.mean()", "`tensor(list).mean()`"),
    ("max(list)", "`tensor(list).max()`"),
    ("mx::zeros(2, 3)", "`mx::zeros([2, 3])`"),
    ("for i in range(3) {}", "`0..n`"),
    ("for i in 3 {}", "`for i in 0..3"),
    ("float(\"3\")", "`parse_float(text)`"),
    ("sorted(list)", "`list.sort()`"),
    ("list.append(4)", "`list.push(item)`"),
    ("list.length", "`.len()`"),
    ("\"abc\".upper()", "`text.to_upper()`"),
    ("println(3)", "`print(x)`"),
    ("print(1, 2)", "`print` takes one value"),
    ("help", "`help()`"),
    ("quit", "`:quit`"),
    ("dict()", "`#{ key: value }`"),
    ("{a: 1}", "`#{ key: value }`"),
    ("x = 3", "`let x = ..`"),
    ("let s = 'abc'", "double quotes"),
    ("type(list)", "`type_of(x)`"),
];

#[test]
fn tensors_in_lists_and_maps_do_not_break_the_line() {
    let mut terminal = Terminal::new();
    follow(
        &mut terminal,
        &[
            (
                "#{ a: tensor([[1, 2], [3, 4]]), b: tensor([1, 2]) }",
                "#{\"a\": tensor [2, 2] int32, \"b\": tensor([1, 2])}",
            ),
            (
                "[mx::zeros([20]), \"x\", [tensor(3)]]",
                "[tensor [20] float32, \"x\", [tensor(3)]]",
            ),
        ],
    );
    let report = terminal
        .shown("#{ rewards: (0..40).map(|i| i / 40.0), run_dir: \"a folder of some length\" }");
    assert!(
        report.contains("▁") && report.contains("█ (40 numbers)"),
        "{report}"
    );
}

#[test]
fn models_and_datasets_have_statistics() {
    let mut terminal = Terminal::new();
    terminal.session.borrow_mut().screen.columns = 120;
    let shown = terminal.shown(
        ":summ data::rows([#{ prompt: \"1+1=\", answer: 2 }, #{ prompt: \"12+2=\", answer: 14 }])",
    );
    let row = |name: &str| -> Vec<String> {
        let line = shown.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().map(String::from).collect()
    };
    assert_eq!(
        row("answer"),
        ["answer", "integer", "2", "2", "2", "8", "8", "14"]
    );
    assert_eq!(
        row("(length)"),
        [
            "prompt", "string", "(length)", "2", "2", "4", "4.5", "4.5", "5"
        ]
    );
    terminal.shown(
        "let m = lm::qwen3(#{ hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, \
         initializer_range: 0.5 }, #{ seed: 1, tokenizer: lm::char_tokenizer(\"01\") });",
    );
    let shown = terminal.shown(":summ m");
    let norm = shown
        .lines()
        .find(|line| line.contains("model.norm"))
        .unwrap();
    let cells: Vec<&str> = norm.split_whitespace().collect();
    assert_eq!(cells, ["model.norm", "[8]", "1", "1", "0", "1", "1", "0"]);
    // All blocks together, as computed from the weights themselves.
    let std = terminal.shown(
        "let w = mx::concatenate((0..2).map(|i| m.parameters()[`model.layers.${i}.mlp.up_proj.weight`]), 0); \
         w.std().item()",
    );
    let up = shown.lines().find(|line| line.contains("up_proj")).unwrap();
    let shown_std: f64 = up.split_whitespace().nth(5).unwrap().parse().unwrap();
    let std: f64 = std.parse().unwrap();
    assert!((shown_std - std).abs() < 1e-3, "{up} {std}");
}

#[test]
fn cells_that_failed_are_saved_as_comments() {
    let mut terminal = Terminal::new();
    for cell in ["let x = 3;", "nothing_of_this_name(x)", "x + 1"] {
        terminal.shown(cell);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cells.rhai");
    terminal.shown(&format!(":save 1-3 {}", path.display()));
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "let x = 3;\n// ended in an error:\n// nothing_of_this_name(x)\nx + 1;\n"
    );
}

#[test]
fn prose_keeps_to_the_screen() {
    let mut terminal = Terminal::new();
    terminal.session.borrow_mut().screen.columns = 60;
    for input in [":help", "lm::load?", "rl::grpo?", "nothing_of_this_name(1)"] {
        let shown = terminal.shown(input);
        let prose = shown.lines().filter(|line| !line.starts_with("    "));
        for line in prose {
            assert!(line.chars().count() <= 60, "{input}: {line}");
        }
    }
    let told = terminal.shown("lm::load?");
    assert_eq!(told.matches("Loads a model").count(), 1, "{told}");
}
