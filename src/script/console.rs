//! Talking with the person at the terminal.

use super::error::{Answer, At};
use super::host::Host;
use super::show::look;
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use rhai::plugin::*;
use rhai::{Dynamic, EvalAltResult, FLOAT, FnPtr, INT, NativeCallContext};
use std::time::Duration;

/// Registers the functions.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(functions));
}

/// What `exit` ends a script with; the code is the program's.
#[derive(Clone, Copy, Debug)]
pub struct Exit(pub i32);

fn end(ctx: &NativeCallContext, code: INT) -> Answer<()> {
    let exit = i32::try_from(code)
        .ok()
        .filter(|code| (0..=255).contains(code));
    let wrong = || Error::value("exit", code, "a code from 0 to 255");
    let exit = exit.ok_or_else(wrong).at(ctx)?;
    let token = Dynamic::from(Exit(exit));
    Err(EvalAltResult::ErrorTerminated(token, ctx.call_position()).into())
}

/// How often a wait looks whether it should go on.
const GLANCE: Duration = Duration::from_millis(20);

/// Waits, but not for somebody who has interrupted.
fn wait(seconds: FLOAT) -> Result<()> {
    let wrong = |_| Error::value("sleep", seconds, "seconds from 0 on");
    let mut left = Duration::try_from_secs_f64(seconds).map_err(wrong)?;
    while !left.is_zero() {
        interrupt::check()?;
        let slice = left.min(GLANCE);
        std::thread::sleep(slice);
        left -= slice;
    }
    Ok(())
}

#[export_module]
mod functions {
    /// Writes a text as it is, without a new line after it; the next `print` goes on behind it.
    ///
    /// ```rhai
    /// for piece in ["Hel", "lo"] { write(piece); }
    /// print("!");
    /// ```
    #[rhai_fn(global)]
    pub fn write(ctx: NativeCallContext, text: &str) {
        (Host::of(&ctx).write)(text);
    }

    /// Waits so many seconds. Ctrl-C ends the wait.
    ///
    /// ```rhai
    /// let start = timestamp();
    /// sleep(0.02);
    /// assert(start.elapsed >= 0.02);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn sleep(ctx: NativeCallContext, seconds: FLOAT) -> Answer<()> {
        super::wait(seconds).at(&ctx)
    }

    /// Waits so many whole seconds.
    #[rhai_fn(global, name = "sleep", return_raw)]
    pub fn sleep_whole(ctx: NativeCallContext, seconds: INT) -> Answer<()> {
        super::wait(seconds as FLOAT).at(&ctx)
    }

    /// Ends the script, or leaves the prompt.
    #[rhai_fn(global, return_raw)]
    pub fn exit(ctx: NativeCallContext) -> Answer<()> {
        end(&ctx, 0)
    }

    /// Ends the script and the program with an exit code, from 0 to 255; leaves the prompt.
    ///
    /// ```rhai
    /// if 1 + 1 != 2 { exit(3); }
    /// ```
    #[rhai_fn(global, name = "exit", return_raw)]
    pub fn exit_with(ctx: NativeCallContext, code: INT) -> Answer<()> {
        end(&ctx, code)
    }

    /// Shows a value in the middle of a cell: in a notebook as a picture or a table where it is one,
    /// elsewhere as the prompt shows it.
    ///
    /// ```rhai
    /// for n in 1..=2 { display(mx::eye(n)); }
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn display(ctx: NativeCallContext, value: Dynamic) -> Answer<()> {
        let shown = look(ctx.engine(), &value)?;
        (Host::of(&ctx).display)(&value, &shown);
        Ok(())
    }

    /// Empties the output of a notebook's cell; elsewhere nothing happens.
    ///
    /// ```rhai
    /// assert_eq(clear_output(), ());
    /// ```
    #[rhai_fn(global)]
    pub fn clear_output(ctx: NativeCallContext) {
        (Host::of(&ctx).clear)(false);
    }

    /// With `true`, the old output stays until there is new.
    ///
    /// ```rhai
    /// for step in 0..3 { clear_output(true); print(step); }
    /// ```
    #[rhai_fn(global, name = "clear_output")]
    pub fn clear_output_then(ctx: NativeCallContext, wait: bool) {
        (Host::of(&ctx).clear)(wait);
    }

    /// Asks for a line of text, which may be edited and has a history; `()` at the end of what there
    /// is to read (Ctrl-D).
    ///
    /// ```rhai
    /// fn ask() { input("Name? ") }
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn input(ctx: NativeCallContext, prompt: &str) -> Answer<Dynamic> {
        let line = (Host::of(&ctx).input)(prompt).at(&ctx)?;
        Ok(line.map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// The value that a cell at the prompt had: by the cell's number, as errors and `:hist` show it, or
    /// counted from the last value, which is -1. The last 20 are kept, fewer where they are large.
    ///
    /// ```rhai
    /// fn sum_of_last_two() { out(-1) + out(-2) }
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn out(ctx: NativeCallContext, number: INT) -> Answer<Dynamic> {
        let results = Host::of(&ctx).results;
        let value = results.borrow().get(number);
        value.at(&ctx)
    }

    /// Runs a function that takes nothing. A Ctrl-C during it ends the function and not the script,
    /// and gives `()` instead of what the function gives.
    ///
    /// ```rhai
    /// assert_eq(catch_interrupt(|| 6 * 7), 42);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn catch_interrupt(ctx: NativeCallContext, f: FnPtr) -> Answer<Dynamic> {
        let answer: Answer<Dynamic> = f.call_within_context(&ctx, ());
        let was_interrupted = match &answer {
            Ok(_) => interrupt::is_set(),
            Err(error) => matches!(error.unwrap_inner(), EvalAltResult::ErrorTerminated(why, _)
                if !why.is::<super::Exit>()),
        };
        if !was_interrupted {
            return answer;
        }
        interrupt::clear();
        Ok(Dynamic::UNIT)
    }
}
