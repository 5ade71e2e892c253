"""Runs docs/notebook.ipynb and compares what it shows; with --write, keeps what it shows."""

import json
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATH = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


def stripped(output):
    """An output without what differs from run to run and from machine to machine."""
    kind = output["output_type"]
    if kind == "stream":
        return {"kind": kind, "text": output["text"]}
    if kind == "error":
        return {"kind": kind, "name": output["ename"], "value": output["evalue"]}
    data = dict(output["data"])
    plain = data.get("text/plain", "")
    run = re.match(r"(grpo|sft) (\d+)/(\d+) ", plain)
    data.pop("image/png", None)
    if run:
        # Rounding decides what a run learns; that it came to its end does not.
        return {"kind": kind, "media": sorted(data), "run": run.group(0)}
    if "image/svg+xml" in data:
        # How a plot is drawn is tested elsewhere.
        data = {media: bool(text.strip()) for media, text in data.items()}
    return {"kind": kind, "data": data}


def outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Advice about a run depends on what it learns.
    is_advice = lambda output: output.get("name") == "stderr"
    return [[stripped(o) for o in cell.outputs if not is_advice(o)] for cell in cells]


def main():
    kept = nbformat.read(PATH, as_version=4)
    ran = nbformat.read(PATH, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(ran, timeout=300, kernel_name="mlx-repl", resources=resources).execute()
    if "--write" in sys.argv:
        for cell in ran.cells:
            cell.metadata.pop("execution", None)
        ran.metadata.pop("widgets", None)
        PATH.write_text(json.dumps(ran, indent=1, ensure_ascii=False) + "\n")
        return
    for number, (before, now) in enumerate(zip(outputs(kept), outputs(ran), strict=True)):
        assert before == now, f"cell {number}:\nkept {before}\nnow  {now}"
    assert len(kept.cells) == len(ran.cells)
    print(f"{len(outputs(ran))} cells show what they showed")


if __name__ == "__main__":
    main()
