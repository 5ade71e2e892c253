"""What mlx-lm's caches store and which masks they make, operation by operation.

Run:  python tests/vectors/caches.py      (writes caches.json beside this file; mlx-lm 0.32.2)

A trace is a list of steps on caches with names. Keys and values have one head of one number, those of
quantised caches 32 equal numbers, which lose nothing. An update gives each row `n` tokens, whose keys are
`first[row]`, `first[row] + 1`, .. and whose values are 0.5 minus the key. A step says what was observed after it:

- `tokens`: for each row what an update returned, as keys; `[key, count]` is a run of keys, `[null, count]` zeros,
  which are neither key nor value of a token.
- `offset`, `size`, `capacity`, `nbytes`, `is_trimmable`, `left_padding` as the cache has them. mlx-lm calls the size
  of a quantised cache 0; what is written is its offset, the number of tokens.
- `masks`: `[n, window, mask]` for so many tokens to come; a mask is null, "causal" or `[shape, bits]`.
- `error`: mlx-lm refuses the step; nothing has changed.

Every mask is also checked against a list of each row's tokens: a copy of the cache gets the tokens, and what the
mask lets them see must be what the list says. Masks that fail are left out, and only these may fail:

- one token with a window in a ring that has gone round and has `keep`: the mask is laid as if there were no `keep`;
- several tokens, while a ring for batches has gone round, is not just full, and still holds padding: the mask counts
  one more padded place than the ring will have, and so hides a token.

Left out altogether, since mlx-lm corrupts the cache or raises by accident: trimming a ring that has gone round;
filtering a batch when all its rows have more padding than tokens are there; filtering, extending or extracting
before `finalize`; `finalize` and `extract` of an empty cache; a row of a ring that holds padding only, taken out;
merging a ring that was trimmed to nothing; a cache that was the argument of `extend`, which it rearranges.
Between an update with padding on the right and `finalize` a ring for batches has neither `offset` nor `masks` here:
mlx-lm counts the padding until it is moved.
"""

import copy
import json
import math
import random
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
from mlx_lm.models.cache import (
    BatchKVCache,
    BatchRotatingKVCache,
    KVCache,
    QuantizedKVCache,
    RotatingKVCache,
)

mx.set_default_device(mx.cpu)
KINDS = {
    "full": lambda: KVCache(),
    "rotating": lambda max_size, keep: RotatingKVCache(max_size, keep),
    "quantized": lambda bits, group_size: QuantizedKVCache(group_size, bits),
    "batch": lambda left_padding: BatchKVCache(left_padding),
    "batch_rotating": lambda max_size, left_padding: BatchRotatingKVCache(max_size, left_padding),
}
ALL = [(n, window) for n in (1, 2, 3) for window in (None, 2)]
PROBES = [(1, None), (1, 2), (2, 2), (3, None)]
FEW = [(1, None), (3, None), (2, 2)]
LEFT_OUT = []


class Row:
    """What a row should hold: all its tokens, and how many tokens to come are padding."""

    def __init__(self, base, padding=0):
        self.base, self.given, self.padding, self.tokens = base, 0, padding, []

    def take(self, n, real=None):
        """The keys of the next `n` tokens, the first `real` of which are no padding on the right."""
        first = self.base + self.given
        self.given += n
        padding = min(self.padding, n)
        self.padding -= padding
        self.tokens += range(first + padding, first + (n if real is None else real))
        return first

    def drop(self, n):
        kept = max(len(self.tokens) - n, 0)
        self.padding += n - (len(self.tokens) - kept)
        self.tokens = self.tokens[:kept]


