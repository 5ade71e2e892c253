"""Times mlx-lm on the work that the benchmark gives to us, and prints one line of JSON.

Needs a Python with mlx-lm==0.32.2 and mlx[cpu]==0.32.2. The weights are random, float32, on the CPU.

    python peer.py --config '{...}' --work decode --batch 64 --tokens 64 --prompt 16 --repeat 5
    python peer.py --config '{...}' --work prefill --length 512 --repeat 5
    python peer.py --config '{...}' --work rollout --prompts 8 --samples 8 --prompt 64 --tokens 64 --repeat 5
    python peer.py --config '{...}' --work ragged --prompts 48 --batch 16 --repeat 5
    python peer.py --config '{...}' --work train --batch 64 --length 32 --repeat 5

With LD_PRELOAD=.../libgemm_blas.so before it, MLX multiplies with the code of src/mlx/blas.rs.
"""

import argparse
import json
import os
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

# The default of mlx-lm.
PREFILL_BATCH = 8
SAMPLER = make_sampler(temp=1.0)


def build(config):
    mx.random.seed(0)
    model = Model(ModelArgs.from_dict({"model_type": "qwen3", **config}))
    model.eval()
    mx.eval(model.parameters())
    return model


def random_ids(model, rows, length):
    return mx.random.randint(0, model.args.vocab_size, (rows, length)).tolist()


def alone(model, prompt, tokens):
    """One prompt; the first token comes after the prefill, the others follow."""
    steps = generate_step(mx.array(prompt), model, max_tokens=tokens, sampler=SAMPLER)
    return sum(1 for _ in steps)


def together(model, prompts, tokens, batch, prefill_batch):
    """All prompts through the batch engine, which admits more while fewer than `batch` decode."""
    generator = BatchGenerator(
        model,
        sampler=SAMPLER,
        completion_batch_size=batch,
        prefill_batch_size=prefill_batch,
    )
    generator.insert(prompts, tokens)
    count = 0
    while responses := generator.next_generated():
        count += len(responses)
    generator.close()
    assert count == sum(tokens), f"{count} tokens instead of {sum(tokens)}"
    return count


def decode(model, args):
    """Sampling at temperature 1 without stop tokens; the time includes the prefill."""
    prompts = random_ids(model, args.batch, args.prompt)
    if args.batch == 1:
        return lambda: alone(model, prompts[0], args.tokens)
    prefill_batch = args.prefill_batch or args.batch
    tokens = [args.tokens] * args.batch
    return lambda: together(model, prompts, tokens, args.batch, prefill_batch)


def prefill(model, args):
    """From the prompt to its first token; what counts are the tokens of the prompt."""
    prompt = random_ids(model, 1, args.length)[0]
    return lambda: args.length * alone(model, prompt, 1)


def rollout(model, args):
    """Several completions of each prompt, all decoded at once. The prompt is forwarded for each of
    them: the batch engine shares no prefixes."""
    prompts = [row for row in random_ids(model, args.prompts, args.prompt) for _ in range(args.samples)]
    tokens = [args.tokens] * len(prompts)
    return lambda: together(model, prompts, tokens, len(prompts), args.prefill_batch or PREFILL_BATCH)


def ragged(model, args):
    """Prompts and completions of many lengths, more of them than are decoded at once."""
    prompts = [random_ids(model, 1, 8 + (37 * i + 11) % 57)[0] for i in range(args.prompts)]
    tokens = [8 + (53 * i + 29) % 89 for i in range(args.prompts)]
    return lambda: together(model, prompts, tokens, args.batch, args.prefill_batch or PREFILL_BATCH)


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


WORKS = {"decode": decode, "prefill": prefill, "rollout": rollout, "ragged": ragged, "train": train}


def check_preloaded():
    """The loader only warns of a library that it cannot load, and the times would be another BLAS's."""
    library = os.environ.get("LD_PRELOAD")
    if library and os.path.realpath(library) not in Path("/proc/self/maps").read_text():
        raise SystemExit(f"{library} was not loaded")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="the keys of a Qwen3 config.json, or the path of one")
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--batch", type=int, default=1, help="rows at once")
    parser.add_argument("--tokens", type=int, default=64, help="new tokens per row")
    parser.add_argument("--prompt", type=int, default=16, help="prompt tokens per row")
    parser.add_argument("--prompts", type=int, default=8, help="rollout, ragged: different prompts")
    parser.add_argument("--samples", type=int, default=8, help="rollout: completions of each prompt")
    parser.add_argument(
        "--prefill-batch", type=int, default=0, help=f"rows per prefill; 0: decode all, others {PREFILL_BATCH}"
    )
    parser.add_argument("--length", type=int, default=32, help="prefill: prompt; train: trained positions per row")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="train: do not compile the step")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    check_preloaded()
    mx.set_default_device(mx.cpu)
    text = args.config if args.config.lstrip().startswith("{") else Path(args.config).read_text()
    run = WORKS[args.work](build(json.loads(text)), args)

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
