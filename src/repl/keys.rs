//! Keys beyond rustyline's own: search by prefix, a new line, a text editor, and Ctrl-C that leaves no
//! hint behind.

use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, Helper, KeyCode,
    KeyEvent, Modifiers, RepeatCount, history::History,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

/// Why a line has ended, if not by Enter. Each is lowered by whoever reads it.
#[derive(Clone, Default)]
pub struct Ended {
    /// A text editor is asked for.
    elsewhere: Arc<AtomicBool>,
    /// Ctrl-C.
    interrupted: Arc<AtomicBool>,
}

impl Ended {
    pub fn for_editor(&self) -> bool {
        self.elsewhere.swap(false, Relaxed)
    }

    pub fn by_interrupt(&self) -> bool {
        self.interrupted.swap(false, Relaxed)
    }
}

/// Binds the keys.
pub fn bind<H: Helper, I: History>(editor: &mut Editor<H, I>) -> Ended {
    let recall = Arc::new(AtomicU8::new(Recall::NONE));
    for key in [KeyCode::Up, KeyCode::Down] {
        let handler = Recall(recall.clone(), Some(key));
        bind_to(editor, KeyEvent(key, Modifiers::NONE).into(), handler);
    }
    bind_to(editor, Event::Any, Recall(recall, None));
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    let ended = Ended::default();
    let keys = vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')];
    bind_to(editor, Event::KeySeq(keys), Ends(ended.elsewhere.clone()));
    let key = KeyEvent::ctrl('C').into();
    bind_to(editor, key, Ends(ended.interrupted.clone()));
    ended
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

/// Ends the line as it is, and raises a flag. rustyline's own way to end at Ctrl-C leaves the hint on
/// the screen.
struct Ends(Arc<AtomicBool>);

impl ConditionalEventHandler for Ends {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.store(true, Relaxed);
        Some(Cmd::AcceptLine)
    }
}
