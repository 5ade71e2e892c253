//! Rewards that a script gives: a closure, a function's name, the path of a script, a list.

use super::error::{Answer, At, callback, raise};
use super::host::Host;
use super::settings::{Settings, float};
use crate::error::{Error, Result};
use crate::rl::{Reward, RewardOutput, Score};
use rhai::{
    AST, Array as List, CallFnOptions, Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext,
    Position, Scope,
};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Rewards of everything that a script may write where one is expected.
pub fn rewards<'a>(
    ctx: &'a NativeCallContext<'a>,
    value: &Dynamic,
) -> Answer<Vec<Box<dyn Reward + 'a>>> {
    if let Some(list) = value.read_lock::<List>() {
        let each: Answer<Vec<_>> = list
            .iter()
            .enumerate()
            .map(|(i, item)| one(ctx, item, &format!("reward_{i}")))
            .collect();
        let rewards = each?;
        if rewards.is_empty() {
            return Err(Error::value(
                "reward",
                "an empty list",
                "at least one reward",
            ))
            .at(ctx);
        }
        return Ok(rewards);
    }
    Ok(vec![one(ctx, value, "reward")?])
}

fn one<'a>(
    ctx: &'a NativeCallContext<'a>,
    value: &Dynamic,
    name: &str,
) -> Answer<Box<dyn Reward + 'a>> {
    if let Some(map) = value.read_lock::<Map>() {
        let (reward, name, weight) = Settings::read(ctx, "reward", map.clone(), |s| {
            let mut weight = 1.0;
            s.float("weight", &mut weight)?;
            let name = s.string("name")?.unwrap_or(name.to_string());
            let expected = "a closure, a function's name or a path";
            let reward = s
                .take("reward")
                .ok_or_else(|| Error::setting("reward", "nothing", expected))?;
            Ok((reward, name, weight))
        })?;
        let inner = one(ctx, &reward, &name)?;
        return Ok(Box::new(Weighted {
            inner,
            name,
            weight,
        }));
    }
    if let Some(f) = value.read_lock::<FnPtr>() {
        let name = if f.is_anonymous() { name } else { f.fn_name() };
        return Ok(Box::new(Closure {
            ctx,
            f: f.clone(),
            name: name.to_string(),
        }));
    }
    if value.is_string() {
        let text = value.to_string();
        if text.ends_with(".rhai") {
            return Ok(Box::new(File::open(ctx, Path::new(&text))?));
        }
        let f = FnPtr::new(text.as_str())?;
        return Ok(Box::new(Closure { ctx, f, name: text }));
    }
    let expected = "a closure, a function's name, the path of a .rhai file, or a list of those";
    Err(Error::value("reward", value.type_name(), expected)).at(ctx)
}

/// A reward under another name and with a weight.
struct Weighted<'a> {
    inner: Box<dyn Reward + 'a>,
    name: String,
    weight: f64,
}

impl Reward for Weighted<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn refresh(&mut self) -> Option<String> {
        self.inner.refresh()
    }

    fn source(&self) -> Option<(String, String)> {
        self.inner.source()
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        self.inner.score(outputs)
    }
}

/// A closure or a named function of the session.
struct Closure<'a> {
    ctx: &'a NativeCallContext<'a>,
    f: FnPtr,
    name: String,
}

impl Reward for Closure<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let answer = self
            .f
            .call_raw(self.ctx, None, [list_of(outputs)])
            .map_err(callback)?;
        scores(&self.name, &answer)
    }
}

/// A script with `fn reward(outputs)`, read again when it changes.
struct File<'a> {
    ctx: &'a NativeCallContext<'a>,
    path: PathBuf,
    name: String,
    ast: AST,
    text: String,
    /// When and how long the file was at the last look.
    seen: Option<(SystemTime, u64)>,
    version: u32,
}

impl<'a> File<'a> {
    fn open(ctx: &'a NativeCallContext<'a>, path: &Path) -> Answer<Self> {
        let seen = stamp(path);
        let text = std::fs::read_to_string(path)
            .map_err(Error::io(path))
            .at(ctx)?;
        let ast = compile(ctx, path, &text)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            ctx,
            name: name.into_owned(),
            path: path.to_path_buf(),
            ast,
            text,
            seen,
            version: 1,
        })
    }
}

