//! Layers as functions of their inputs and weights.

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::{self, Embedding, Weights};
use crate::script::bind::{Binder, Call};
use crate::script::mx::{fast, matrices};

/// Puts the functions into `nn`.
pub fn register(b: &mut Binder) {
    linear(b);
    norms(b);
    statistics(b);
    positions(b);
    attention(b);
    convolutions(b);
    recurrent(b);
    dropout(b);
}

fn linear(b: &mut Binder) {
    b.function(
        "linear(x: Tensor, weight: Tensor, bias: Tensor = ()) -> Tensor",
        "`x weight^T + bias`: x `[.., in]`, weight `[out, in]`, bias `[out]`; gives `[.., out]`.",
        "assert_eq(nn::linear(tensor([1.0, 2.0]), tensor([[3.0, 4.0]]), tensor([1.0])), [12]);",
        |c| nn::linear(&c.tensor(0)?, &c.tensor(1)?, c.optional_tensor(2)?.as_ref()),
    );
    b.function(
        "bilinear(x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor = ()) -> Tensor",
        "`x2 weight x1 + bias` for each output: weight `[out, in2, in1]`; gives `[.., out]`.",
        "let w = tensor([[[2.0]]]);
         assert_eq(nn::bilinear(tensor([3.0]), tensor([4.0]), w), [24]);",
        |c| {
            let bias = c.optional_tensor(3)?;
            nn::bilinear(&c.tensor(0)?, &c.tensor(1)?, &c.tensor(2)?, bias.as_ref())
        },
    );
    b.function(
        "embedding(ids: Tensor, weight: Tensor) -> Tensor",
        "Rows of a table: ids integers `[..]`, weight `[V, E]`; gives `[.., E]`.",
        "assert_eq(nn::embedding(tensor([1]), tensor([[1.0, 2.0], [3.0, 4.0]])), [[3, 4]]);",
        |c| {
            let weight = c.tensor(1)?;
            let rows = weight.shape().first().copied().unwrap_or(0);
            Embedding::new(weight).forward(c.positions(0)?.within(rows, "the table")?)
        },
    );
}

fn norms(b: &mut Binder) {
    b.function(
        "rms_norm(x: Tensor, weight: Tensor = (), eps: number = 1e-5) -> Tensor",
        "`x / sqrt(mean(x^2) + eps) weight` over the last axis (Zhang and Sennrich 2019).",
        "assert_close(nn::rms_norm(tensor([3.0, 3.0]), tensor([1.0, 2.0]), 0.0), [1, 2], 1e-5);",
        fast::rms_norm,
    );
    b.function(
        "layer_norm(x: Tensor, weight: Tensor = (), bias: Tensor = (), eps: number = 1e-5) -> Tensor",
        "`(x - mean) / sqrt(var + eps) weight + bias` over the last axis (Ba et al. 2016).",
        "assert_close(nn::layer_norm(tensor([1.0, 3.0])), [-1, 1], 1e-4);",
        fast::layer_norm,
    );
}

