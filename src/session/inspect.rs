//! What there is to read about a name, where a front end asks for it.

use super::Session;
use crate::script::docs::Index;
use crate::script::{explain, kind_of, show};

/// A value longer than this is not shown.
const MOST: usize = 1000;

impl Session {
    /// The documentation of a function, a module or a type; of a variable, its type and value.
    pub fn inspect(&self, name: &str) -> Option<String> {
        let index = Index::new(self.engine());
        let constant = self.host.names.borrow().constants.get(name).cloned();
        let Some(mut value) = self.scope.get(name).cloned().or(constant) else {
            return explain(&index, name).ok();
        };
        let kind = kind_of(self.engine(), &value);
        let mut text = format!("{name}: {kind}");
        // A tensor may wait for its computation, which nobody has asked for.
        if kind != "Tensor"
            && let Ok(shown) = show(self.engine(), &mut value)
            && shown.len() <= MOST
        {
            text = format!("{text} = {shown}");
        }
        match explain(&index, &kind) {
            Ok(more) => Some(format!("{text}\n\n{more}")),
            Err(_) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Host;
    use std::rc::Rc;

    #[test]
    fn names_of_all_kinds() {
        let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
        let cell = session.cell("let n = 3; const k = tensor([1]); n");
        assert!(cell.is_ok());
        let about = |name: &str| session.inspect(name).unwrap_or_default();
        assert!(about("n").starts_with("n: integer = 3"), "{}", about("n"));
        assert!(about("k").starts_with("k: Tensor\n"), "{}", about("k"));
        assert!(about("mx::softmax").contains("softmax"));
        assert_eq!(session.inspect("nobody_knows_this"), None);
    }
}
