"""The reward of `reward.rhai` in CPython, with its standard library. Prints a line of JSON."""

import argparse
import json
import re
import time

LETTERS = "abcdefghij klmnop"


def letters(seed, n):
    x = seed * 7919 + 17
    text = ""
    for _ in range(n):
        x = (x * 48271) % 2147483647
        text += LETTERS[x // 64 % 17]
    return text


def completion(i):
    answer = letters(i, 40)
    near = answer if i % 4 == 0 else letters(i + 1000, 20) + answer[20:]
    text = "<reasoning>" + letters(i + 2000, 220) + "</reasoning><answer>" + near + "</answer>"
    return {"text": text, "expected_answer": answer}


def lcs_ratio(a, b):
    """Twice the longest common subsequence over both lengths: row by row, as everybody writes it."""
    before = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
        before = row
    return 2 * before[-1] / (len(a) + len(b)) if a or b else 1.0


ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def reward(outputs):
    scores = []
    for o in outputs:
        found = ANSWER.findall(o["text"])
        if not found:
            scores.append(0.0)
            continue
        answer = found[-1].strip()
        score = lcs_ratio(answer, o["expected_answer"])
        if answer == o["expected_answer"]:
            score += 1.0
        if o["text"].startswith("<reasoning>") and "</reasoning>" in o["text"]:
            score += 0.25
        scores.append(score)
    return scores


outputs = [completion(i) for i in range(256)]
parser = argparse.ArgumentParser()
parser.add_argument("--repeat", type=int, default=3)
repeat = parser.parse_args().repeat
found, seconds = reward(outputs), []
for _ in range(repeat):
    start = time.perf_counter()
    found = reward(outputs)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "found": found}))
