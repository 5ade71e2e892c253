//! Where the text, the thoughts and the tool calls of a completion begin and end.
//!
//! The scan takes linear time, whatever the text. Looking for the end of a call may run past the
//! place where the next search begins, but two searches that overlap are never both inside, nor
//! both outside, of a JSON string (the later one began outside where the earlier one was inside),
//! and the one that is outside stops at the next tag: no byte is looked at by more than two.

use super::tool_call;
use std::ops::Range;

/// What a stretch of a completion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thought,
    /// A tool call, with or without its end tag.
    Call {
        closed: bool,
    },
}

/// A stretch of a completion. The segments of a completion follow each other without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub kind: Kind,
    /// The whole stretch, tags included.
    pub span: Range<usize>,
    /// The stretch without its tags.
    pub inner: Range<usize>,
}

/// The segments of a completion.
pub(super) fn segments(raw: &str) -> Vec<Segment> {
    let mut scanner = Scanner {
        raw,
        tags: tags(raw),
        next: 0,
        at: 0,
        segments: Vec::new(),
        settled: 0,
    };
    while let Some(tag) = scanner.tags.get(scanner.next).copied() {
        scanner.next += 1;
        match tag.kind {
            TagKind::ThinkOpen => scanner.thought(tag),
            TagKind::ThinkClose => scanner.dangling_close(tag),
            TagKind::CallOpen => scanner.call(tag),
            // Nothing is open: it is text like any other.
            TagKind::CallClose => {}
        }
    }
    scanner.text_up_to(raw.len());
    scanner.segments
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TagKind {
    ThinkOpen,
    ThinkClose,
    CallOpen,
    CallClose,
}

#[derive(Clone, Copy)]
struct Tag {
    kind: TagKind,
    start: usize,
    end: usize,
}

const TAGS: [(&str, TagKind); 4] = [
    ("<think>", TagKind::ThinkOpen),
    ("</think>", TagKind::ThinkClose),
    ("<tool_call>", TagKind::CallOpen),
    ("</tool_call>", TagKind::CallClose),
];

fn tags(raw: &str) -> Vec<Tag> {
    raw.match_indices('<')
        .filter_map(|(start, _)| {
            let found = |(tag, _): &&(&str, TagKind)| raw[start..].starts_with(tag);
            let (tag, kind) = TAGS.iter().find(found)?;
            Some(Tag {
                kind: *kind,
                start,
                end: start + tag.len(),
            })
        })
        .collect()
}

struct Scanner<'a> {
    raw: &'a str,
    tags: Vec<Tag>,
    /// The first tag that has not been looked at.
    next: usize,
    /// Where the last segment ends.
    at: usize,
    segments: Vec<Segment>,
    /// How many segments at the front are thoughts for good.
    settled: usize,
}

