"""Oracle values for `nn::*` and `optim::*` of the Rhai interpreter, computed with mlx.nn and mlx.optimizers 0.32.2.

Run:  python tests/vectors/nn.py      (writes nn.json beside this file; MLX 0.32.2)

Each line of nn.json is one case in the form of mx.json, and mx.py holds what the two scripts share. What is a layer
in Python is a function of its input and its weights in Rhai. Initialisers are seeded by `mx::seed(7)` in a block.
An optimizer case is a block of 10 steps; its gradients follow from the parameter `p` and the step `i`, by an
expression that Rhai and Python read alike. `bias_correction` of adam and adamw is true unless it is given: Python
leaves it out by default, Rhai does not. Compilation is off, so no compiler is needed and every step rounds by itself.
"""

import json
import os
import sys

sys.dont_write_bytecode = True  # before mx.py is imported

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.optimizers import schedulers

from mx import CASES, COUNTS, INF, SPECIAL, E, F, T, at, emit, src, val

TINY = E("1.0e-30", 1e-30)  # below the digits that `src` writes
HALF, BRAIN = mx.float16, mx.bfloat16
SEED = 7

ACTIVATIONS = """
relu relu6 relu2 leaky_relu elu celu selu gelu gelu_approx gelu_fast_approx silu sigmoid log_sigmoid softmax
log_softmax softmin softplus softsign softshrink hard_shrink hard_tanh hardswish mish prelu step tanh glu swiglu
""".split()
LOSSES = """
cross_entropy binary_cross_entropy l1_loss mse_loss nll_loss gaussian_nll_loss kl_div_loss smooth_l1_loss
triplet_loss hinge_loss huber_loss log_cosh_loss cosine_similarity_loss margin_ranking_loss
""".split()
ALIASES = {"mse": "mse_loss", "kl_div": "kl_div_loss"}
# Initialisers of which Python takes the settings when it makes them, and those it gives them to when it calls them.
MADE_WITH = "constant normal uniform identity orthogonal sparse".split()
CALLED_WITH = "glorot_normal glorot_uniform he_normal he_uniform".split()
OPTIMIZERS = {
    "sgd": optim.SGD, "rmsprop": optim.RMSprop, "adagrad": optim.Adagrad, "adadelta": optim.AdaDelta,
    "adam": optim.Adam, "adamw": optim.AdamW, "adamax": optim.Adamax, "lion": optim.Lion,
    "adafactor": optim.Adafactor, "muon": optim.Muon,
}
SCHEDULES = {
    "linear": schedulers.linear_schedule, "cosine": schedulers.cosine_decay, "step_decay": schedulers.step_decay,
    "exponential": schedulers.exponential_decay,
}


def with_weights(layer, **weights):
    """A layer with these weights in the place of its own; None takes a weight away."""
    for name, weight in weights.items():
        setattr(layer, name, weight)
    return layer


def affine(layer, features, weight, bias):
    """A layer without weights, given some; MLX has both or none."""
    if weight is None and bias is None:
        return layer
    return with_weights(
        layer,
        weight=mx.ones([features]) if weight is None else weight,
        bias=mx.zeros([features]) if bias is None else bias,
    )


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5, pytorch_compatible=False):
    features = x.shape[-1]
    layer = nn.GroupNorm(num_groups, features, eps, affine=False, pytorch_compatible=pytorch_compatible)
    return affine(layer, features, weight, bias)(x)


def instance_norm(x, weight=None, bias=None, eps=1e-5):
    return affine(nn.InstanceNorm(x.shape[-1], eps), x.shape[-1], weight, bias)(x)


def batch_norm(x, mean=None, var=None, weight=None, bias=None, eps=1e-5):
    layer = affine(nn.BatchNorm(x.shape[-1], eps, affine=False), x.shape[-1], weight, bias)
    if mean is not None:
        with_weights(layer, running_mean=mean, running_var=var).eval()
    return layer(x)


def attention(q, k, v, mask=None, scale=None):
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5 if scale is None else scale, mask=mask)


