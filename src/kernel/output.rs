//! What a running cell may do to its notebook.

use super::iopub::{IoPub, Stream};
use super::stdin::{Stdin, nobody};
use super::wire::Message;
use crate::error::Result;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A value in several forms: kinds of media and their texts. The front end takes the best it knows.
pub type Bundle = Vec<(&'static str, String)>;

/// Where a cell's output goes; copies are handles to the same.
#[derive(Clone)]
pub struct Output(Rc<Inner>);

struct Inner {
    iopub: Arc<IoPub>,
    stdin: Stdin,
    request: RefCell<Request>,
    displays: Cell<u64>,
}

/// The request that is being worked on.
#[derive(Default)]
struct Request {
    header: Arc<Value>,
    identities: Vec<Vec<u8>>,
    may_ask: bool,
}

impl Output {
    /// Output of nothing yet.
    pub fn new(iopub: Arc<IoPub>, stdin: Stdin) -> Self {
        Self(Rc::new(Inner {
            iopub,
            stdin,
            request: RefCell::default(),
            displays: Cell::new(0),
        }))
    }

    /// From now on everything belongs to this request.
    pub fn answer_to(&self, message: &Message) {
        *self.0.request.borrow_mut() = Request {
            header: Arc::new(message.header.clone()),
            identities: message.identities.clone(),
            may_ask: message.flag("allow_stdin", false),
        };
    }

    /// Sends a message about the request.
    pub fn send(&self, kind: &str, content: &Value) {
        self.0
            .iopub
            .send(kind, &self.0.request.borrow().header, content);
    }

    /// Writes text as it is.
    pub fn write(&self, stream: Stream, text: &str) {
        self.0
            .iopub
            .write(stream, text, &self.0.request.borrow().header);
    }

    /// Shows a value.
    pub fn display(&self, bundle: &Bundle) {
        let content = json!({"data": data(bundle), "metadata": {}, "transient": {}});
        self.send("display_data", &content);
    }

    /// Shows what will change.
    pub fn live(&self) -> Live {
        self.0.displays.set(self.0.displays.get() + 1);
        Live {
            // A notebook that is run again may keep pictures of an earlier kernel.
            id: format!("{}-live-{}", self.0.iopub.session(), self.0.displays.get()),
            shown: false,
            output: self.clone(),
        }
    }

    /// Empties the output of the cell, at once or when there is something new.
    pub fn clear(&self, wait: bool) {
        self.send("clear_output", &json!({"wait": wait}));
    }

    /// Asks for a line; `None` is the end of input.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`]; a front end that takes no input.
    pub fn ask(&self, prompt: &str) -> Result<Option<String>> {
        let request = self.0.request.borrow();
        if !request.may_ask {
            return Err(nobody());
        }
        // What was printed before must stand above the question.
        self.0.iopub.flush();
        self.0
            .stdin
            .ask(prompt, &request.identities, &request.header)
    }
}

/// A value that is shown, and shown anew in its place.
pub struct Live {
    id: String,
    shown: bool,
    output: Output,
}

impl Live {
    /// Shows it as it is now.
    pub fn show(&mut self, bundle: &Bundle) {
        let kind = match self.shown {
            true => "update_display_data",
            false => "display_data",
        };
        self.shown = true;
        let transient = json!({"display_id": self.id});
        let content = json!({"data": data(bundle), "metadata": {}, "transient": transient});
        self.output.send(kind, &content);
    }
}

/// A bundle as the protocol wants it.
pub fn data(bundle: &Bundle) -> Value {
    let entries = bundle
        .iter()
        .map(|(media, text)| (media.to_string(), text.as_str().into()));
    Value::Object(entries.collect::<Map<_, _>>())
}
