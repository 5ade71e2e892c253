//! Any text has a reading, and numbers and tags are looked for in any text without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlx_repl::text::{extract_number, parse_completion, xml_tag};

fuzz_target!(|raw: &str| {
    let parsed = parse_completion(raw);
    assert!(parsed.tool_calls.len() <= raw.matches("<tool_call>").count() + raw.matches('{').count());
    let _ = (extract_number(raw), xml_tag(raw, "answer"));
});
