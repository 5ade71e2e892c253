"""Writes sampling.json: what mlx-lm's filters keep and what its penalties make of logits.

Run:  python tests/vectors/sampling.py      (mlx-lm 0.32.2, mlx 0.32.2)

`inputs` holds logits, and log-probabilities made of them as mlx-lm does, under names. A case of `filters` has the
settings, the input and the tokens of each row, `x` where kept; a case of `penalties` the settings, the history and the
values of each row; a case of `chains` the whole way from logits to the probabilities that are drawn from (only those
above 0, with their ids). Chance has no part in it: the probability of XTC is 1.
"""

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm import sample_utils

# The vectors belong to the CPU; a GPU would round differently.
mx.set_default_device(mx.cpu)
HERE = Path(__file__).resolve().parent
INPUTS, FILTERS, PENALTIES, CHAINS = {}, [], [], []
DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16}


def number(x):
    return "-inf" if x == -math.inf else float(f"{x:.9g}")


def values(array):
    """Numbers in nested lists; bfloat16 as the float32 of the same value."""

    def walk(x):
        return [walk(y) for y in x] if isinstance(x, list) else number(x)

    return walk(array.astype(mx.float32).tolist())


def add_input(name, shape, seed, scale=2.0, step=None, dtype="float32"):
    """Seeded logits, on a grid of `step` where ties are wanted, and their log-probabilities."""
    logits = np.random.default_rng(seed).normal(size=shape) * scale
    logits = np.round(logits / step) * step if step else np.round(logits, 4)
    logits = mx.array(logits.astype(np.float32)).astype(DTYPES[dtype])
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    entry = {"dtype": dtype, "logits": values(logits), "logprobs": values(logprobs)}
    INPUTS[name] = dict(entry, ties=step is not None or dtype == "bfloat16")


def read(name, key):
    entry = INPUTS[name]
    return mx.array(entry[key]).astype(DTYPES[entry["dtype"]])


def kept(array):
    rows = array.reshape(-1, array.shape[-1]).astype(mx.float32).tolist()
    return ["".join("." if x == -math.inf else "x" for x in row) for row in rows]


def add_filter(function, name, **settings):
    clear_of_edges(function, read(name, "logprobs").astype(mx.float32), settings)
    result = getattr(sample_utils, "apply_" + function)(read(name, "logprobs"), *settings.values())
    FILTERS.append({"filter": function, "input": name, "settings": settings, "kept": kept(result)})


def clear_of_edges(function, logprobs, settings):
    """No token may be so near to a threshold that rounding decides about it."""
    p = np.exp(np.array(logprobs, dtype=np.float64).reshape(-1, logprobs.shape[-1]))
    if function == "top_p":
        falling = -np.sort(-p, axis=-1)
        above = np.cumsum(falling, -1) - falling
        gap = np.abs(above - settings["top_p"] * p.sum(-1, keepdims=True)).min()
    elif function == "min_p" and settings["min_p"] < 1:
        gap = np.abs(p / p.max(-1, keepdims=True) - settings["min_p"]).min()
    elif function == "xtc":
        gap = np.abs(p / p.sum(-1, keepdims=True) - settings["threshold"]).min()
    else:
        return
    assert gap > 1e-6, (function, settings, gap)


def add_filters():
    for name in INPUTS:
        vocab = read(name, "logprobs").shape[-1]
        for p in (0.05, 0.3, 0.71, 0.9, 0.95, 0.999):
            add_filter("top_p", name, top_p=p)
        for p in (0.01, 0.06, 0.3, 0.87, 1.0):
            add_filter("min_p", name, min_p=p, min_tokens_to_keep=1)
            add_filter("min_p", name, min_p=p, min_tokens_to_keep=4)
        for k in (1, 2, 5, vocab - 1):
            add_filter("top_k", name, top_k=k)
        for threshold in (0.01, 0.051, 0.11, 0.31, 0.5):
            for special in ([], [0, vocab - 1], [int(mx.argmax(read(name, "logprobs").reshape(-1)).item()) % vocab]):
                add_filter("xtc", name, probability=1.0, threshold=threshold, special_tokens=special)


def process(logits, history, settings):
    """Bias and penalties on each row with its own history, as generation does."""
    rows = logits.reshape(-1, logits.shape[-1])
    out = []
    for row, tokens in zip(range(rows.shape[0]), history):
        # Some processors change the array that they are given.
        one = mx.array(rows[row : row + 1])
        for processor in sample_utils.make_logits_processors(**settings):
            one = processor(mx.array(tokens, dtype=mx.int32), one)
        out.append(one)
    return mx.concatenate(out).reshape(logits.shape)


def histories(name, length, seed):
    logits = read(name, "logits").reshape(-1, read(name, "logits").shape[-1])
    rng = np.random.default_rng(seed)
    # Few ids, so that they come again; rows of different lengths.
    return [rng.integers(0, min(logits.shape[-1], 12), size=length + row).tolist() for row in range(logits.shape[0])]


def for_json(settings):
    bias = settings.get("logit_bias")
    return dict(settings, logit_bias=[list(pair) for pair in bias.items()]) if bias else settings