class Held:
    """A cache of mlx-lm and the rows it should hold."""

    def __init__(self, kind, cache, rows, **settings):
        self.kind, self.cache, self.rows = kind, cache, rows
        self.max_size = settings.get("max_size", math.inf)
        self.keep = settings.get("keep", 0)

    def past(self, row):
        """What the next token may still find."""
        if len(row.tokens) < self.max_size:
            return list(row.tokens)
        recent = self.max_size - 1 - self.keep
        return row.tokens[: self.keep] + row.tokens[len(row.tokens) - recent :]

    def visible(self, row, new, window):
        """What the last of the new tokens may see."""
        limit = min(window or self.max_size, len(row.tokens) + len(new))
        seen = self.past(row) + new
        return seen[max(len(seen) - limit, 0) :]

    def update(self, n, firsts):
        """The keys that mlx-lm returns, None where zeros are, for each row."""
        width = 32 if self.kind == "quantized" else 1
        keys = mx.array(firsts, dtype=mx.float32)[:, None] + mx.arange(n, dtype=mx.float32)
        keys = mx.broadcast_to(keys[:, None, :, None], (len(firsts), 1, n, width))
        found = self.cache.update_and_fetch(keys, 0.5 - keys)
        if self.kind == "quantized":
            form = dict(group_size=self.cache.group_size, bits=self.cache.bits)
            found = [mx.dequantize(*parts, **form) for parts in found]
        keys, values = found
        assert mx.all(keys == keys[..., :1]) and mx.all(values == values[..., :1])
        pairs = zip(keys[:, 0, :, 0].tolist(), values[:, 0, :, 0].tolist())
        return [[token(k, v) for k, v in zip(*row)] for row in pairs]

    def capacity(self):
        buffer = self.cache.keys
        buffer = buffer[0] if self.kind == "quantized" and buffer else buffer
        return 0 if buffer is None else buffer.shape[2]

    def waits(self):
        """Whether padding on the right is announced."""
        return getattr(self.cache, "_lengths", None) is not None or (
            getattr(self.cache, "_right_padding", None) is not None
        )

    def observed(self, probes):
        offset, cache = self.cache.offset, self.cache
        seen = {
            "offset": offset if isinstance(offset, int) else offset.tolist(),
            "size": cache.offset if self.kind == "quantized" else cache.size(),
            "capacity": self.capacity(),
            "nbytes": cache.nbytes if self.capacity() else 0,
            "is_trimmable": cache.is_trimmable(),
        }
        if hasattr(cache, "left_padding"):
            seen["left_padding"] = cache.left_padding.tolist()
        if self.kind == "batch_rotating" and self.waits():
            del seen["offset"]
        else:
            masks = [(n, window, self.probe(n, window)) for n, window in probes]
            seen["masks"] = [mask for mask in masks if mask[2] != "wrong"]
        return seen

    def probe(self, n, window):
        """The mask for `n` tokens, or "wrong"."""
        cache = self.cache
        mask = cache.make_mask(n, return_array=False, window_size=window)
        trial = Held(self.kind, copy.deepcopy(cache), copy.deepcopy(self.rows))
        trial.max_size, trial.keep = self.max_size, self.keep
        if not trial.agrees(n, window, mask):
            known = self.kind == "rotating" and self.keep > 0 and n == 1 and window
            batch = self.kind == "batch_rotating" and n > 1 and cache.rotated
            known = known or (batch and cache._idx < self.max_size and max(cache.left_padding.tolist()) > 0)
            assert known, (self.kind, n, window, mask)
            LEFT_OUT.append(self.kind)
            return "wrong"
        if not isinstance(mask, mx.array):
            return mask
        return [list(mask.shape), "".join(str(int(bit)) for bit in mask.flatten().tolist())]

    def agrees(self, n, window, mask):
        firsts = [10**6 * (i + 1) for i in range(len(self.rows))]
        found = self.update(n, firsts)
        for b, (row, first) in enumerate(zip(self.rows, firsts)):
            for i in range(row.padding, n):
                if self.waits():
                    continue
                bits = lay(mask, b, i, n, len(found[b]))
                seen = [key for key, bit in zip(found[b], bits) if bit]
                truth = self.visible(row, list(range(first + row.padding, first + i + 1)), window)
                if sorted(seen, key=lambda key: key or -1) != sorted(truth):
                    return False
        return True


def token(key, value):
    if key == 0 and value == 0:
        return None
    assert value == 0.5 - key
    return int(key)


def lay(mask, b, i, n, length):
    """What the `i`th of `n` tokens of a row may see, of `length`."""
    if mask is None:
        return [True] * length
    if isinstance(mask, str):
        return [c <= length - n + i for c in range(length)]
    if mask.ndim == 4:
        mask = mask[b, 0]
    assert mask.shape[-1] == length
    return mx.broadcast_to(mask, (n, length))[i].tolist()


def runs(keys):
    """Keys with runs of successive ones as `[first, count]`."""
    out = []
    for key in keys:
        last = out[-1] if out else None
        if last and (key is None and last[0] is None or None not in (key, last[0]) and key == sum(last)):
            last[1] += 1
        else:
            out.append([key, 1])
    return [run[0] if run[1] == 1 and run[0] is not None else run for run in out]


