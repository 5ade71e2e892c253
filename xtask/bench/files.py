"""The peer of `cargo xtask bench files`: a checkpoint loaded by mlx-lm's reader, a text tokenised by `tokenizers`.

python files.py load FOLDER DTYPE | tokenize FOLDER TEXT REPEATS prints what it took, as JSON.
"""

import json
import sys
import time
from pathlib import Path


def load(folder, dtype):
    import mlx.core as mx

    mx.set_default_device(mx.cpu)
    start = time.perf_counter()
    weights = mx.load(str(Path(folder) / "model.safetensors"))
    weights = {name: array.astype(getattr(mx, dtype)) for name, array in weights.items()}
    mx.eval(weights)
    return {"seconds": time.perf_counter() - start, "bytes": mx.get_peak_memory()}


def tokenize(folder, text, repeats):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    text = Path(text).read_text()
    lines = text.splitlines(keepends=True)
    whole, by_line = [], []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
        whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        for line in lines:
            tokenizer.encode(line, add_special_tokens=False).ids
        by_line.append(time.perf_counter() - start)
    return {"whole": whole, "by_line": by_line, "tokens": tokens}


print(json.dumps({"load": load, "tokenize": tokenize}[sys.argv[1]](*sys.argv[2:])))
