"""Loads a checkpoint that another program wrote with mlx-lm and with transformers, and prints what both compute.

    venv/bin/python tests/vectors/roundtrip.py DIR [--adapter DIR]

One line of JSON: {"mlx_lm": [...], "transformers": [...]}, the logits after the last of eight fixed tokens. A library
that cannot load the folder gives null, with its words in mlx_lm_error or transformers_error. An adapter is applied by
mlx-lm alone; transformers then gives the base model.
"""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

IDS = [[1, 2, 3, 4, 5, 6, 7, 8]]


def drop_global_scale():
    """mlx-lm 0.32.2 hands gather_qmm a global_scale that mlx 0.32.2 does not take yet. It is None but for nvfp4."""
    import mlx.core as mx

    gather = mx.gather_qmm
    if "global_scale" in (gather.__doc__ or "global_scale"):
        return

    def call(*inputs, global_scale=None, **settings):
        assert global_scale is None
        return gather(*inputs, **settings)

    mx.gather_qmm = call


def by_mlx_lm(folder, adapter):
    import mlx.core as mx
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    # A GPU would round the products differently.
    mx.set_default_device(mx.cpu)
    drop_global_scale()
    model, _ = load_model(folder)
    if adapter:
        load_adapters(model, str(adapter))
    model.eval()
    return model(mx.array(IDS))[0, -1].astype(mx.float32).tolist()


def by_transformers(folder):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    config = json.loads((folder / "config.json").read_text())
    if "quantization" in config:
        raise ValueError("transformers does not read the quantised weights of MLX")
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    # transformers only warns about a missing weight and keeps a random one.
    wrong = {k: sorted(map(str, info[k])) for k in ["missing_keys", "unexpected_keys", "mismatched_keys"] if info[k]}
    if wrong:
        raise ValueError(f"the weights do not fit: {wrong}")
    with torch.no_grad():
        return model.eval()(torch.tensor(IDS)).logits[0, -1].tolist()


def attempt(key, run, *inputs):
    try:
        # What a library prints goes to stderr: stdout is the one line of JSON.
        with redirect_stdout(sys.stderr):
            return {key: run(*inputs)}
    except Exception as error:
        return {key: None, f"{key}_error": f"{type(error).__name__}: {error}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapter", type=Path)
    args = parser.parse_args()
    results = attempt("mlx_lm", by_mlx_lm, args.folder, args.adapter)
    results |= attempt("transformers", by_transformers, args.folder)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
