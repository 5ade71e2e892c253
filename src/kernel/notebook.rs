//! A session behind the protocol.

use super::curve::Curve;
use super::download::Bytes;
use super::evaluator::{Completeness, Evaluator, Fault};
use super::iopub::Stream;
use super::output::{Bundle, Output};
use crate::script::Host;
use crate::session::{self, Failure, Kind, Outcome, Session, bundle, coloured};
use std::rc::Rc;

/// A session whose output goes to a notebook.
pub struct Notebook {
    session: Session,
}

impl Notebook {
    /// An empty session.
    pub fn new(output: Output) -> Self {
        let mut session = Session::new(host(&output));
        // The server does it before it says that it works.
        session.clears_interrupts = false;
        Self { session }
    }
}

fn host(output: &Output) -> Host {
    let out = output.clone();
    let mut host = Host::quiet(Rc::new(move |text| {
        out.write(Stream::Out, &format!("{text}\n"))
    }));
    let out = output.clone();
    host.write = Rc::new(move |text| out.write(Stream::Out, text));
    let out = output.clone();
    host.input = Rc::new(move |prompt| out.ask(prompt));
    let out = output.clone();
    host.display = Rc::new(move |value, shown| out.display(&bundle(value, shown)));
    let out = output.clone();
    host.clear = Rc::new(move |wait| out.clear(wait));
    let out = output.clone();
    host.observer = Rc::new(move || Box::new(Curve::new(&out)));
    let out = output.clone();
    host.download = Rc::new(move || Box::new(Bytes::new(&out)));
    host
}

impl Evaluator for Notebook {
    fn cell(&mut self, code: &str) -> Result<Option<Bundle>, Fault> {
        match self.session.cell(code) {
            Ok(outcome) => Ok(shown(&outcome)),
            // It ends the cell; the kernel is the notebook's to end.
            Err(failure) if matches!(failure.kind, Kind::Exit(_)) => Ok(None),
            Err(failure) => Err(fault(failure)),
        }
    }

    fn pass(&mut self, code: &str) {
        self.session.next_cell(code);
    }

    fn aside(&mut self, code: &str) -> Result<Option<Bundle>, Fault> {
        let outcome = self.session.aside(code).map_err(fault)?;
        Ok(shown(&outcome))
    }

    fn complete(&self, head: &str) -> (usize, Vec<String>) {
        self.session.complete(head)
    }

    fn about(&self, line: &str) -> Option<Result<String, String>> {
        self.session.about(line)
    }

    fn called(&self, head: &str) -> Option<(String, bool)> {
        self.session.called(head)
    }

    fn completeness(&self, code: &str) -> Completeness {
        if session::asked(code).is_some() || code.trim_start().starts_with([':', '%']) {
            return Completeness::Complete;
        }
        match session::completeness(self.session.engine(), code) {
            session::Completeness::Complete => Completeness::Complete,
            session::Completeness::Incomplete => Completeness::Incomplete,
            session::Completeness::Invalid => Completeness::Invalid,
        }
    }
}

fn shown(outcome: &Outcome) -> Option<Bundle> {
    let shown = outcome.shown.as_ref()?;
    Some(bundle(&outcome.value, shown))
}

fn fault(failure: Failure) -> Fault {
    Fault {
        name: match failure.kind {
            Kind::Syntax => "SyntaxError",
            Kind::Runtime => "ScriptError",
            Kind::Interrupted => "Interrupted",
            Kind::Exit(_) => "Exit",
            Kind::Bug => "InternalError",
        },
        traceback: coloured(&failure.rendered)
            .lines()
            .map(String::from)
            .collect(),
        message: failure.message,
    }
}
