//! Commands that measure.

use super::Answer;
use super::values::size;
use crate::repl::prompt::{Prompt, Then};

pub fn time(prompt: &mut Prompt, source: &str) -> Answer {
    if source.is_empty() {
        return Err("`:time` needs an expression, such as `:time x.sum()`".into());
    }
    let timed = prompt.session().time(source);
    match timed {
        Ok(timed) => {
            prompt.show(timed.outcome);
            prompt.say(&format!(
                "{}, {} at peak",
                seconds(timed.seconds),
                size(timed.peak)
            ));
        }
        Err(failure) => prompt.complain(&failure),
    }
    Ok(Then::Go)
}

pub fn timeit(prompt: &mut Prompt, source: &str) -> Answer {
    if source.is_empty() {
        return Err("`:timeit` needs an expression, such as `:timeit x.sum()`".into());
    }
    let runs = prompt.session().time_many(source);
    match runs {
        Ok(runs) => {
            let (mean, std) = runs.mean_and_std();
            prompt.say(&format!(
                "{} ± {} a run, {} at best ({} runs)",
                seconds(mean),
                seconds(std),
                seconds(runs.best()),
                runs.seconds.len()
            ));
        }
        Err(failure) => prompt.complain(&failure),
    }
    Ok(Then::Go)
}

/// A time as people read it.
fn seconds(time: f64) -> String {
    match time {
        0.0 => "0 s".into(),
        t if t < 1e-6 => format!("{:.0} ns", t * 1e9),
        t if t < 1e-3 => format!("{:.2} µs", t * 1e6),
        t if t < 1.0 => format!("{:.2} ms", t * 1e3),
        t => format!("{t:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_a_unit_of_their_size() {
        let texts = [0.0, 5e-9, 1.5e-5, 0.25, 12.0].map(seconds);
        assert_eq!(texts, ["0 s", "5 ns", "15.00 µs", "250.00 ms", "12.00 s"]);
    }
}