class Trace:
    def __init__(self, name, probes=PROBES):
        self.name, self.probes, self.steps, self.held, self.bases = name, probes, [], {}, 0

    def note(self, step, on, **seen):
        held = self.held[on]
        self.steps.append(step | seen | held.observed(self.probes))

    def new_rows(self, paddings):
        rows = [Row(1000 * (self.bases + i), padding) for i, padding in enumerate(paddings)]
        self.bases += len(rows)
        return rows

    def new(self, name, kind, rows=1, **settings):
        paddings = settings.get("left_padding", [0] * rows)
        self.held[name] = Held(kind, KINDS[kind](**settings), self.new_rows(paddings), **settings)
        self.note({"op": "new", "to": name, "kind": kind, **settings}, name)

    def update(self, name, *counts, real=None):
        for n in counts:
            held = self.held[name]
            firsts = [row.take(n, real and real[b]) for b, row in enumerate(held.rows)]
            tokens = [runs(row) for row in held.update(n, firsts)]
            self.note({"op": "update", "on": name, "n": n, "first": firsts}, name, tokens=tokens)

    def trim(self, name, n):
        held = self.held[name]
        assert held.cache.is_trimmable()
        removed = held.cache.trim(n)
        for row in held.rows:
            row.drop(removed)
        self.note({"op": "trim", "on": name, "n": n}, name, removed=removed)

    def padded(self, name, lengths, chunks=None):
        """Tokens of different numbers, padded on the right, in one update or in several."""
        held, width = self.held[name], max(lengths)
        right = [width - n for n in lengths]
        self.prepare(name, lengths=lengths, right_padding=right)
        done = 0
        for n in chunks or [width]:
            self.update(name, n, real=[min(max(length - done, 0), n) for length in lengths])
            done += n
        assert done == width
        held.cache.finalize()
        self.note({"op": "finalize", "on": name}, name)

    def prepare(self, name, **settings):
        held = self.held[name]
        held.cache.prepare(**settings)
        for row, more in zip(held.rows, settings.get("left_padding", [])):
            row.padding += more
        if "left_padding" in settings:
            settings["more_left_padding"] = settings.pop("left_padding")
        self.note({"op": "prepare", "on": name, **settings}, name)

    def refused(self, error, step, call):
        try:
            call()
        except error:
            self.steps.append(step | {"error": True})
        else:
            raise AssertionError("mlx-lm accepts it")

    def filter(self, name, rows):
        held = self.held[name]
        held.cache.filter(mx.array(rows))
        held.rows = [copy.deepcopy(held.rows[i]) for i in rows]
        self.note({"op": "filter", "on": name, "rows": rows}, name)

    def extend(self, name, other):
        held, more = self.held[name], self.held.pop(other)
        held.cache.extend(more.cache)
        held.rows += more.rows
        self.note({"op": "extend", "on": name, "other": other}, name)

    def extract(self, name, row, to):
        held = self.held[name]
        kind = {"batch": "full", "batch_rotating": "rotating"}[held.kind]
        single = Held(kind, held.cache.extract(row), [copy.deepcopy(held.rows[row])])
        single.max_size = held.max_size
        self.held[to] = single
        self.note({"op": "extract", "on": name, "row": row, "to": to}, to)

    def merge(self, names, to):
        parts = [self.held[name] for name in names]
        kind = {"full": "batch", "rotating": "batch_rotating"}[parts[0].kind]
        merged = type(parts[0].cache).merge([part.cache for part in parts])
        rows = [copy.deepcopy(part.rows[0]) for part in parts]
        self.held[to] = Held(kind, merged, rows)
        self.held[to].max_size = parts[0].max_size
        self.note({"op": "merge", "list": names, "to": to}, to)


TRACES = []


def trace(name, probes=PROBES):
    TRACES.append(Trace(name, probes))
    return TRACES[-1]


# --- Written by hand -------------------------------------------------------------------------------------------


