"""Writes templates.json and snippets.json: chat templates and single features of them, as transformers renders them.

    venv/bin/python tests/vectors/templates.py FOLDER

FOLDER holds tokenizer.json and tokenizer_config.json of Qwen3, as for conversations.py. Its template is used, but not
written down. Made with transformers 5.23.0 and jinja2 3.1.6.
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from template_cases import CONVERSATIONS, SNIPPETS, TEMPLATES


def attempt(render):
    """The text, or the fact that there is none."""
    try:
        return {"rendered": render()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def conversation(tokenizer, case):
    case = dict(case)
    messages = case.pop("messages")
    return tokenizer.apply_chat_template(messages, tokenize=False, **case)


def other_template(tokenizer, name, case):
    case = dict(case)
    messages = case.pop("messages")
    return tokenizer.apply_chat_template(
        messages, chat_template=TEMPLATES[name], tokenize=False, bos_token="<bos>", **case
    )


def snippet(source, variables):
    messages = [{"role": "user", "content": "Hi"}]
    variables = {"messages": messages, **variables}
    rendered, _ = render_jinja_template(
        [variables.pop("messages")], chat_template=source, **variables
    )
    return rendered[0]


def main(folder):
    here = Path(__file__).parent
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, indent=1)
        (here / name).write_text(text + "\n", encoding="utf-8")

    write(
        "templates.json",
        {
            "qwen3": [
                {
                    "name": name,
                    "conversation": case,
                    **attempt(lambda: conversation(tokenizer, case)),
                }
                for name, case in CONVERSATIONS.items()
            ],
            "special_tokens": tokenizer.special_tokens_map,
            "templates": TEMPLATES,
            "others": [
                {
                    "template": template,
                    "name": name,
                    "conversation": case,
                    **attempt(lambda: other_template(tokenizer, template, case)),
                }
                for template in TEMPLATES
                for name, case in CONVERSATIONS.items()
            ],
        },
    )
    write(
        "snippets.json",
        [
            {
                "source": source,
                "variables": variables,
                **attempt(lambda: snippet(source, variables)),
            }
            for source, variables in SNIPPETS
        ],
    )


main(sys.argv[1])