/// Compiles a reward script, checks its contract, and remembers its constants and closures.
fn compile(ctx: &NativeCallContext, path: &Path, text: &str) -> Answer<AST> {
    let engine = ctx.engine();
    let source = path.display().to_string();
    let mut ast = engine
        .compile(text)
        .map_err(|error| raise(Error::file(path, error), ctx.call_position()))?;
    ast.set_source(source.as_str());
    let mut functions = ast.iter_functions();
    if !functions.any(|f| f.name == "reward" && f.params.len() == 1) {
        let reason = "it has no `fn reward(outputs)`";
        return Err(Error::file(path, reason)).at(ctx);
    }
    drop(functions);
    // What stands outside of functions runs once, for its constants.
    let mut scope = Scope::new();
    engine.run_ast_with_scope(&mut scope, &ast)?;
    let constants = scope.iter_raw().filter(|(_, constant, _)| *constant);
    let constants = constants.map(|(name, _, value)| (name.to_string(), value.clone()));
    let host = Host::of(ctx);
    host.names.borrow_mut().remember(&ast, constants.collect());
    Ok(ast)
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn hash(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Reward for File<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Takes up a changed file. A version that does not compile leaves the old one in place.
    fn refresh(&mut self) -> Option<String> {
        let now = stamp(&self.path);
        if now == self.seen {
            return None;
        }
        let text = std::fs::read_to_string(&self.path).ok()?;
        if text.is_empty() {
            // An editor is in the middle of writing: look again at the next step.
            return None;
        }
        self.seen = now;
        if text == self.text {
            return None;
        }
        let path = self.path.display();
        match compile(self.ctx, &self.path, &text) {
            Ok(ast) => {
                (self.ast, self.text) = (ast, text);
                self.version += 1;
                Some(format!(
                    "{path} has changed: version {} scores from here on",
                    self.version
                ))
            }
            Err(error) => {
                let reason = match error.unwrap_inner() {
                    EvalAltResult::ErrorRuntime(text, _) => text.to_string(),
                    other => other.to_string(),
                };
                Some(format!(
                    "{path} has changed but cannot be used, version {} goes on scoring: {reason}",
                    self.version
                ))
            }
        }
    }

    fn source(&self) -> Option<(String, String)> {
        Some((hash(&self.text), self.text.clone()))
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let options = CallFnOptions::new().eval_ast(false);
        let answer: Dynamic = self
            .ctx
            .engine()
            .call_fn_with_options(
                options,
                &mut Scope::new(),
                &self.ast,
                "reward",
                (list_of(outputs),),
            )
            .map_err(|error| {
                let path = self.path.display().to_string();
                let inside = EvalAltResult::ErrorInFunctionCall(
                    "reward".into(),
                    path,
                    error,
                    Position::NONE,
                );
                callback(inside.into())
            })?;
        scores(&self.name, &answer)
    }
}

fn list_of(outputs: &[RewardOutput]) -> Dynamic {
    let list: List = outputs.iter().cloned().map(Dynamic::from).collect();
    list.into()
}

/// The scores in a reward's answer: numbers, `()`, or maps of named parts.
fn scores(name: &str, answer: &Dynamic) -> Result<Vec<Score>> {
    let wrong = |what: String| Error::Reward {
        name: name.to_string(),
        reason: format!(
            "{what}; return a list with a number, `()` or a map of parts for each output"
        ),
    };
    let Some(list) = answer.read_lock::<List>() else {
        return Err(wrong(format!("it returned {}", answer.type_name())));
    };
    list.iter()
        .enumerate()
        .map(|(i, item)| {
            if item.is_unit() {
                return Ok(Score::Unscorable);
            }
            if let Some(number) = float(item) {
                return Ok(Score::Value(number));
            }
            if let Ok(bit) = item.as_bool() {
                return Ok(Score::Value(f64::from(u8::from(bit))));
            }
            let parts = item.read_lock::<Map>().ok_or_else(|| {
                let found = super::convert::brief(item);
                wrong(format!("output {i} got {found} ({})", item.type_name()))
            })?;
            let parts: Option<Vec<(String, f64)>> = parts
                .iter()
                .map(|(part, value)| Some((part.to_string(), float(value)?)))
                .collect();
            parts
                .map(Score::Parts)
                .ok_or_else(|| wrong(format!("a part of output {i} is no number")))
        })
        .collect()
}