def full():
    t = trace("full: capacities", [(1, None), (3, None)])
    t.new("a", "full")
    t.update("a", 1, 256, 1, 255, 300, 3)
    t = trace("full: trims")
    t.new("a", "full", rows=2)
    t.update("a", 5)
    t.trim("a", 2)
    t.update("a", 3)
    t.trim("a", 100)
    t.update("a", 1, 4)
    t.trim("a", 0)
    t.trim("a", 5)
    t = trace("full: trims and capacities", [(3, None)])
    t.new("a", "full")
    t.update("a", 300)
    t.trim("a", 100)
    t.update("a", 56, 1)
    t.trim("a", 1)
    t.update("a", 300)
    t.trim("a", 556)
    t.update("a", 513)


def quantized():
    for bits in (8, 4):
        t = trace(f"quantized: {bits} bits", FEW)
        t.new("a", "quantized", rows=2, bits=bits, group_size=32)
        t.update("a", 3, 1)
        t.trim("a", 2)
        t.update("a", 2, 1)
        t = trace(f"quantized: {bits} bits, capacities", [(3, None)])
        t.new("a", "quantized", bits=bits, group_size=32)
        t.update("a", 256, 1, 300)
        t.trim("a", 45)
        t.update("a", 2)
        t.trim("a", 1000)
        t.update("a", 1)


def rotating():
    for keep in (0, 2):
        t = trace(f"rotating: single tokens, keep {keep}")
        t.new("a", "rotating", rows=2, max_size=4, keep=keep)
        t.update("a", *[1] * 9)
        t = trace(f"rotating: mixed, keep {keep}")
        t.new("a", "rotating", rows=2, max_size=6, keep=keep)
        t.update("a", 3, 2, 4, 1, 1, 5, 1, 2, 1, 1, 1, 1, 1, 3)
        t = trace(f"rotating: a first block longer than the ring, keep {keep}")
        t.new("a", "rotating", max_size=4, keep=keep)
        t.update("a", 7, 1, 1, 2, 9, 1)
        t = trace(f"rotating: just full, keep {keep}")
        t.new("a", "rotating", max_size=5, keep=keep)
        t.update("a", 5, 1, 4, 1)
        t = trace(f"rotating: trims before the end, keep {keep}")
        t.new("a", "rotating", max_size=8, keep=keep)
        t.update("a", 3)
        t.trim("a", 1)
        t.update("a", 1, 2)
        t.trim("a", 2)
        t.update("a", 3)
        t.trim("a", 100)
        t.update("a", 1, 1, 5)
        t.trim("a", 3)
        t.update("a", 4, 1, 1)
        t = trace(f"rotating: capacities, keep {keep}", [(1, None)])
        t.new("a", "rotating", max_size=300, keep=keep)
        t.update("a", 1, 1, 254, 1, 42, 1, 1, 1, 200, 1)
        t = trace(f"rotating: capacities after a block, keep {keep}", [(1, None)])
        t.new("a", "rotating", max_size=300, keep=keep)
        t.update("a", 10, 1, 288, 1, 2, 1)
    t = trace("rotating: keeps all but one")
    t.new("a", "rotating", max_size=3, keep=2)
    t.update("a", 2, 1, 1, 2, 1, 4, 1)


