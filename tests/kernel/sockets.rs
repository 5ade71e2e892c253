//! A kernel and a client that share nothing but the protocol.

use crate::client::{Connection, Kernel};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

#[test]
fn cells_errors_and_the_end() {
    let mut kernel = Kernel::start();
    let id = kernel.request("kernel_info_request", &json!({}));
    let info = kernel.answer(&id).reply;
    assert_eq!(info["protocol_version"], "5.4");
    assert_eq!(info["language_info"]["name"], "rhai");

    let answer = kernel.run("1 + 2");
    assert_eq!(answer.value(), Some("3"));
    assert_eq!(answer.reply["execution_count"], 1);
    assert_eq!(kernel.run("ans * 14").value(), Some("42"));
    assert_eq!(kernel.run("ans;").value(), None);
    assert_eq!(kernel.run("print(\"a\"); write(\"b\")").text(), "a\nb");

    let answer = kernel.run("let kept = 5;\nmissing + 1");
    assert_eq!(answer.reply["status"], "error");
    assert_eq!(answer.reply["ename"], "ScriptError");
    assert!(answer.error().contains("cell[5]:2:1"), "{}", answer.error());
    assert_eq!(kernel.run("kept").value(), Some("5"));

    let reply = kernel.command("shutdown_request", &json!({"restart": false}));
    assert_eq!(reply, json!({"status": "ok", "restart": false}));
    assert!(kernel.ends(), "the kernel goes on");
}

#[test]
fn a_question_has_a_number() {
    let mut kernel = Kernel::start();
    assert_eq!(kernel.run("print?").reply["execution_count"], 1);
    let error = kernel.run("missing").error();
    assert!(error.contains("cell[2]"), "{error}");
    let error = kernel.run(":time 1").error();
    assert!(error.contains("timeit"), "{error}");
}

#[test]
fn a_call_is_explained_between_its_brackets() {
    let mut kernel = Kernel::start();
    kernel.run("let x = mx::ones([2]);");
    for (code, expected) in [
        ("mx::softmax(x, ", "mx::softmax(a: Tensor"),
        ("x.sum(0, ", ".sum("),
        ("rl::grpo((), #{ learning_rate", "prompts_per_step"),
        ("mx::softmax(x", "x: Tensor"),
    ] {
        let position = json!({"code": code, "cursor_pos": code.len(), "detail_level": 0});
        let id = kernel.request("inspect_request", &position);
        let told = kernel.answer(&id).reply["data"]["text/plain"].to_string();
        assert!(told.contains(expected), "{code}: {told}");
    }
}

#[test]
fn an_interrupt_keeps_the_state() {
    let mut kernel = Kernel::start();
    kernel.run("let turns = 0;");
    let id = kernel.send_cell("loop { turns += 1; }");
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let reply = kernel.command("interrupt_request", &json!({}));
    assert_eq!(reply["status"], "ok");
    let answer = kernel.answer(&id);
    assert_eq!(answer.reply["ename"], "Interrupted");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(kernel.run("turns > 0").value(), Some("true"));
}

