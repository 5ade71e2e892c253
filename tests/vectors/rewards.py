"""Scores of TRL's own rewards, for tests/numerics/rewards.rs.

    python tests/vectors/rewards.py > tests/vectors/rewards.json      # trl 1.16
"""

import json

from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment, think_format_reward

texts = [
    "<think>\nThis is my reasoning.\n</think>\nThis is my answer.",
    "<think>\nThis is my reasoning.\nThis is my answer.",
    "This is my reasoning.\n</think>\nThis is my answer.",
    "<think>a</think>",
    "<think></think>b",
    "<think>a<think>b</think>c",
    "<think>a</think>b<think>c</think>",
    " <think>a</think>b",
    "<think>a</think></think>",
    "",
]
ids = [[], [1], [1, 2], [1, 2, 3], [1, 1, 1, 1], [1, 2, 3, 1, 2, 3, 1, 2], list(range(40)), [5, 6] * 20]
print(json.dumps({
    "think_format": {
        "texts": texts,
        "scores": think_format_reward([[{"content": t}] for t in texts]),
    },
    "repetition": [
        {
            "ngram_size": n, "max_penalty": p, "ids": ids,
            "scores": get_repetition_penalty_reward(n, p)(completions=None, completion_ids=ids),
        }
        for n in (1, 2, 3, 5) for p in (-1.0, -0.3)
    ],
    "soft_overlong": [
        {
            "max": m, "cache": c, "lengths": [len(x) for x in ids],
            "scores": get_soft_overlong_punishment(m, c)(completion_ids=ids),
        }
        for m, c in ((40, 4), (8, 7), (50, 20), (30, 30))
    ],
}))