def batch():
    t = trace("batch: left padding")
    t.new("a", "batch", left_padding=[2, 0, 1])
    t.update("a", 3, 1, 2)
    t.trim("a", 2)
    t.update("a", 1)
    t = trace("batch: trimmed into the padding")
    t.new("a", "batch", left_padding=[2, 0])
    t.update("a", 3)
    t.trim("a", 2)
    t.update("a", 3)
    t.trim("a", 100)
    t.update("a", 2, 1)
    t = trace("batch: padding on the right")
    t.new("a", "batch", left_padding=[0, 0, 0])
    t.padded("a", [2, 4, 3])
    t.update("a", 1, 2)
    t.padded("a", [3, 1, 2], chunks=[2, 1])
    t.update("a", 1)
    t = trace("batch: left padding later, and padding on both sides")
    t.new("a", "batch", left_padding=[0, 0])
    t.prepare("a", left_padding=[1, 0])
    t.update("a", 2)
    step = {"op": "prepare", "on": "a", "more_left_padding": [1, 0]}
    t.refused(ValueError, step, lambda: t.held["a"].cache.prepare(left_padding=[1, 0]))
    t.prepare("a", lengths=[2, 2], right_padding=[0, 0])
    t.padded("a", [3, 1])
    t.update("a", 1)
    t = trace("batch: rows reordered, repeated and without common padding")
    t.new("a", "batch", left_padding=[3, 0, 2])
    t.update("a", 4)
    t.filter("a", [2, 0, 1])
    t.update("a", 1)
    t.filter("a", [1, 0, 0])
    t.update("a", 2)
    t.filter("a", [0])
    t.update("a", 1)
    t = trace("batch: extended by a longer one, a shorter one, empty ones")
    t.new("a", "batch", left_padding=[1, 0])
    t.update("a", 3)
    t.new("b", "batch", left_padding=[0, 2])
    t.update("b", 5)
    t.extend("a", "b")
    t.update("a", 1)
    t.new("c", "batch", left_padding=[0])
    t.update("c", 2)
    t.extend("a", "c")
    t.update("a", 2)
    t.new("d", "batch", left_padding=[0])
    t.extend("a", "d")
    t.update("a", 1)
    t.new("e", "batch", left_padding=[1])
    t.new("f", "batch", left_padding=[0])
    t.extend("e", "f")
    t.extend("e", "a")
    t.update("e", 2)
    t = trace("batch: capacities of extended ones", [(1, None)])
    t.new("a", "batch", left_padding=[1])
    t.update("a", 300)
    t.new("b", "batch", left_padding=[0])
    t.update("b", 2)
    t.extend("b", "a")
    t.update("b", 1)
    t.filter("b", [0])
    t.update("b", 1)
    t = trace("batch: extracted")
    t.new("a", "batch", left_padding=[2, 0])
    t.update("a", 3, 1)
    t.extract("a", 0, "b")
    t.update("b", 1, 3)
    t.trim("b", 2)
    t.extract("a", 1, "c")
    t.trim("c", 1)
    t.update("c", 2)
    t.merge(["c", "b"], "d")
    t.update("d", 1)
    t = trace("batch: merged")
    t.new("a", "full")
    t.update("a", 4)
    t.new("b", "full")
    t.new("c", "full")
    t.update("c", 2, 1)
    t.trim("c", 2)
    t.new("d", "full")
    t.update("d", 2)
    t.trim("d", 2)
    t.merge(["a", "b", "c"], "e")
    t.update("e", 1, 2)
    t.merge(["d", "c"], "f")
    t.filter("f", [1, 0])
    t.update("f", 2)
    t.merge(["b", "d"], "g")
    t.update("g", 2)


