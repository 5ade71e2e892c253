"""The peer of `cargo xtask bench` for scripts: arrays.rhai, line by line, with Python's MLX.

python arrays.py --repeat N prints the seconds of each run and what it found, as JSON.
"""

import argparse
import json
import time

import mlx.core as mx


def clusters(n, d, k):
    centres = mx.random.normal([k, d], key=mx.random.key(1)) * 4.0
    which = mx.arange(n) % k
    noise = mx.random.normal([n, d], key=mx.random.key(2))
    return mx.take(centres, which, 0) + noise, which


def standardise(x):
    centred = x - x.mean(0)
    return centred / mx.sqrt(x.var(0) + 0.00001)


def k_means(x, k, steps):
    centres = x[0:k]
    for _ in range(steps):
        gaps = mx.expand_dims(x, 1) - mx.expand_dims(centres, 0)
        nearest = gaps.square().sum(-1).argmin(1)
        member = (mx.expand_dims(nearest, 1) == mx.arange(k)).astype(mx.float32)
        counts = mx.maximum(member.sum(0), 1.0)
        centres = (member.T @ x) / mx.expand_dims(counts, 1)
    gaps = mx.expand_dims(x, 1) - mx.expand_dims(centres, 0)
    return gaps.square().sum(-1).min(1).mean().item()


def power_iteration(x, steps):
    covariance = (x.T @ x) / x.shape[0]
    v = mx.ones([x.shape[1]])
    for _ in range(steps):
        v = covariance @ v
        v = v / mx.linalg.norm(v)
    return ((v @ covariance) @ v).item()


def regression_by_hand(x, labels, k, steps):
    weight = mx.zeros([x.shape[1], k])
    target = (mx.expand_dims(labels, 1) == mx.arange(k)).astype(mx.float32)
    for _ in range(steps):
        probabilities = mx.softmax(x @ weight, -1)
        grad = (x.T @ (probabilities - target)) / x.shape[0]
        weight = weight - 0.5 * grad
    right = (x @ weight).argmax(-1) == labels
    return right.astype(mx.float32).mean().item()


def network_by_gradient(x, labels, k, steps):
    hidden = mx.random.normal([x.shape[1], 16], key=mx.random.key(3)) * 0.3
    out = mx.random.normal([16, k], key=mx.random.key(4)) * 0.3
    velocity = [mx.zeros_like(hidden), mx.zeros_like(out)]
    params = [hidden, out]
    value = 0.0

    def loss(a, b):
        logits = mx.tanh(x @ a) @ b
        chosen = mx.take_along_axis(logits, mx.expand_dims(labels, 1), -1)
        return (logits.logsumexp(-1) - chosen.squeeze(-1)).mean()

    both = mx.value_and_grad(loss, argnums=(0, 1))
    for _ in range(steps):
        got, grads = both(*params)
        for i in range(2):
            velocity[i] = 0.9 * velocity[i] + grads[i]
            params[i] = params[i] - 0.1 * velocity[i]
        mx.eval(params)
        value = got.item()
    return value


def attention(x, heads):
    length = x.shape[0]
    h = x.reshape([length, heads, -1]).transpose([1, 0, 2])
    scores = (h @ h.transpose([0, 2, 1])) / 4.0
    rows = mx.arange(length)
    may = mx.expand_dims(rows, 1) >= mx.expand_dims(rows, 0)
    weights = mx.softmax(mx.where(may, scores, -1e9), -1)
    mixed = (weights @ h).transpose([1, 0, 2]).reshape([length, -1])
    return mx.fast.rms_norm(mixed, None, 0.00001).abs().mean().item()


def series(n):
    time = mx.arange(n).astype(mx.float32) / n
    wave = mx.sin(time * 31.4) + 0.5 * mx.cos(time * 125.6)
    spectrum = mx.fft.rfft(wave)
    loud = mx.sort(spectrum.abs())[-4:]
    smooth = mx.cumsum(wave) / (mx.arange(n) + 1)
    changed = mx.array(smooth)
    changed[0:10] = 0.0
    changed[-1] = mx.max(wave)
    order = mx.argsort(changed)[0:5].astype(mx.float32)
    return loud.sum().item() + changed.sum().item() + order.mean().item() * 0.001


def main():
    points, labels = clusters(240, 8, 3)
    x = standardise(points)
    return [
        k_means(x, 3, 20),
        power_iteration(x, 50),
        regression_by_hand(x, labels, 3, 50),
        network_by_gradient(x, labels, 3, 50),
        attention(x[0:64], 2),
        series(512),
    ]


parser = argparse.ArgumentParser()
parser.add_argument("--repeat", type=int, default=3)
repeat = parser.parse_args().repeat
# Device and allocator are warm before the first run that counts.
found, seconds = main(), []
for _ in range(repeat):
    start = time.perf_counter()
    found = main()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "found": found}))
