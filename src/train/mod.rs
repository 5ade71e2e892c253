//! What supervised and reinforcement training share: forward, backward, finite check, accumulate,
//! clip, update, metrics, run directory.

mod backward;
mod batch;
mod document;
mod events;
mod head;
mod logprobs;
mod metrics;
mod observer;
mod run_dir;
mod settings;
mod state;
mod step;

pub use backward::{BackwardSettings, Gradients, TargetGrads, gradients, scores};
pub use batch::Batch;
pub use document::Document;
pub use head::{HeadSettings, TargetScores};
pub use logprobs::{completion_logits, completion_logprobs, router_loss};
pub use metrics::{Metrics, curve, mean_and_std};
pub use observer::{Observer, Progress, Quiet, finished, stopped};
pub use run_dir::RunDir;
pub use settings::{OptimSettings, lora_config};
pub use state::{DataId, Position, Restored, State, checkpoint_in};
pub use step::{Outcome, Stepper, every, loss_and_grads};