fn statistics(b: &mut Binder) {
    let affine = |c: &Call, x: Array, i: usize| {
        let (weight, bias) = (c.optional_tensor(i)?, c.optional_tensor(i + 1)?);
        nn::affine(x, weight.as_ref(), bias.as_ref())
    };
    b.function(
        "group_norm(x: Tensor, num_groups: integer, weight: Tensor = (), bias: Tensor = (), eps: number = 1e-5, pytorch_compatible: bool = false) -> Tensor",
        "Groups of features `[B, .., C]` normalised over all positions (Wu and He 2018).

         A group holds every `num_groups`-th feature; with `pytorch_compatible` adjacent ones.",
        "let x = mx::arange(8.0).reshape([1, 4, 2]);
         assert_close(nn::group_norm(x, 2).mean(), 0.0, 1e-5);",
        move |c| {
            let (groups, eps, adjacent) = (c.int(1)?, c.float(4)?, c.flag(5)?);
            affine(c, nn::group_norm(&c.tensor(0)?, groups, eps, adjacent)?, 2)
        },
    );
    b.function(
        "instance_norm(x: Tensor, weight: Tensor = (), bias: Tensor = (), eps: number = 1e-5) -> Tensor",
        "Each feature of each example `[B, .., C]` normalised over its positions (Ulyanov et al. 2016).",
        "let x = mx::arange(8.0).reshape([1, 4, 2]);
         assert_close(nn::instance_norm(x).mean(1), [[0, 0]], 1e-5);",
        move |c| affine(c, nn::instance_norm(&c.tensor(0)?, c.float(3)?)?, 1),
    );
    b.function(
        "batch_norm(x: Tensor, mean: Tensor = (), var: Tensor = (), weight: Tensor = (), bias: Tensor = (), eps: number = 1e-5) -> Tensor",
        "Each feature of `[.., C]` normalised by given statistics, or by its own over the batch (Ioffe and Szegedy 2015).",
        "let x = mx::arange(8.0).reshape([4, 2]);
         assert_close(nn::batch_norm(x).mean(0), [0, 0], 1e-5);",
        move |c| {
            let (mean, var) = (c.optional_tensor(1)?, c.optional_tensor(2)?);
            let x = nn::batch_norm(&c.tensor(0)?, mean.as_ref(), var.as_ref(), c.float(5)?)?;
            affine(c, x, 3)
        },
    );
}

fn positions(b: &mut Binder) {
    b.function(
        "rope(x: Tensor, dims: integer, traditional: bool = false, base: number = 10000.0, scale: number = 1.0, offset: integer or Tensor = 0, freqs: Tensor = ()) -> Tensor",
        "Rotary position embedding (Su et al. 2021) of the first `dims` features of `[.., L, D]`.",
        "let x = mx::ones([1, 1, 2, 4]);
         assert_eq(nn::rope(x, 4)[[0, 0, 0]], [1, 1, 1, 1]);",
        fast::rope,
    );
    b.function(
        "sinusoidal(x: Tensor, dims: integer, min_freq: number = 0.0001, max_freq: number = 1.0, scale: number = (), cos_first: bool = false, full_turns: bool = false) -> Tensor",
        "Sines and cosines of positions `[..]` (Vaswani et al. 2017): `[.., dims]`, times `sqrt(2 / dims)` by default.",
        "assert_eq(nn::sinusoidal(tensor([0.0]), 2), [[0, 1]]);",
        |c| {
            let between = [c.float(2)?, c.float(3)?];
            let (dims, scale) = (c.int(1)?, c.optional_float(4)?);
            nn::sinusoidal(&c.tensor(0)?, dims, between, scale, c.flag(5)?, c.flag(6)?)
        },
    );
}

