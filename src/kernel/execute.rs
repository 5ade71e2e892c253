//! Running a cell.

use super::commands;
use super::evaluator::{Evaluator, Fault};
use super::output::{Bundle, data};
use super::server::Server;
use super::wire::Message;
use crate::mlx::interrupt;
use serde_json::{Map, Value, json};

impl<E: Evaluator> Server<E> {
    /// Answers an `execute_request`.
    pub(super) fn execute(&mut self, message: &Message) {
        let code = message.text("code");
        let silent = message.flag("silent", false);
        let counts = !silent && message.flag("store_history", true);
        if counts {
            self.count += 1;
            self.history.push(self.count, code);
        }
        if !silent {
            let content = json!({"code": code, "execution_count": self.count});
            self.output.send("execute_input", &content);
        }
        let result = match self.unevaluated(code).filter(|_| !silent) {
            Some(answer) => {
                if counts {
                    self.evaluator.pass(code);
                }
                answer.map(|bundle| {
                    self.output.display(&bundle);
                    None
                })
            }
            None if counts => self.evaluator.cell(code),
            None => self.evaluator.aside(code),
        };
        let content = match result {
            Ok(bundle) => {
                if counts {
                    self.history.shown(bundle.as_ref().and_then(plain));
                }
                if !silent && let Some(bundle) = bundle {
                    self.show(&bundle);
                }
                let expressions = self.user_expressions(message);
                json!({"status": "ok", "payload": [], "user_expressions": expressions})
            }
            Err(fault) => {
                if message.flag("stop_on_error", true) {
                    self.doom_waiting();
                }
                let content = error(&fault);
                if !silent {
                    self.output.send("error", &content);
                }
                with(content, "status", "error".into())
            }
        };
        // One that came too late for this cell was meant for those that wait.
        if interrupt::is_set() {
            interrupt::clear();
            self.doom_waiting();
        }
        let content = with(content, "execution_count", self.count.into());
        self.reply(message, "execute_reply", content);
    }

    fn show(&self, bundle: &Bundle) {
        let content = json!({
            "data": data(bundle),
            "metadata": {},
            "execution_count": self.count,
            "transient": {},
        });
        self.output.send("execute_result", &content);
    }

    /// What a cell comes to that is no program: a question, a command. What there is to read about
    /// a name stands in the cell like a value.
    fn unevaluated(&self, code: &str) -> Option<Result<Bundle, Fault>> {
        if let Some(message) = commands::wrong(code, &self.evaluator) {
            return Some(Err(Fault::new("CommandError", message)));
        }
        let answer = self.evaluator.about(code)?;
        let answer = answer.map_err(|message| Fault::new("NameError", message));
        Some(answer.map(|text| vec![("text/plain", text)]))
    }

    /// The answer to a request that ended in a panic: it must not end the kernel.
    pub(super) fn broke(&mut self, message: &Message, panic: &str) {
        let Some(kind) = message.kind().strip_suffix("_request") else {
            return;
        };
        let fault = Fault::new("InternalError", format!("a bug of mlx-repl: {panic}"));
        let mut content = error(&fault);
        if kind == "execute" {
            if message.flag("stop_on_error", true) {
                self.doom_waiting();
            }
            if !message.flag("silent", false) {
                self.output.send("error", &content);
            }
            content = with(content, "execution_count", self.count.into());
        }
        let content = with(content, "status", "error".into());
        self.reply(message, &format!("{kind}_reply"), content);
    }

    /// Values that the front end wants to know, each with its own error.
    fn user_expressions(&mut self, message: &Message) -> Value {
        let Some(wanted) = message.content["user_expressions"].as_object() else {
            return json!({});
        };
        let mut values = Map::new();
        for (name, expression) in wanted {
            let expression = expression.as_str().unwrap_or_default();
            let value = match interrupt::is_set() {
                true => Err(Fault::new("Interrupted", "interrupted".into())),
                false => self.evaluator.aside(expression),
            };
            let value = match value {
                Ok(bundle) => {
                    let bundle = bundle.unwrap_or_default();
                    json!({"status": "ok", "data": data(&bundle), "metadata": {}})
                }
                Err(fault) => with(error(&fault), "status", "error".into()),
            };
            values.insert(name.clone(), value);
        }
        values.into()
    }
}

fn plain(bundle: &Bundle) -> Option<&str> {
    let found = bundle.iter().find(|(media, _)| *media == "text/plain");
    found.map(|(_, text)| text.as_str())
}

fn error(fault: &Fault) -> Value {
    json!({
        "ename": fault.name,
        "evalue": fault.message,
        "traceback": fault.traceback,
    })
}

fn with(mut content: Value, name: &str, value: Value) -> Value {
    content[name] = value;
    content
}