def batch_rotating():
    t = trace("batch_rotating: single tokens")
    t.new("a", "batch_rotating", max_size=4, left_padding=[2, 0])
    t.update("a", 3, *[1] * 7)
    t = trace("batch_rotating: mixed")
    t.new("a", "batch_rotating", max_size=5, left_padding=[1, 0, 3])
    t.update("a", 4, 1, 2, 1, 1, 3, 7, 1, 1, 1)
    t = trace("batch_rotating: from nothing, one by one")
    t.new("a", "batch_rotating", max_size=3, left_padding=[1, 0])
    t.update("a", 1, 1, 1, 1, 2, 1)
    t = trace("batch_rotating: a first block longer than the ring")
    t.new("a", "batch_rotating", max_size=4, left_padding=[5, 0, 2])
    t.update("a", 7, 1, 2, 1)
    t = trace("batch_rotating: more padding than the ring is long")
    t.new("a", "batch_rotating", max_size=3, left_padding=[6, 0])
    t.update("a", 4, 1, 1, 1, 1, 1, 2)
    t = trace("batch_rotating: trims before the end")
    t.new("a", "batch_rotating", max_size=7, left_padding=[1, 0])
    t.update("a", 4)
    t.trim("a", 1)
    t.update("a", 1, 2)
    t.trim("a", 4)
    t.update("a", 1)
    t.trim("a", 100)
    t.update("a", 3, 3, 1, 1, 1)
    t = trace("batch_rotating: padding on the right")
    t.new("a", "batch_rotating", max_size=5, left_padding=[0, 0, 0])
    t.padded("a", [2, 4, 3])
    t.update("a", 1, 2)
    t.padded("a", [4, 1, 2], chunks=[2, 2])
    t.update("a", 1, 1)
    t.padded("a", [1, 6, 0])
    t.update("a", 1, 1)
    t.padded("a", [2, 0, 7], chunks=[3, 2, 2])
    t.update("a", 1, 2, 1)
    t = trace("batch_rotating: refusals")
    t.new("a", "batch_rotating", max_size=5, left_padding=[0, 0])
    t.prepare("a", left_padding=[1, 0])
    t.update("a", 3)
    step = {"op": "prepare", "on": "a", "more_left_padding": [1, 0]}
    t.refused(ValueError, step, lambda: t.held["a"].cache.prepare(left_padding=[1, 0]))
    t.prepare("a", lengths=[2, 3], right_padding=[1, 0])
    t.update("a", 3, real=[2, 3])
    ones = mx.ones((2, 1, 1, 1))
    step = {"op": "update", "on": "a", "n": 1, "first": [1, 1]}
    t.refused(RuntimeError, step, lambda: t.held["a"].cache.update_and_fetch(ones, ones))
    t.held["a"].cache.finalize()
    t.note({"op": "finalize", "on": "a"}, "a")
    t.update("a", 1)
    t.new("b", "rotating", max_size=4, keep=0)
    t.new("c", "rotating", max_size=5, keep=0)
    step = {"op": "merge", "list": ["b", "c"], "to": "d"}
    caches = [t.held[name].cache for name in "bc"]
    t.refused(ValueError, step, lambda: RotatingKVCache.merge(caches))
    t = trace("batch_rotating: rows reordered and repeated")
    t.new("a", "batch_rotating", max_size=4, left_padding=[3, 0, 2])
    t.update("a", 4)
    t.filter("a", [2, 0, 1])
    t.update("a", 1, 1)
    t.filter("a", [1, 0, 0])
    t.update("a", 2, 1)
    t.filter("a", [2])
    t.update("a", 1)
    t = trace("batch_rotating: extended, all states")
    t.new("a", "batch_rotating", max_size=4, left_padding=[1, 0])
    t.update("a", 3)
    t.new("b", "batch_rotating", max_size=4, left_padding=[0])
    t.update("b", 1)
    t.extend("a", "b")
    t.update("a", 1, 1, 1)
    t.new("c", "batch_rotating", max_size=4, left_padding=[0])
    t.update("c", 2)
    t.extend("a", "c")
    t.update("a", 1, 1)
    t.new("d", "batch_rotating", max_size=4, left_padding=[0, 2])
    t.update("d", 6)
    t.extend("a", "d")
    t.update("a", 1)
    t.new("e", "batch_rotating", max_size=4, left_padding=[1])
    t.new("f", "batch_rotating", max_size=4, left_padding=[0])
    t.extend("e", "f")
    t.extend("e", "a")
    t.update("e", 2, 1)
    t = trace("batch_rotating: extended by one at the same place")
    t.new("a", "batch_rotating", max_size=3, left_padding=[1])
    t.update("a", 2, 1, 1, 1)
    t.new("b", "batch_rotating", max_size=3, left_padding=[0])
    t.update("b", *[1] * 8)
    t.extend("a", "b")
    t.update("a", 1, 1, 2)
    t = trace("batch_rotating: extracted")
    t.new("a", "batch_rotating", max_size=4, left_padding=[2, 0])
    t.update("a", 3)
    t.extract("a", 0, "b")
    t.update("b", 1, 2, 2)
    t.update("a", 1, 1)
    t.extract("a", 0, "c")
    t.extract("a", 1, "d")
    t.trim("c", 1)
    t.update("c", 2, 1)
    t.update("d", 1, 2)
    t.update("a", 3)
    t.extract("a", 1, "e")
    t.update("e", 1)
    t.merge(["d", "c", "b"], "f")
    t.update("f", 1, 3)
    t = trace("batch_rotating: merged")
    t.new("a", "rotating", max_size=4, keep=0)
    t.update("a", 3, 1, 1)
    t.new("b", "rotating", max_size=4, keep=0)
    t.new("c", "rotating", max_size=4, keep=0)
    t.update("c", 2)
    t.new("d", "rotating", max_size=4, keep=0)
    t.update("d", 6)
    t.merge(["a", "b", "c", "d"], "e")
    t.update("e", 1, 1, 2, 1)
    t.merge(["c", "b"], "f")
    t.trim("f", 1)
    t.update("f", 2, 1)
    t.merge(["b", "b"], "g")
    t.update("g", 1, 2)
    t = trace("batch_rotating: capacities", [(1, None)])
    t.new("a", "batch_rotating", max_size=300, left_padding=[0, 10])
    t.update("a", 1, 256, 1, 42, 1, 1, 200, 1)


# --- Drawn at random -------------------------------------------------------------------------------------------