def add_penalties():
    seed = 100
    for name in INPUTS:
        logits = read(name, "logits")
        for kind, strengths in {
            "repetition": (1.3, 0.7),
            "presence": (0.8, -0.5),
            "frequency": (0.4, -0.25),
        }.items():
            for strength in strengths:
                for size in (0, 1, 20):
                    for length in (0, 3, 27):
                        if "small" not in name and (size, length) not in ((20, 27), (0, 27)):
                            continue
                        seed += 1
                        history = histories(name, length, seed)
                        settings = {f"{kind}_penalty": strength, f"{kind}_context_size": size}
                        result = process(logits, history, settings)
                        add_penalty(name, settings, history, result)
        settings = {"logit_bias": {0: -1.5, 3: 0.25, 5: 100.0}}
        history = histories(name, 2, 7)
        add_penalty(name, settings, history, process(logits, history, settings))


def add_penalty(name, settings, history, result):
    # Only what changed, as places and values: most logits stay.
    before = read(name, "logits").reshape(-1, result.shape[-1]).astype(mx.float32).tolist()
    after = result.reshape(-1, result.shape[-1]).astype(mx.float32).tolist()
    changed = [
        [[i, number(b)] for i, (a, b) in enumerate(zip(row_before, row_after)) if a != b]
        for row_before, row_after in zip(before, after)
    ]
    PENALTIES.append({"input": name, "settings": for_json(settings), "history": history, "changed": changed})


CHAIN_SETTINGS = [
    dict(temp=1.0, top_p=0.9),
    dict(temp=0.6, top_p=0.95, top_k=5),
    dict(temp=0.7, top_k=4),
    dict(temp=1.3, min_p=0.06),
    dict(temp=0.8, top_p=0.97, min_p=0.04, top_k=6),
    dict(temp=1.0, top_p=0.8, min_p=0.3, min_tokens_to_keep=3, top_k=5),
    dict(temp=0.9, min_p=0.5, min_tokens_to_keep=4),
    dict(temp=1.0, xtc_probability=1.0, xtc_threshold=0.06, xtc_special_tokens=[1]),
    dict(temp=0.5, top_p=0.9, xtc_probability=1.0, xtc_threshold=0.08),
    dict(temp=1.1, top_p=0.98, min_p=0.02, xtc_probability=1.0, xtc_threshold=0.11, top_k=5),
]
CHAIN_PENALTIES = [
    {},
    dict(repetition_penalty=1.2),
    dict(
        logit_bias={2: 1.5, 4: -2.0},
        repetition_penalty=1.1,
        repetition_context_size=0,
        presence_penalty=0.3,
        presence_context_size=5,
        frequency_penalty=0.2,
        frequency_context_size=12,
    ),
]


def add_chains():
    # The last step of mlx-lm's sampler is the draw; here it gives what would be drawn from.
    sample_utils.categorical_sampling = lambda logits, temp: mx.softmax(logits * (1 / temp), axis=-1, precise=True)
    for name in ("small", "middle", "small_ties"):
        logits = read(name, "logits")
        for i, sampler in enumerate(CHAIN_SETTINGS):
            penalties = CHAIN_PENALTIES[i % 3] if name == "middle" else CHAIN_PENALTIES[(i + 1) % 3]
            history = histories(name, 15, 500 + i)
            changed = process(logits, history, penalties)
            logprobs = changed - mx.logsumexp(changed, axis=-1, keepdims=True)
            p = sample_utils.make_sampler(**sampler)(logprobs)
            rows = p.reshape(-1, p.shape[-1]).tolist()
            CHAINS.append(
                {
                    "input": name,
                    "sampler": sampler,
                    "penalties": for_json(penalties),
                    "history": history,
                    "probabilities": [[[i, number(x)] for i, x in enumerate(row) if x > 0] for row in rows],
                }
            )


def write():
    parts = []
    for key, cases in (("filters", FILTERS), ("penalties", PENALTIES), ("chains", CHAINS)):
        parts.append(f"{json.dumps(key)}: [\n" + ",\n".join(map(json.dumps, cases)) + "\n]")
    inputs = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in INPUTS.items())
    parts.insert(0, '"inputs": {\n' + inputs + "\n}")
    path = HERE / "sampling.json"
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    counts = f"{len(FILTERS)} filters, {len(PENALTIES)} penalties, {len(CHAINS)} chains"
    print(f"{path.name}: {counts}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    add_input("small", (3, 9), seed=1)
    add_input("small_one", (7,), seed=2)
    add_input("small_ties", (2, 12), seed=3, step=0.5)
    add_input("small_half", (2, 10), seed=4, dtype="bfloat16")
    add_input("middle", (2, 60), seed=5)
    add_input("middle_ties", (2, 50), seed=6, step=0.25, scale=1.0)
    add_input("flat_half", (2, 80), seed=7, scale=0.3, dtype="bfloat16")
    add_input("wide_one", (320,), seed=8, scale=3.0)
    add_filters()
    add_penalties()
    add_chains()
    write()