def convolution(function):
    def layer(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        y = function(x, weight, stride, padding, dilation, groups)
        return y if bias is None else y + bias

    return layer


def rnn(x, wx, wh, bias=None, hidden=None):
    return with_weights(nn.RNN(1, wh.shape[1]), Wxh=wx, Whh=wh, bias=bias)(x, hidden)


def gru(x, wx, wh, bias=None, bhn=None, hidden=None):
    return with_weights(nn.GRU(1, wh.shape[1]), Wx=wx, Wh=wh, b=bias, bhn=bhn)(x, hidden)


def lstm(x, wx, wh, bias=None, hidden=None, cell=None):
    return with_weights(nn.LSTM(1, wh.shape[1]), Wx=wx, Wh=wh, bias=bias)(x, hidden, cell)


PYTHON = {
    **{name: getattr(nn, name) for name in ACTIVATIONS if name != "swiglu"},
    **{name: getattr(nn.losses, name) for name in LOSSES},
    **{name: getattr(nn.losses, of) for name, of in ALIASES.items()},
    "swiglu": lambda gate, x: nn.silu(gate) * x,
    "linear": lambda x, weight, bias=None: with_weights(nn.Linear(1, 1), weight=weight, bias=bias)(x),
    "bilinear": lambda a, b, weight, bias=None: with_weights(nn.Bilinear(1, 1, 1), weight=weight, bias=bias)(a, b),
    "embedding": lambda ids, weight: with_weights(nn.Embedding(1, 1), weight=weight)(ids),
    "rms_norm": lambda x, weight=None, eps=1e-5: mx.fast.rms_norm(x, weight, eps),
    "layer_norm": lambda x, weight=None, bias=None, eps=1e-5: with_weights(nn.LayerNorm(1, eps), weight=weight, bias=bias)(x),
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "batch_norm": batch_norm,
    "rope": lambda x, *args, offset=0, **kw: nn.RoPE(*args, **kw)(x, offset),
    "sinusoidal": lambda x, *args, **kw: nn.SinusoidalPositionalEncoding(*args, **kw)(x),
    "attention": attention,
    **{f"conv{n}d": convolution(getattr(mx, f"conv{n}d")) for n in (1, 2, 3)},
    **{
        f"{kind}_pool{n}d": lambda x, *args, layer=getattr(nn, f"{kind.title()}Pool{n}d"), **kw: layer(*args, **kw)(x)
        for kind in ("max", "avg")
        for n in (1, 2, 3)
    },
    "upsample": lambda x, *args, **kw: nn.Upsample(*args, **kw)(x),
    "rnn": rnn,
    "gru": gru,
    "lstm": lstm,
}


def arguments(args, kw):
    """The Rhai source of arguments and settings; `var` is a word that Rhai keeps for itself."""
    settings = [f'{json.dumps(k) if k == "var" else k}: {src(v)}' for k, v in kw.items()]
    return ", ".join([src(a) for a in args] + (["#{ " + ", ".join(settings) + " }"] if settings else []))


def plainly(args, kw):
    return [val(a) for a in args], {k: val(v) for k, v in kw.items()}


def case(name, *args, **kw):
    """One case of `nn::<name>`."""
    python, settings = plainly(args, kw)
    emit(name, E(f"nn::{name}({arguments(args, kw)})", PYTHON[name](*python, **settings)))
    COUNTS["nn::" + name] += 1


def cases(name, *ways):
    """Several cases: tuples of arguments, of which a last dict holds settings."""
    for way in ways:
        args, kw = (way[:-1], way[-1]) if isinstance(way[-1], dict) else (way, {})
        case(name, *args, **kw)


def activations():
    x, pairs, cube, whole = F([2, 3], 1, -4.0, 7.0), F([2, 4], 2), F([2, 1, 4], 3), T([[3, -2], [0, 8]])
    edge = T([-90.0, -3.0, -0.5, 0.0, 0.5, 6.5, 90.0])
    settings = {
        "leaky_relu": [(0.2,), {"negative_slope": 0.5}, (2.0,)],
        "elu": [(0.5,), {"alpha": 2.0}],
        "celu": [(0.5,), {"alpha": 2.0}],
        "softmax": [(0,), {"axis": -2}],
        "log_softmax": [(0,), {"axis": -2}],
        "softmin": [(0,), {"axis": -2}],
        "softshrink": [(1.0,), {"lambd": 0.0}],
        "hard_shrink": [(1.0,), {"lambd": 0.0}],
        "hard_tanh": [(-2.0, 3.0), {"max_val": 0.25}, {"min_val": 0.0}],
        "step": [(0.5,), {"threshold": -1.0}],
    }
    for name in ACTIVATIONS:
        if name in ("prelu", "swiglu", "glu"):
            continue
        along = name in ("softmax", "log_softmax", "softmin")
        for one in (x, cube, T([1.5]) if along else T(-0.7), SPECIAL, edge, F([4], 4, dtype=HALF), F([4], 5, dtype=BRAIN), whole):
            case(name, one)
        for given in settings.get(name, []):
            cases(name, (x, *given) if isinstance(given, tuple) else (x, given))
    cases("prelu", (x, T(0.25)), (x, T([0.1, -0.5, 2.0])), (cube, T([[0.5]])), (whole, T([0.5, 0.25])), (F([4], 6, dtype=HALF), T([0.5], HALF)), (SPECIAL, T(0.25)))
    cases("swiglu", (pairs, F([2, 4], 7)), (cube, F([3, 1], 8)), (T(1.5), T(-2.0)), (F([4], 9, dtype=BRAIN), F([4], 10, dtype=BRAIN)), (whole, T([[1, 2], [3, 4]])))
    cases("glu", (pairs,), (pairs, 0), (cube, {"axis": 0}), (cube, {"axis": -1}), (F([4], 11, dtype=HALF),), (T([[3, 0], [1, -2]]),), (SPECIAL,))


def losses():
    a, b, row = F([2, 3], 20), F([2, 3], 21), F([3], 22)
    low = F([2, 3], 23, dtype=BRAIN), F([2, 3], 24, dtype=BRAIN)
    half = F([2, 3], 25, dtype=HALF), F([2, 3], 26, dtype=HALF)
    sums = [{"reduction": way} for way in ("none", "mean", "sum")]
    logits, cube = F([3, 4], 27), F([2, 3, 2], 28)
    ids, weights = T([3, 0, 1]), T([0.5, 2.0, 1.0])
    chances = T([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    cases("cross_entropy", (logits, ids), (logits, chances), *((logits, ids, way) for way in sums), (logits, ids, weights), (logits, ids, weights, -1, 0.1, "mean"),
          (logits, ids, {"label_smoothing": 0.2}), (logits, chances, {"label_smoothing": 0.2, "weights": weights}), (logits, chances, {"reduction": "sum"}), (cube, T([[0, 2], [1, 1]]), {"axis": 1}),
          (cube, T([[0, 1, 1], [1, 0, 0]])), (logits, T([0, 1, 2, 0]), None, 0), (T([0.0, 1.0, 3.0]), T(2)), (T([[1000.0, 0.0], [-1000.0, 0.0]]), T([1, 0])), (low[0], T([0, 2])), (half[0], T([0, 2], mx.uint8)),
          (T([[-INF, 0.0, 1.0]]), T([2])))
    yes, sure = T([[1.0, 0.0, 1.0], [0.0, 0.25, 1.0]]), T([[0.9, 0.2, 0.5], [0.01, 0.6, 0.99]])
    cases("binary_cross_entropy", (a, yes), *((a, yes, way) for way in sums), (sure, yes, {"with_logits": False}), (sure, yes, None, False, "none"), (T([0.0, 1.0, 0.0]), T([0.0, 1.0, 1.0]), {"with_logits": False, "reduction": "none"}),
          (a, yes, b, {"reduction": "none"}), (sure, yes, b, False, "sum"), (T([-200.0, 200.0]), T([1.0, 1.0]), {"reduction": "none"}), (a, T([[1, 0, 1], [0, 0, 1]])), (half[0], T([[1, 0, 1], [0, 0, 1]], HALF), {"reduction": "none"}), (T(0.5), T(1.0)))
    for name in ("l1_loss", "mse_loss"):
        cases(name, (a, b), *((a, b, way) for way in sums), (a, b, "none"), (T(0.5), T(2.0)), (T([1, 5, -2]), T([3, 5, 2])), (*low, "none"), (*half,), (cube, cube))
    log = T([[-0.5, -1.5, -2.0], [-1.0, -0.7, -3.0]])
    cases("nll_loss", (log, T([1, 2])), *((log, T([1, 2]), way) for way in sums), (log, T([1, 0, 1]), 0), (cube, T([[0, 2], [1, 1]]), {"axis": 1}), (T([-0.5, -1.5]), T(1)), (low[0], T([0, 2])))
    var = T([[0.5, 1.0, 2.0], [0.4, 0.1, 3.0]])
    cases("gaussian_nll_loss", (a, b, var), *((a, b, var, way) for way in sums), (a, b, var, True, 0.01, "none"), (a, b, var, {"full": True}), (a, b, var, {"eps": 0.5, "reduction": "none"}), (T(1.0), T(3.0), T(2.0)), (T([1.0]), T([1.0]), T([0.0])),
          (*half, T([[0.5, 1.0, 2.0], [1.0, 0.1, 3.0]], HALF), {"reduction": "none"}))
    target = T([[-0.7, -1.2, -1.6], [-2.0, -0.4, -1.8]])
    cases("kl_div_loss", (log, target), *((log, target, way) for way in sums), (log, target, 0), (log, T([-0.7, -1.2, -1.6])), (cube, cube, {"axis": -2}), (*low,), (T([-0.5]), T([0.0])))
    cases("smooth_l1_loss", (a, b), *((a, b, way) for way in sums), (a, b, 0.5, "none"), (a, b, {"beta": 2.0}), (T([0.0, 0.0, 0.0]), T([1.0, -1.0, 0.99]), 1.0, "none"), (T(0.5), T(2.0)), (*half, {"reduction": "none"}))
    near, far = F([2, 3], 29), F([2, 3], 30)
    cases("triplet_loss", (a, near, far), *((a, near, far, way) for way in sums), (a, near, far, 0, 1, 0.5, 0.01, "none"), (a, near, far, {"p": 3, "margin": 4.0}), (a, near, far, {"eps": 0.5, "axis": 0}), (a, row, far),
          (T([0.0, 1.0]), T([0.0, 1.0]), T([3.0, 5.0])), (*low, far.astype(BRAIN)))
    signs = T([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    cases("hinge_loss", (a, signs), *((a, signs, way) for way in sums), (a, T([1.0, -1.0, 1.0])), (T([2, -2, 0]), T([1, 1, -1])), (T(0.5), T(1.0)), (low[0], signs.astype(BRAIN)))
    cases("huber_loss", (a, b), *((a, b, way) for way in sums), (a, b, 0.5, "mean"), (a, b, {"delta": 2.0}), (a, row), (T(0.5), T(3.0)), (*half,), (T([1, 4]), T([1, 1])))
    cases("log_cosh_loss", (a, b), *((a, b, way) for way in sums), (a, row, "sum"), (T([100.0, 0.0, 0.001]), T([0.0, 0.0, 0.0])), (T(0.5), T(3.0)), (*low,))
    cases("cosine_similarity_loss", (a, b), *((a, b, way) for way in sums), (a, b, 0), (a, b, {"axis": -1, "eps": 5.0}), (T([[0.0, 0.0]]), T([[1.0, 2.0]])), (cube, cube), (row, row, 0), (a, T([[1.0, 0.0, 2.0]])), (*half,))
    cases("margin_ranking_loss", (a, b, signs), *((a, b, signs, way) for way in sums), (a, b, signs, 0.5, "mean"), (a, b, signs, {"margin": 2.0}), (T(0.5), T(3.0), T(1.0)), (*half, signs.astype(HALF)), (T([1, 4]), T([2, 2]), T([1, -1])))
    case("mse", a, b)
    case("kl_div", log, target, 0, reduction="sum")


def linear():
    x, w, bias = F([2, 3], 40), F([4, 3], 41), F([4], 42)
    cases("linear", (x, w), (x, w, bias), (F([2, 1, 3], 43), w, {"bias": bias}), (T([1.0, -2.0, 0.5]), w, bias), (T([0.5, 1.0, 2.0]), w), (F([2, 2, 3], 44), w), (F([2, 3], 45, dtype=BRAIN), F([2, 3], 46, dtype=BRAIN), F([2], 47, dtype=BRAIN)),
          (F([2, 3], 48, dtype=HALF), w))
    w2, bias2 = F([4, 2, 3], 49), F([4], 50)
    cases("bilinear", (x, F([2, 2], 51), w2), (x, F([2, 2], 51), w2, bias2), (F([2, 1, 3], 52), F([2, 1, 2], 53), w2, {"bias": bias2}), (T([1.0, -2.0, 0.5]), T([0.5, 2.0]), w2, bias2), (F([1, 3], 54, dtype=HALF), F([1, 2], 55, dtype=HALF), F([1, 2, 3], 56, dtype=HALF)))
    table = F([5, 3], 57)
    cases("embedding", (T([0, 4, 2]), table), (T([[1], [3]]), table), (T(2), table), (T([-1, 1]), table), (T([1, 1], mx.uint8), F([2, 2], 58, dtype=BRAIN)), (T([[0, 1], [1, 0]]), T([[1, 2], [3, 4]])))


def norms():
    x, w, b = F([2, 4], 60), F([4], 61), F([4], 62)
    cases("rms_norm", (x,), (x, w), (x, w, 0.1), (x, {"eps": 0.5}), (F([2, 1, 4], 63), w), (F([4], 64), w), (F([2, 4], 65, dtype=BRAIN), F([4], 66, dtype=BRAIN)), (T([0.0, 0.0]),))
    cases("layer_norm", (x,), (x, w), (x, w, b), (x, w, b, 0.1), (x, None, None, 0.5), (x, {"bias": b}), (F([2, 1, 4], 67), w, {"bias": b, "eps": 0.01}), (F([4], 68),), (F([2, 4], 69, dtype=HALF), F([4], 70, dtype=HALF)), (T([[2.0, 2.0]]),))
    g, image = F([2, 3, 4], 71), F([1, 2, 2, 4], 72)
    cases("group_norm", (g, 2), (g, 2, w, b), (g, 2, w, b, 0.1), (g, 2, {"pytorch_compatible": True}), (g, 2, w, b, 0.1, True), (g, 1), (g, 4), (g, 4, {"pytorch_compatible": True}), (image, 2, {"weight": w}), (image, 2, {"bias": b, "pytorch_compatible": True}),
          (x, 2), (F([1, 3, 4], 73, dtype=HALF), 2))
    cases("instance_norm", (g,), (g, w, b), (g, w, b, 0.1), (image, {"eps": 0.5}), (image, {"weight": w}), (g, {"bias": b}), (F([1, 3, 4], 74, dtype=BRAIN),), (F([2, 1, 4], 75),))
    mean, var = F([4], 76), F([4], 77, 0.2, 2.0)
    cases("batch_norm", (x,), (g,), (image,), (x, mean, var), (g, mean, var, w, b), (g, mean, var, w, b, 0.1), (g, None, None, w, b), (x, {"weight": w, "eps": 0.5}), (x, {"bias": b}), (x, {"mean": mean, "var": var}), (F([1, 4], 78), mean, var),
          (F([2, 4], 79, dtype=HALF),))


def positions():
    x = F([1, 2, 3, 4], 80)
    cases("rope", (x, 4), (x, 4, True), (x, 2), (x, 4, False, 100.0, 0.5), (x, 4, {"offset": 5}), (x, 4, {"traditional": True, "base": 50.0, "offset": 2}), (x, 4, {"scale": 2.0}), (F([2, 3, 4], 81), 4), (F([1, 3, 6], 82), 4), (F([1, 1, 2, 4], 83, dtype=BRAIN), 4),
          (F([1, 1, 1, 2], 84), 2, {"offset": 1}), (F([2, 1, 2, 4], 85), 4, {"offset": T([1, 3])}))
    p = T([0.0, 1.0, 2.5])
    cases("sinusoidal", (p, 4), (p, 2), (p, 6, 0.01, 2.0, 1.0, True, True), (p, 4, {"cos_first": True}), (p, 4, {"full_turns": True}), (p, 4, {"scale": 3.0}), (p, 4, {"min_freq": 0.1, "max_freq": 10.0}), (T([[0, 1], [2, 3]]), 4), (T(1.5), 6), (T([0.5, 1.0], HALF), 4))


def attending():
    q, k, v = F([1, 2, 2, 4], 90), F([1, 2, 3, 4], 91), F([1, 2, 3, 4], 92)
    one = F([1, 1, 3, 4], 93), F([1, 1, 3, 4], 94)
    four = F([1, 4, 1, 2], 95), F([1, 2, 3, 2], 96), F([1, 2, 3, 2], 97)
    seen, added = T([[True, True, False], [True, False, True]]), T([[0.0, -1.0, 0.5], [-INF, 0.0, 0.0]])
    low = [F([1, 1, 2, 4], seed, dtype=BRAIN) for seed in (98, 99, 100)]
    cases("attention", (q, k, v), (q, k, v, seen), (q, k, v, added), (q, k, v, "causal"), (q, k, v, None, 0.3), (q, k, v, {"scale": 1.0, "mask": "causal"}), (q, *one), (*four,), (*four, {"mask": T([True, False, True])}), (*low, "causal"),
          (k, k, v, {"mask": "causal"}), (F([2, 1, 1, 2], 101), F([2, 1, 2, 2], 102), F([2, 1, 2, 2], 103), T([[[[True, False]]], [[[True, True]]]])))


def convolutions():
    x, w, b = F([1, 6, 2], 110), F([2, 3, 2], 111), F([2], 112)
    cases("conv1d", (x, w), (x, w, b), (x, w, b, 2, 1, 1, 1), (x, w, {"stride": 2}), (x, w, {"padding": 2, "dilation": 2}), (x, F([2, 3, 1], 113), b, {"groups": 2}), (F([2, 3, 1], 114, dtype=HALF), F([1, 2, 1], 115, dtype=HALF), F([1], 116, dtype=HALF)), (F([1, 3, 1], 117), T([[[2.0]]])))
    x, w = F([1, 4, 4, 1], 118), F([2, 2, 2, 1], 119)
    cases("conv2d", (x, w), (x, w, b), (x, w, b, 2, 1), (x, w, {"stride": [1, 2], "padding": [1, 0]}), (x, w, {"dilation": 2, "bias": b}), (x, w, {"dilation": [1, 3]}), (F([1, 3, 3, 2], 120), F([2, 2, 2, 1], 121), {"groups": 2}),
          (F([1, 3, 3, 1], 122, dtype=BRAIN), F([1, 2, 2, 1], 123, dtype=BRAIN)))
    x, w = F([1, 2, 3, 3, 1], 124), F([2, 2, 2, 2, 1], 125)
    cases("conv3d", (x, w), (x, w, b), (x, w, b, 2, 1), (x, w, {"stride": [1, 2, 1], "padding": [1, 0, 0]}), (x, w, {"dilation": [1, 2, 2]}), (F([1, 1, 2, 2, 2], 126), F([2, 1, 2, 2, 2], 127), {"padding": [0, 1, 0]}), (x, w, {"groups": 1}))


def pools():
    ways = {
        1: (F([2, 6, 2], 130), [(2,), (3,), (3, 1), (3, 2, 1), ([2], [1], [1]), {"kernel_size": 4}, (2, {"padding": 1})], [2, 5, 2]),
        2: (F([1, 4, 4, 2], 131), [(2,), (3,), (3, 1), (3, 2, 1), ([2, 1],), ([1, 2], [2, 1], [0, 1]), (2, {"padding": 1}), (2, {"stride": [1, 3]})], [1, 3, 3, 1]),
        3: (F([1, 2, 4, 4, 1], 132), [(2,), (2, 1), (3, 2, 1), ([1, 2, 2],), ([2, 2, 1], [1, 2, 2], [0, 0, 0]), (2, {"padding": [1, 0, 0]}), (2, {"stride": [1, 2, 2]})], [1, 2, 3, 3, 1]),
    }
    for n, (x, argses, odd) in ways.items():
        for kind in ("max", "avg"):
            cases(f"{kind}_pool{n}d", *((x, *args) if isinstance(args, tuple) else (x, args) for args in argses), (F(odd, 133), 2), (F(odd, 134, dtype=HALF), 2, 1))


def resampling():
    x, image, odd = F([1, 4, 2], 140), F([1, 2, 3, 1], 141), F([2, 3, 1], 142)
    flags = [{}, {"align_corners": True}]
    cases("upsample", (x, 2), (x, 1.5), (x, 0.5), (odd, 2.5), (odd, 3), (image, 2), (image, [2, 3]), (image, [1.5, 1]), (F([1, 2, 1, 2, 1], 143), 2), (T([[[2.0]]]), 3), (F([1, 3, 1], 144, dtype=HALF), 2))
    for mode in ("linear", "cubic"):
        for flag in flags:
            cases("upsample", *((one, scale, {"mode": mode, **flag}) for one, scale in ((x, 2), (x, 1.5), (x, 0.5), (odd, 2.5), (image, 2), (image, [1.5, 2.0]), (T([[[2.0]]]), 3))))
        cases("upsample", (F([1, 3, 1], 145, dtype=HALF), 2, mode), (F([1, 2, 1, 2, 1], 146), [1, 2, 2], mode, True), (x, 0.5, {"mode": mode, "antialias": True}), (image, [2, 0.7], {"mode": mode, "antialias": True}))
    cases("upsample", (x, 1, "linear"), (image, 2, "nearest", True))


def recurrent():
    x, many = F([2, 3, 2], 150), F([2, 1, 2, 2], 151)
    for name, gates, more in (("rnn", 1, []), ("gru", 3, ["bhn"]), ("lstm", 4, [])):
        wx, wh, bias = F([gates * 3, 2], 152, -1, 1), F([gates * 3, 3], 153, -1, 1), F([gates * 3], 154, -1, 1)
        hidden, extra = F([2, 3], 155, -1, 1), F([3], 156, -1, 1)
        bhn = [extra] if more else []
        last = [F([2, 3], 157, -1, 1)] if name == "lstm" else []
        low = [F(shape, seed, -1, 1, HALF) for shape, seed in (([1, 2, 2], 158), ([gates * 3, 2], 159), ([gates * 3, 3], 160))]
        cases(name, (x, wx, wh), (x, wx, wh, bias), (x, wx, wh, bias, *bhn, hidden, *last), (x, wx, wh, {"hidden": hidden}), (many, wx, wh, bias, *bhn), (F([3, 2], 161), wx, wh, bias), (low[0], low[1], low[2]), (F([1, 1, 2], 162), wx, wh))
        if more:
            cases(name, (x, wx, wh, bias, extra), (x, wx, wh, {"bhn": extra, "hidden": hidden}), (x, wx, wh, None, extra))
        if last:
            cases(name, (x, wx, wh, bias, None, last[0]), (x, wx, wh, {"cell": last[0], "hidden": hidden}))


def initialisers():
    shapes = ([2, 3], [3, 2], [2, 2, 2, 3])
    scaled = [(shape,) for shape in shapes]
    ways = {
        "constant": [([2, 3], 0.5), ([], -1.0), ([4], 3)],
        "normal": [([2, 3],), ([4], 1.0, 0.5), ([2, 2, 2], {"std": 0.02}), ([3], {"mean": -2.0}), ([],)],
        "uniform": [([2, 3],), ([4], -1.0, 2.0), ([2, 2, 2], {"low": -1.0}), ([3], {"high": 10.0}), ([],)],
        "identity": [([3, 3],), ([1, 1],), ([2, 2],)],
        "orthogonal": [([3, 3],), ([2, 4],), ([4, 2],), ([2, 2], 3.0), ([1, 1],), ([3, 2], {"gain": 0.5})],
        "sparse": [([3, 4], 0.5), ([2, 5], 0.3, 1.0, 0.5), ([4, 2], {"sparsity": 0.1}), ([2, 3], 0.0), ([2, 3], 1.0), ([2, 4], 0.5, {"mean": 10.0}), ([2, 4], 0.25, {"std": 5.0})],
        "glorot_normal": [*scaled, ([2, 3], 2.0), ([2, 3], {"gain": 0.5})],
        "glorot_uniform": [*scaled, ([2, 3], 2.0), ([2, 3], {"gain": 0.5})],
        "he_normal": [*scaled, ([2, 3], "fan_out", 2.0), ([2, 2, 2, 3], {"mode": "fan_out"}), ([2, 3], {"gain": 0.5})],
        "he_uniform": [*scaled, ([2, 3], "fan_out", 2.0), ([2, 2, 2, 3], {"mode": "fan_out"}), ([2, 3], {"gain": 0.5})],
    }
    for name, argses in ways.items():
        for way in argses:
            args, kw = (way[:-1], way[-1]) if isinstance(way[-1], dict) else (way, {})
            (shape, *rest), settings = plainly(args, kw)
            make = getattr(nn.init, name)
            mx.random.seed(SEED)
            value = make(*rest, **settings)(mx.zeros(shape)) if name in MADE_WITH else make()(mx.zeros(shape), *rest, **settings)
            emit(name, E(f"{{ mx::seed({SEED}); nn::init::{name}({arguments(args, kw)}) }}", value))
            COUNTS["nn::init::" + name] += 1


STEPS, GRADIENT, CURVED = 10, "p * 2.0 - 1.0 + i * 0.1", "p * p * p - 0.2 * i"


def optimize(name, lr, start, gradient=GRADIENT, **settings):
    """10 steps; Python evaluates the very source of the gradient."""
    _, python = plainly((), settings)
    if name in ("adam", "adamw"):
        python = {"bias_correction": True, **python}
    opt = OPTIMIZERS[name](lr, **python)
    p = mx.array(start.value)  # MLX changes parameters in place here and there
    for i in range(STEPS):
        g = eval(gradient, {"p": p, "i": i})
        p = opt.apply_gradients({"p": g}, {"p": p})["p"]
    steps = f"for i in 0..{STEPS} {{ let g = {gradient}; p = opt.update(p, g); }}"
    emit(name, E(f"{{ let opt = optim::{name}({arguments([lr], settings)}); let p = {start.src}; {steps} p }}", p))
    COUNTS["optim::" + name] += 1


def optimizers():
    line, grid = T([0.9, -1.2, 0.1, 2.0]), F([2, 3], 170)
    tall, cube, low = F([4, 2], 171), F([2, 3, 2], 172), F([3], 173, dtype=BRAIN)
    # Each: learning rate, then settings.
    ways = {
        "sgd": [(0.1, {}), (0.1, {"momentum": 0.9}), (0.05, {"weight_decay": 0.1}), (0.05, {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True}), (0.1, {"momentum": 0.9, "dampening": 0.5})],
        "rmsprop": [(0.05, {}), (0.1, {"alpha": 0.5}), (0.1, {"alpha": 0.9, "eps": 0.1})],
        "adagrad": [(0.3, {}), (0.5, {"eps": 0.5})],
        "adadelta": [(1.0, {}), (2.0, {"rho": 0.5, "eps": 0.01})],
        "adam": [(0.1, {}), (0.1, {"bias_correction": False}), (0.1, {"betas": [0.5, 0.9], "eps": 0.01}), (0.05, {"betas": [0.8, 0.95], "bias_correction": False})],
        "adamw": [(0.1, {}), (0.1, {"bias_correction": False}), (0.1, {"weight_decay": 0.5}), (0.2, {"betas": [0.5, 0.9], "eps": 0.01, "weight_decay": 0.0}), (0.1, {"weight_decay": 0.2, "bias_correction": False})],
        "adamax": [(0.1, {}), (0.2, {"betas": [0.5, 0.9], "eps": 0.01})],
        "lion": [(0.05, {}), (0.05, {"betas": [0.5, 0.9], "weight_decay": 0.5})],
        "adafactor": [(None, {}), (0.1, {"relative_step": False}), (0.1, {"relative_step": False, "scale_parameter": False, "weight_decay": 0.1}), (None, {"beta_1": 0.9, "warmup_init": True, "eps": [TINY, 10000.0]}), (None, {"eps": [TINY, 0.5], "clip_threshold": 0.5}),
                      (0.1, {"decay_rate": -0.5, "beta_1": 0.5, "relative_step": False, "weight_decay": 0.5}), (None, {"eps": [0.1, 0.01]})],
        "muon": [(0.05, {}), (0.1, {"momentum": 0.5, "weight_decay": 0.0, "nesterov": False}), (0.1, {"ns_steps": 3, "weight_decay": 0.5})],
    }
    for name, settings in ways.items():
        for i, (lr, kw) in enumerate(settings):
            optimize(name, lr, line, CURVED if i % 2 else GRADIENT, **kw)
            optimize(name, lr, grid, GRADIENT if i % 2 else CURVED, **kw)
        optimize(name, settings[0][0], low)
    optimize("muon", 0.05, tall)
    optimize("muon", 0.05, cube)
    optimize("adafactor", None, cube)
    optimize("sgd", 0.1, T(3.0))


def tree():
    """One optimizer of several parameters."""
    params = {"a": F([2, 2], 180), "b": [T([1.0, -2.0]), T(0.5)]}
    lines = ("let grads = #{ a: params.a * 2.0, b: [params.b[0] - 1.0, params.b[1] * 0.5] };", "params = opt.update(params, grads);")
    for name, wanted in [("adam", ["a", "b[0]", "b[1]"]), ("sgd", ["b[0]"]), ("adafactor", ["a", "b[1]"])]:
        kw = {"relative_step": False} if name == "adafactor" else {}
        opt = OPTIMIZERS[name](0.1, **kw, **({"bias_correction": True} if name == "adam" else {}))
        now = {"a": mx.array(params["a"].value), "b": [mx.array(e.value) for e in params["b"]]}
        for _ in range(STEPS):
            grads = {"a": now["a"] * 2.0, "b": [now["b"][0] - 1.0, now["b"][1] * 0.5]}
            now = opt.apply_gradients(grads, now)
        start = f"let opt = optim::{name}({arguments([0.1], kw)}); let params = {src(params)}; for i in 0..{STEPS} {{ {' '.join(lines)} }}"
        for part in wanted:
            value = now["a"] if part == "a" else now["b"][int(part[2])]
            emit(name, E(f"{{ {start} params.{part} }}", value))
            COUNTS["optim::" + name] += 1


def rates(name, *args, steps, warmup=None, warmup_init=None):
    """A schedule at some steps, with the warm-up as mlx-lm composes it."""
    schedule, settings = SCHEDULES[name](*args), {}
    if warmup is not None:
        settings["warmup"] = warmup
    if warmup_init is not None:
        settings["warmup_init"] = warmup_init
    if warmup:
        first = schedulers.linear_schedule(warmup_init or 0.0, args[0], warmup)
        schedule = schedulers.join_schedules([first, schedule], [warmup + 1])
    for step in steps:
        emit(name, E(f"optim::{name}({arguments(args, settings)}).rate({step})", mx.array(schedule(step), dtype=mx.float32)))
        COUNTS["optim::" + name] += 1


def schedules():
    # Mostly large numbers, so that a comparison with a tolerance says something.
    around, warm = (0, 1, 5, 9, 10, 11, 12, 100), (0, 1, 2, 3, 4, 5, 6, 9, 13, 14, 100)
    for name, args in [("linear", (8.0, 2.0, 10)), ("cosine", (8.0, 10)), ("step_decay", (8.0, 0.5, 3)), ("exponential", (8.0, 0.9))]:
        rates(name, *args, steps=around)
        rates(name, *args, steps=warm, warmup=4)
        rates(name, *args, steps=(0, 1, 2, 3, 4, 5, 9), warmup=3, warmup_init=1.0)
        rates(name, *args, steps=(0, 5), warmup=0)
    rates("linear", 0.001, 0.00001, 10, steps=(0, 5, 10))
    rates("linear", 0.0, 4.0, 1, steps=(0, 1, 2))
    rates("cosine", 8.0, 10, 2.0, steps=around)
    rates("cosine", 8.0, 10, 2.0, steps=warm, warmup=4)
    rates("step_decay", 8.0, 0.1, 1, steps=(0, 1, 2))
    rates("exponential", 2.0, 1.5, steps=(0, 1, 5))


def clipping():
    big, small = [T([3.0, -4.0]), T([[12.0, 0.0]])], [T([0.1, -0.2]), T([[0.3]])]
    mixed = [T([2.0, -1.0], HALF), T([[1.0, 2.0]], HALF)]
    for grads, limit in [(big, 1.0), (big, 100.0), (small, 1.0), (small, 0.25), (big, 0.0), ([T([0.0]), T([0.0])], 1.0), (mixed, 1.5), (big, 13.0)]:
        clipped, _ = optim.clip_grad_norm(val(grads), limit)
        # Our norm is float32 whatever the gradients are: in float16 a large one overflows.
        _, norm = optim.clip_grad_norm([g.astype(mx.float32) for g in val(grads)], limit)
        text = f"optim::clip_grad_norm({arguments([grads, limit], {})})"
        for e in [E(text + ".norm", norm), *(at(i)(E(text + ".grads", clipped)) for i in range(2))]:
            emit("clip_grad_norm", e)
            COUNTS["optim::clip_grad_norm"] += 1


def main():
    mx.set_default_device(mx.cpu)
    mx.disable_compile()
    for part in (activations, losses, linear, norms, positions, attending, convolutions, pools, resampling, recurrent, initialisers, optimizers, tree, schedules, clipping):
        part()
    lines = list(dict.fromkeys(json.dumps(c) for c in CASES))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn.json")
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(lines) + "\n]\n")
    print(", ".join(f"{name} {n}" for name, n in sorted(COUNTS.items())))
    print(f"\n{len(lines)} cases of {len(COUNTS)} functions, {os.path.getsize(path) / 1024:.0f} KB")
    names = [f"nn::{name}" for name in PYTHON] + [f"nn::init::{name}" for name in MADE_WITH + CALLED_WITH]
    names += [f"optim::{name}" for name in [*OPTIMIZERS, *SCHEDULES, "clip_grad_norm"]]
    few = {name: COUNTS[name] for name in names if COUNTS[name] < (1 if name[4:] in ALIASES else 3)}
    assert not few, few
    assert not set(COUNTS) - set(names), set(COUNTS) - set(names)


if __name__ == "__main__":
    main()