def single_steps(t, draw, steps):
    for _ in range(steps):
        if draw.random() < 0.25 and t.held["a"].cache.is_trimmable():
            t.trim("a", draw.randint(0, 5))
        else:
            t.update("a", draw.choice([1, 1, 1, 2, 3, 6]))


def random_singles(draw):
    for i in range(3):
        t = trace(f"random full {i}", FEW)
        t.new("a", "full", rows=draw.randint(1, 3))
        single_steps(t, draw, 8)
    for i in range(8):
        t = trace(f"random rotating {i}", draw.sample(ALL, 2))
        max_size = draw.randint(2, 9)
        keep = draw.randrange(max_size) if i % 2 else 0
        t.new("a", "rotating", rows=draw.randint(1, 2), max_size=max_size, keep=keep)
        single_steps(t, draw, 12)
    for i in range(2):
        t = trace(f"random quantized {i}", FEW)
        t.new("a", "quantized", rows=2, bits=draw.choice([4, 8]), group_size=32)
        single_steps(t, draw, 8)


def new_batch(t, draw, name, kind, settings):
    rows = draw.randint(1, 3)
    t.new(name, kind, left_padding=[draw.choice([0, 0, 1, 3]) for _ in range(rows)], **settings)


def holds_tokens(held):
    """Whether every row holds a token of its own, which is what `extract` and `filter` need."""
    return all(row.tokens for row in held.rows)


def batch_step(t, draw, kind, settings, i):
    held = t.held["a"]
    rows, what = len(held.rows), draw.random()
    if what < 0.45:
        t.update("a", draw.choice([1, 1, 1, 2, 3, 5]))
    elif what < 0.55:
        if held.cache.is_trimmable():
            t.trim("a", draw.randint(0, 3))
    elif what < 0.68:
        lengths = [draw.randint(0, 4) for _ in range(rows)]
        if max(lengths) > 1 and not any(row.padding for row in held.rows):
            chunks = [2, max(lengths) - 2] if max(lengths) > 3 and draw.random() < 0.4 else None
            t.padded("a", lengths, chunks)
    elif what < 0.8:
        if holds_tokens(held):
            t.filter("a", [draw.randrange(rows) for _ in range(draw.randint(1, 3))])
    elif what < 0.92 and rows < 4:
        other = f"b{i}"
        new_batch(t, draw, other, kind, settings)
        t.update(other, *draw.choice([[], [4], [1, 1], [3, 1, 1, 1], [7]]))
        t.extend("a", other)
    elif holds_tokens(held):
        names = [f"s{i}_{k}" for k in range(draw.randint(1, 3))]
        for name in names:
            t.extract("a", draw.randrange(rows), name)
            t.update(name, *draw.choice([[], [1], [2], [1, 1]]))
        t.merge(names, "a")


def random_batches(draw):
    for i in range(5):
        t = trace(f"random batch {i}", draw.sample(ALL, 2))
        new_batch(t, draw, "a", "batch", {})
        for k in range(10):
            batch_step(t, draw, "batch", {}, k)
    for i in range(10):
        t = trace(f"random batch_rotating {i}", draw.sample(ALL, 2))
        settings = {"max_size": draw.randint(2, 7)}
        new_batch(t, draw, "a", "batch_rotating", settings)
        for k in range(10):
            batch_step(t, draw, "batch_rotating", settings, k)


def write():
    versions = {name: version(name) for name in ("mlx-lm", "mlx")}
    lines = []
    for t in TRACES:
        steps = ",\n".join("  " + json.dumps(step, separators=(",", ":")) for step in t.steps)
        lines.append(f'{{"name": {json.dumps(t.name)}, "steps": [\n{steps}\n]}}')
    path = Path(__file__).resolve().parent / "caches.json"
    path.write_text(f'{{"versions": {json.dumps(versions)},\n"traces": [\n' + ",\n".join(lines) + "\n]}\n")
    steps = sum(len(t.steps) for t in TRACES)
    print(f"{path.name}: {len(TRACES)} traces, {steps} steps, {path.stat().st_size} bytes")
    print("masks that are wrong and left out:", {kind: LEFT_OUT.count(kind) for kind in sorted(set(LEFT_OUT))})


if __name__ == "__main__":
    for make in (full, quantized, rotating, batch, batch_rotating):
        make()
    random_singles(random.Random(1))
    random_batches(random.Random(2))
    write()
