//! Keys beyond rustyline's own: search by prefix, a new line, and a text editor.

use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, Helper, KeyCode,
    KeyEvent, Modifiers, RepeatCount, history::History,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

/// Binds the keys; the flag is raised where a text editor is asked for.
pub fn bind<H: Helper, I: History>(editor: &mut Editor<H, I>) -> Arc<AtomicBool> {
    let recall = Arc::new(AtomicU8::new(Recall::NONE));
    for key in [KeyCode::Up, KeyCode::Down] {
        let handler = Recall(recall.clone(), Some(key));
        bind_to(editor, KeyEvent(key, Modifiers::NONE).into(), handler);
    }
    bind_to(editor, Event::Any, Recall(recall, None));
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    let wanted = Arc::new(AtomicBool::new(false));
    let keys = vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')];
    bind_to(editor, Event::KeySeq(keys), Elsewhere(wanted.clone()));
    wanted
}

fn bind_to<H: Helper, I: History>(
    editor: &mut Editor<H, I>,
    event: Event,
    handler: impl ConditionalEventHandler + 'static,
) {
    editor.bind_sequence(event, EventHandler::Conditional(Box::new(handler)));
}

/// Up and Down: what begins like the line, if one was typed; else one input after the other.
///
/// Which of both is decided by the first Up and kept until another key is pressed, since a line
/// that was recalled looks like one that was typed.
struct Recall(Arc<AtomicU8>, Option<KeyCode>);

impl Recall {
    const NONE: u8 = 0;
    const PLAIN: u8 = 1;
    const SEARCH: u8 = 2;
}

impl ConditionalEventHandler for Recall {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, ctx: &EventContext) -> Option<Cmd> {
        let Some(key) = self.1 else {
            self.0.store(Self::NONE, Relaxed);
            return None;
        };
        let (line, is_up) = (ctx.line(), key == KeyCode::Up);
        let is_typed = !line.is_empty() && !line.contains('\n') && ctx.pos() == line.len();
        let mut how = self.0.load(Relaxed);
        if how == Self::NONE {
            how = if is_typed && is_up {
                Self::SEARCH
            } else {
                Self::PLAIN
            };
            self.0.store(how, Relaxed);
        }
        match (how, is_up) {
            (Self::SEARCH, true) => Some(Cmd::HistorySearchBackward),
            (Self::SEARCH, false) => Some(Cmd::HistorySearchForward),
            _ => None,
        }
    }
}

/// Ends the line as it is, for the text editor.
struct Elsewhere(Arc<AtomicBool>);

impl ConditionalEventHandler for Elsewhere {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.store(true, Relaxed);
        Some(Cmd::AcceptLine)
    }
}