fn attention(b: &mut Binder) {
    b.function(
        "attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor or string = (), scale: number = (), sinks: Tensor = ()) -> Tensor",
        "`softmax(scale q k^T + mask) v`: q `[B, H, L, D]`, k and v `[B, Hkv, S, D]`, `H` a multiple of `Hkv`.

         `mask` is `\"causal\"`, bool (true = may attend) or added; `scale` is `1 / sqrt(D)` by default.",
        "let x = mx::ones([1, 2, 3, 4]);
         assert_close(nn::attention(x, x, x, \"causal\"), x, 1e-6);",
        |c| fast::attention(c, [4, 3]),
    );
}

fn convolutions(b: &mut Binder) {
    type Conv = fn(&Call, usize) -> Result<Array>;
    let kinds: [(&str, &str, &str, Conv); 3] = [
        ("conv1d", "L", "k", matrices::conv1d),
        ("conv2d", "H, W", "k, k", matrices::conv2d),
        ("conv3d", "D, H, W", "k, k, k", matrices::conv3d),
    ];
    for (name, axes, kernel, body) in kinds {
        let ones = kernel.replace('k', "1");
        b.function(
            &format!("{name}(x: Tensor, weight: Tensor, bias: Tensor = (), stride: integer or list = 1, padding: integer or list = 0, dilation: integer or list = 1, groups: integer = 1) -> Tensor"),
            &format!("A convolution: x `[N, {axes}, C_in]`, weight `[C_out, {kernel}, C_in / groups]`, bias `[C_out]`."),
            &format!(
                "let x = mx::ones([1, {ones}, 2]);
                 let w = mx::ones([3, {ones}, 2]);
                 assert_eq(nn::{name}(x, w, mx::ones([3])).sum(), 9);"
            ),
            move |c| nn::affine(body(c, 3)?, None, c.optional_tensor(2)?.as_ref()),
        );
    }
}

/// The weights `wx, wh, bias` of arguments 1 to 3.
struct Given(Array, Array, Option<Array>);

impl Given {
    fn new(c: &Call) -> Result<Self> {
        Ok(Self(c.tensor(1)?, c.tensor(2)?, c.optional_tensor(3)?))
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            wx: &self.0,
            wh: &self.1,
            bias: self.2.as_ref(),
        }
    }
}

fn recurrent(b: &mut Binder) {
    b.function(
        "rnn(x: Tensor, wx: Tensor, wh: Tensor, bias: Tensor = (), hidden: Tensor = ()) -> Tensor",
        "All states `h = tanh(x wx^T + h wh^T + bias)`: x `[.., L, in]`, wx `[H, in]`, wh `[H, H]`; gives `[.., L, H]`.",
        "let y = nn::rnn(mx::ones([1, 3, 2]), mx::ones([4, 2]), mx::zeros([4, 4]));
         assert_close(y, mx::full([1, 3, 4], 0.964028), 1e-5);",
        |c| {
            let hidden = c.optional_tensor(4)?;
            nn::rnn(&c.tensor(0)?, Given::new(c)?.weights(), hidden.as_ref())
        },
    );
    b.function(
        "gru(x: Tensor, wx: Tensor, wh: Tensor, bias: Tensor = (), bhn: Tensor = (), hidden: Tensor = ()) -> Tensor",
        "All states of gated recurrent units: x `[.., L, in]`, wx `[3 H, in]`, wh `[3 H, H]`, bhn `[H]`; gives `[.., L, H]`.",
        "let y = nn::gru(mx::ones([1, 3, 2]), mx::ones([12, 2]), mx::zeros([12, 4]));
         assert_eq(y.shape, [1, 3, 4]);",
        |c| {
            let (bhn, hidden) = (c.optional_tensor(4)?, c.optional_tensor(5)?);
            let given = Given::new(c)?;
            nn::gru(&c.tensor(0)?, given.weights(), bhn.as_ref(), hidden.as_ref())
        },
    );
    b.function(
        "lstm(x: Tensor, wx: Tensor, wh: Tensor, bias: Tensor = (), hidden: Tensor = (), cell: Tensor = ()) -> list",
        "`[states, cells]` of long short-term memory: x `[.., L, in]`, wx `[4 H, in]`, wh `[4 H, H]`; both `[.., L, H]`.",
        "let y = nn::lstm(mx::ones([1, 3, 2]), mx::ones([16, 2]), mx::zeros([16, 4]));
         assert_eq(y[0].shape, [1, 3, 4]);",
        |c| {
            let (hidden, cell) = (c.optional_tensor(4)?, c.optional_tensor(5)?);
            let given = Given::new(c)?;
            nn::lstm(&c.tensor(0)?, given.weights(), hidden.as_ref(), cell.as_ref())
        },
    );
}

fn dropout(b: &mut Binder) {
    for (name, spatial, what) in [
        ("dropout", false, "Elements"),
        ("dropout2d", true, "Whole features of `[B, .., C]`"),
        ("dropout3d", true, "Whole features of `[B, .., C]`"),
    ] {
        b.function(
            &format!("{name}(x: Tensor, p: number = 0.5, key: integer or Tensor = ()) -> Tensor"),
            &format!("{what} set to 0 with probability `p`, the others scaled by `1 / (1 - p)`."),
            &format!("assert_eq(nn::{name}(mx::ones([2, 3, 3, 4]), 0.0).sum(), 72);"),
            move |c| nn::dropout(&c.tensor(0)?, c.float(1)?, spatial, c.key(2)?.as_ref()),
        );
    }
}
