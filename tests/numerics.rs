//! Numbers: values that other libraries computed, and properties that need no oracle.

#[path = "numerics/adapters.rs"]
mod adapters;
#[path = "numerics/broken.rs"]
mod broken;
#[path = "numerics/caches.rs"]
mod caches;
#[path = "numerics/calls.rs"]
mod calls;
#[path = "numerics/conversations.rs"]
mod conversations;
#[path = "numerics/engine.rs"]
mod engine;
#[path = "numerics/family.rs"]
mod family;
#[path = "numerics/family_training.rs"]
mod family_training;
#[path = "numerics/generation.rs"]
mod generation;
#[path = "numerics/host.rs"]
mod host;
#[path = "numerics/lean.rs"]
mod lean;
#[path = "numerics/losses.rs"]
mod losses;
#[path = "numerics/model.rs"]
mod model;
#[path = "numerics/oracles.rs"]
mod oracles;
#[path = "numerics/resume.rs"]
mod resume;
#[path = "numerics/rewards.rs"]
mod rewards;
#[path = "numerics/roundtrip.rs"]
mod roundtrip;
#[path = "numerics/sampling.rs"]
mod sampling;
#[path = "numerics/speculation.rs"]
mod speculation;
#[path = "numerics/steps.rs"]
mod steps;
#[path = "numerics/supervised.rs"]
mod supervised;
#[path = "numerics/support.rs"]
mod support;
#[path = "numerics/training.rs"]
mod training;