impl Scanner<'_> {
    fn push(&mut self, kind: Kind, span: Range<usize>, inner: Range<usize>) {
        self.at = span.end;
        self.segments.push(Segment { kind, span, inner });
    }

    fn text_up_to(&mut self, end: usize) {
        if self.at < end {
            self.push(Kind::Text, self.at..end, self.at..end);
        }
    }

    /// A thought goes to its first end tag, or to the end of the text.
    fn thought(&mut self, open: Tag) {
        self.text_up_to(open.start);
        let rest = &self.tags[self.next..];
        let close = rest.iter().position(|t| t.kind == TagKind::ThinkClose);
        let (inner_end, end) = match close {
            Some(index) => (rest[index].start, rest[index].end),
            None => (self.raw.len(), self.raw.len()),
        };
        self.next = close.map_or(self.tags.len(), |index| self.next + index + 1);
        self.push(Kind::Thought, open.start..end, open.end..inner_end);
    }

    /// What looked like text and calls was thinking: the template had opened it.
    fn dangling_close(&mut self, close: Tag) {
        // Even if nothing stands before the tag, a segment must hold the tag.
        self.push(Kind::Text, self.at..close.end, self.at..close.start);
        let unsettled = self.segments.split_off(self.settled);
        // Text and calls beside each other are one thought; a call keeps its tags in it.
        let is_thought = |segment: &Segment| segment.kind == Kind::Thought;
        for run in unsettled.chunk_by(|a, b| !is_thought(a) && !is_thought(b)) {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            let content = |segment: &Segment| match segment.kind {
                Kind::Call { .. } => segment.span.clone(),
                Kind::Text | Kind::Thought => segment.inner.clone(),
            };
            self.segments.push(Segment {
                kind: Kind::Thought,
                span: first.span.start..last.span.end,
                inner: content(first).start..content(last).end,
            });
        }
        self.settled = self.segments.len();
    }

    /// A call ends at its end tag, or without one before the next opening tag.
    fn call(&mut self, open: Tag) {
        let end = self.call_end(open);
        match self.tags.get(end).copied() {
            // The opening tag was part of the thinking that this closes.
            Some(tag) if tag.kind == TagKind::ThinkClose => self.next = end,
            Some(tag) => {
                let closed = tag.kind == TagKind::CallClose;
                let (span_end, next) = if closed {
                    (tag.end, end + 1)
                } else {
                    (tag.start, end)
                };
                self.push_call(open, closed, tag.start, span_end);
                self.next = next;
            }
            None => {
                self.push_call(open, false, self.raw.len(), self.raw.len());
                self.next = end;
            }
        }
    }

    fn push_call(&mut self, open: Tag, closed: bool, inner_end: usize, end: usize) {
        self.text_up_to(open.start);
        self.push(Kind::Call { closed }, open.start..end, open.end..inner_end);
    }

    /// The index of the tag that ends a call: the first one outside of JSON strings.
    ///
    /// If the quotes do not add up they are not believed at all, and the first tag ends it. If
    /// what would be passed over as a string looks like the end of this call and the result makes
    /// no sense, a quote is missing, and the first end tag ends it.
    fn call_end(&self, open: Tag) -> usize {
        let Some(end) = self.first_outside_strings(open.end) else {
            return self.next;
        };
        let passed = &self.tags[self.next..end];
        let Some(close) = passed.iter().position(|t| t.kind == TagKind::CallClose) else {
            return end;
        };
        let closed = self.tags.get(end).map(|t| t.kind) == Some(TagKind::CallClose);
        let swallows_a_call = passed[close..].iter().any(|t| t.kind == TagKind::CallOpen);
        if closed && !swallows_a_call {
            return end;
        }
        let inner_end = self.tags.get(end).map_or(self.raw.len(), |t| t.start);
        if tool_call::makes_sense(&self.raw[open.end..inner_end], closed) {
            end
        } else {
            self.next + close
        }
    }

    /// The index of the first tag outside of JSON strings, or the number of tags if all are inside;
    /// `None` if the text ends inside of a string or is certainly not JSON.
    fn first_outside_strings(&self, start: usize) -> Option<usize> {
        let mut strings = Strings::default();
        let mut at = start;
        for (index, tag) in self.tags.iter().enumerate().skip(self.next) {
            strings.read(&self.raw.as_bytes()[at..tag.start])?;
            if !strings.inside {
                return Some(index);
            }
            at = tag.start;
        }
        strings.read(&self.raw.as_bytes()[at..])?;
        (!strings.inside).then_some(self.tags.len())
    }
}

/// Follows whether a place in JSON is inside of a string.
#[derive(Default)]
struct Strings {
    inside: bool,
    escaped: bool,
}

impl Strings {
    /// `None` at a backslash outside of strings, which JSON does not have. (Without this, two
    /// overlapping searches could agree on being inside.)
    fn read(&mut self, bytes: &[u8]) -> Option<()> {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.inside => self.escaped = true,
                b'\\' => return None,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
        }
        Some(())
    }
}
