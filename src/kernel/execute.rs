//! Running a cell.

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
        let result = match self.evaluator.about(code) {
            Some(answer) if !silent => self.explain(answer),
            _ if counts => self.evaluator.cell(code),
            _ => self.evaluator.aside(code),
        };
        // One that came too late for this cell is not meant for the next.
        interrupt::clear();
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

    /// What there is to read about a name stands in the cell like a value.
    fn explain(&self, answer: Result<String, String>) -> Result<Option<Bundle>, Fault> {
        let text = answer.map_err(|message| Fault {
            name: "NameError",
            traceback: vec![format!("error: {message}")],
            message,
        })?;
        self.output.display(&vec![("text/plain", text)]);
        Ok(None)
    }

    /// Values that the front end wants to know, each with its own error.
    fn user_expressions(&mut self, message: &Message) -> Value {
        let Some(wanted) = message.content["user_expressions"].as_object() else {
            return json!({});
        };
        let mut values = Map::new();
        for (name, expression) in wanted {
            let value = match self
                .evaluator
                .aside(expression.as_str().unwrap_or_default())
            {
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