#[test]
fn nobody_waits_for_a_client_that_has_gone() {
    let mut kernel = Kernel::start();
    let mut questions = Connection::open(kernel.ports[3], "DEALER");
    // The kernel knows a connection a moment after the client does.
    let id = kernel.send_asking_cell("let kept = 3; sleep(1); input(\"name? \")");
    let asked = questions.receive();
    let is_question = |part: &Vec<u8>| String::from_utf8_lossy(part).contains("name? ");
    assert!(asked.iter().any(is_question), "{asked:?}");
    drop(questions);
    let answer = kernel.answer(&id);
    assert!(answer.error().contains("has gone"), "{}", answer.error());
    assert_eq!(kernel.run("kept").value(), Some("3"));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_kernel_that_is_at_work() {
    for (signal, code) in [("TERM", "loop {}"), ("INT", "sleep(60)")] {
        let mut kernel = Kernel::start();
        kernel.send_cell(code);
        std::thread::sleep(Duration::from_millis(300));
        kernel.signal(signal);
        assert!(kernel.ends(), "{code} goes on after {signal}");
    }
}

#[test]
fn values_come_in_several_forms() {
    let mut kernel = Kernel::start();
    let data = |kernel: &mut Kernel, code: &str| -> Value {
        let published = kernel.run(code).published;
        let shows = |kind: &str| kind == "execute_result" || kind == "display_data";
        let found = published.into_iter().find(|(kind, _)| shows(kind));
        found
            .map(|(_, content)| content["data"].clone())
            .unwrap_or_default()
    };
    let tensor = data(&mut kernel, "tensor([[1, 2], [3, 4]])");
    assert!(tensor["text/html"].as_str().unwrap().contains("<td>4</td>"));
    let plot = data(&mut kernel, "plot::line([1.0, 2.0])");
    assert!(plot["image/svg+xml"].as_str().unwrap().starts_with("<svg"));
    let rows = data(&mut kernel, "display([#{ a: \"<i>\" }, #{ a: \"x\" }])");
    assert!(rows["text/html"].as_str().unwrap().contains("&lt;i&gt;"));
    let text = data(&mut kernel, "\"<script>\"");
    assert_eq!(text, json!({"text/plain": "\"<script>\""}));
    let cleared = kernel.run("clear_output(true)").published;
    assert!(cleared.contains(&("clear_output".into(), json!({"wait": true}))));
}

#[test]
fn what_others_send_is_dropped() {
    let mut kernel = Kernel::start();
    let evil = json!({"code": "let evil = 1;"});
    let (_, parts) = kernel.message("execute_request", &evil, "another key");
    kernel.shell.send(&parts);
    let (_, parts) = kernel.message("shutdown_request", &json!({}), "");
    kernel.control.send(&parts);
    kernel
        .shell
        .send(&[b"<IDS|MSG>".to_vec(), b"not hexadecimal".to_vec()]);
    // A frame that announces more than there is memory.
    for port in kernel.ports.clone() {
        let mut connection = Connection::open(port, "DEALER");
        let claim = [&[2][..], &(1u64 << 60).to_be_bytes()].concat();
        connection.stream.write_all(&claim).unwrap();
        closed(connection);
    }
    assert_eq!(kernel.run("is_def_var(\"evil\")").value(), Some("false"));
}

/// Reads until the kernel closes the connection; how it does depends on what it has read.
fn closed(mut connection: Connection) {
    let patience = Some(Duration::from_secs(20));
    connection.stream.set_read_timeout(patience).unwrap();
    if let Err(error) = connection.stream.read_to_end(&mut Vec::new()) {
        let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_late, "the kernel does not close the connection");
    }
}

#[test]
fn subscriptions_fill_no_memory() {
    let mut kernel = Kernel::start();
    let iopub = kernel.ports[2];
    for (count, length) in [(100, 1 << 20), (1, 256), (65, 4)] {
        let mut connection = Connection::open(iopub, "SUB");
        for number in 0..count {
            let digits = number.to_string();
            let topic = "0".repeat(length - digits.len()) + &digits;
            let head = [&[2][..], &(topic.len() as u64 + 1).to_be_bytes(), &[1]].concat();
            let bytes = [&head[..], topic.as_bytes()].concat();
            // The kernel may have closed the connection already.
            if connection.stream.write_all(&bytes).is_err() {
                break;
            }
        }
        closed(connection);
    }
    assert_eq!(kernel.run("20 + 22").value(), Some("42"));
}

#[test]
fn a_connection_file_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    let ports = json!({"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "control_port": 1,
                       "iopub_port": 1, "stdin_port": 1, "hb_port": 1});
    let with = |name: &str, value: &str| {
        let mut content = ports.clone();
        content[name] = value.into();
        content.to_string()
    };
    for (text, said) in [
        ("{}".to_string(), "not a connection file"),
        (with("transport", "ipc"), "only tcp"),
        (with("signature_scheme", "hmac-md5"), "only hmac-sha256"),
        // An address that is no machine's of ours.
        (with("ip", "203.0.113.1"), "203.0.113.1:1"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mlx-repl"));
        let output = command
            .args(["kernel", "run", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(said), "{error}");
    }
}
