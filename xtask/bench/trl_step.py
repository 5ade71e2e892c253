"""Times whole GRPO steps of TRL on the CPU, and prints one line of JSON, as benches/step.rs does for us.

Needs a Python with trl==1.16.0, transformers==5.23.0 and torch==2.15.0. The weights are random, float32.

    python trl_step.py --config '{...}' --prompts 4 --samples 8 --prompt 128 --completion 64 --repeat 3
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

# Nothing is on the hub: a look there would only be waited for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
import trl
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

SPECIAL = ["<pad>", "<eos>"]


def memory(key):
    """Megabytes that are resident (VmRSS) or were at most (VmHWM); elsewhere than on Linux only the latter."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith(key + ":")]
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def tokenizer(folder, vocab_size):
    """One word for each id, as in benches/step.rs."""
    names = SPECIAL + [f"t{i}" for i in range(len(SPECIAL), vocab_size)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **flags} for i, name in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {name: i for i, name in enumerate(names)}, "unk_token": "<unk>"},
    }
    path = Path(folder) / "tokenizer.json"
    path.write_text(json.dumps(description))
    [pad, eos] = SPECIAL
    return PreTrainedTokenizerFast(tokenizer_file=str(path), pad_token=pad, eos_token=eos)


def even(completion_ids, **_):
    """The share of even ids."""
    return [sum(i % 2 == 0 for i in ids) / len(ids) for ids in completion_ids]


class Times(TrainerCallback):
    """When each step ended, so that a step is all that happens between two ends."""

    def __init__(self):
        self.ends = []
        self.cpu_ends = []
        self.start_rss = None

    def on_train_begin(self, args, state, control, **_):
        self.start_rss = memory("VmRSS")

    def on_step_end(self, args, state, control, **_):
        self.ends.append(time.perf_counter())
        self.cpu_ends.append(time.process_time())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="the keys of a Qwen3 config.json")
    parser.add_argument("--prompts", type=int, default=4, help="prompts of a step")
    parser.add_argument("--samples", type=int, default=8, help="completions of each prompt")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of a prompt")
    parser.add_argument("--completion", type=int, default=64, help="tokens of a completion")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing, TRL's default")
    parser.add_argument("--repeat", type=int, default=3, help="steps that are timed, after one that is not")
    args = parser.parse_args()

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    config = Qwen3Config(**json.loads(args.config))
    model = Qwen3ForCausalLM(config)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    draw = random.Random(7)
    rows = [
        {"prompt": " ".join(f"t{draw.randrange(len(SPECIAL), config.vocab_size)}" for _ in range(args.prompt))}
        for _ in range(args.prompts * (args.repeat + 1))
    ]
    lengths, sampling = [], []

    def reward(completion_ids, **more):
        lengths.append([len(ids) for ids in completion_ids])
        return even(completion_ids, **more)

    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            per_device_train_batch_size=args.prompts * args.samples,
            gradient_accumulation_steps=1,
            num_generations=args.samples,
            max_completion_length=args.completion,
            # The end token is no choice before the last token, so that every completion is as long.
            generation_kwargs={"min_new_tokens": args.completion},
            temperature=1.0,
            beta=0.0,
            loss_type="dapo",
            num_iterations=1,
            learning_rate=1e-6,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            gradient_checkpointing=args.checkpointing,
            max_steps=args.repeat + 1,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer(folder, config.vocab_size),
            callbacks=[times],
        )
        sample = trainer._generate_and_score_completions

        def timed(inputs):
            start = time.perf_counter()
            found = sample(inputs)
            sampling.append(time.perf_counter() - start)
            assert found["prompt_ids"].shape[1] == args.prompt, found["prompt_ids"].shape
            return found

        trainer._generate_and_score_completions = timed
        trainer.train()

    expected = [args.completion] * (args.prompts * args.samples)
    assert lengths == [expected] * (args.repeat + 1), lengths
    print(
        json.dumps(
            {
                "work": "grpo step",
                "mode": "trl, checkpointing" if args.checkpointing else "trl",
                "seconds": [round(b - a, 6) for a, b in zip(times.ends, times.ends[1:])],
                "sampling_seconds": [round(s, 6) for s in sampling[1:]],
                "cpu_seconds": (times.cpu_ends[-1] - times.cpu_ends[0]) / args.repeat,
                "tokens": sum(expected),
                "peak_rss_mb": memory("VmHWM"),
                "start_rss_mb": times.start_rss,
                "trl": trl.__version__,
                "transformers": transformers.__version__,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
