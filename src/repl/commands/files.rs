//! Commands about scripts in files.

use super::Answer;
use crate::repl::prompt::{Prompt, Then};
use crate::session::expanded;

pub fn run(prompt: &mut Prompt, rest: &str) -> Answer {
    let mut words = rest.split_whitespace();
    let path = words.next().ok_or("`:run` needs the path of a script")?;
    let text = read(path)?;
    let args = words.map(String::from).collect();
    let mut session = prompt.session();
    session.set_args(args);
    let result = session.eval(&expanded(path).display().to_string(), &text);
    drop(session);
    if let Err(failure) = result {
        prompt.complain(&failure);
    }
    Ok(Then::Go)
}

pub fn load(_: &mut Prompt, path: &str) -> Answer {
    match path {
        "" => Err("`:load` needs the path of a script".into()),
        path => read(path).map(Then::Fill),
    }
}

pub fn reload(prompt: &mut Prompt, _: &str) -> Answer {
    let done = prompt.session().reload();
    match done {
        Ok(done) if done.is_empty() => prompt.say("nothing has changed"),
        Ok(done) => prompt.say(&done.join("\n")),
        Err(failure) => prompt.complain(&failure),
    }
    Ok(Then::Go)
}

pub fn autoreload(prompt: &mut Prompt, rest: &str) -> Answer {
    prompt.autoreload = match rest {
        "" => !prompt.autoreload,
        "on" => true,
        "off" => false,
        other => return Err(format!("`:autoreload {other}`: write on or off")),
    };
    prompt.say(match prompt.autoreload {
        true => "changed scripts and imports are taken up before every cell",
        false => "changed scripts and imports wait for :reload",
    });
    Ok(Then::Go)
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(expanded(path)).map_err(|error| format!("{path}: {error}"))
}
