"""Times mlx-lm on the work that the benchmark gives to us, and prints one line of JSON.

Needs a Python with mlx-lm==0.32.2 and mlx[cpu]==0.32.2. The weights are random, float32, on the CPU.

    python peer.py --config '{...}' --work decode --batch 64 --tokens 64 --prompt 16 --repeat 5
    python peer.py --config '{...}' --work train --batch 64 --length 32 --repeat 5
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import mlx_lm
from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.models.qwen3 import Model, ModelArgs
from mlx_lm.sample_utils import make_sampler
from mlx_lm.tuner.trainer import default_loss


def build(config):
    mx.random.seed(0)
    model = Model(ModelArgs.from_dict({"model_type": "qwen3", **config}))
    mx.eval(model.parameters())
    return model


def decode(model, args):
    """Sampling at temperature 1 without stop tokens; the time includes the prefill."""
    model.eval()
    prompts = mx.random.randint(0, model.args.vocab_size, (args.batch, args.prompt)).tolist()
    sampler = make_sampler(temp=1.0)

    def single():
        return sum(1 for _ in generate_step(mx.array(prompts[0]), model, max_tokens=args.tokens, sampler=sampler))

    def batched():
        generator = BatchGenerator(
            model,
            sampler=sampler,
            completion_batch_size=args.batch,
            prefill_batch_size=args.prefill_batch or args.batch,
        )
        generator.insert(prompts, [args.tokens] * args.batch)
        count = 0
        while responses := generator.next_generated():
            count += len(responses)
        generator.close()
        return count

    return single if args.batch == 1 else batched


def train(model, args):
    """The step of mlx_lm.tuner.trainer.train, without its data loading, logging and checkpoints."""
    optimizer = optim.AdamW(learning_rate=1e-4)
    loss_and_grad = nn.value_and_grad(model, default_loss)
    # One token more than the length, so that every one of `length` positions has a next token.
    ids = mx.random.randint(0, model.args.vocab_size, (args.batch, args.length + 1))
    lengths = mx.array([[0, args.length]] * args.batch)
    state = [model.state, optimizer.state, mx.random.state]

    def step(ids, lengths):
        (loss, count), grad = loss_and_grad(model, ids, lengths)
        optimizer.update(model, grad)
        return loss, count

    if args.compile:
        step = partial(mx.compile, inputs=state, outputs=state)(step)
    model.train()

    def run():
        loss, count = step(ids, lengths)
        mx.eval(state, loss, count)
        return count.item()

    return run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="the keys of a Qwen3 config.json, or the path of one")
    parser.add_argument("--work", choices=["decode", "train"], required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=64, help="decode: new tokens per row")
    parser.add_argument("--prompt", type=int, default=16, help="decode: prompt tokens per row")
    parser.add_argument("--prefill-batch", type=int, default=0, help="decode: rows per prefill; 0 is the whole batch")
    parser.add_argument("--length", type=int, default=32, help="train: trained positions per row")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="train: do not compile the step")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    mx.set_default_device(mx.cpu)
    text = args.config if args.config.lstrip().startswith("{") else Path(args.config).read_text()
    run = {"decode": decode, "train": train}[args.work](build(json.loads(text)), args)

    # The first run traces and compiles. A training step is compiled once more in the second, when the
    # optimiser's state has become part of its inputs.
    run()
    run()
    seconds = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        tokens = run()
        seconds.append(round(time.perf_counter() - start, 6))
    print(
        json.dumps(
            {
                "work": args.work,
                "batch": args.batch,
                "seconds": seconds,
                "tokens": tokens,
                "mlx_lm": mlx_lm.__version__,
                "mlx": mx.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
