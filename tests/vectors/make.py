"""Writes the reference vectors of this folder. README.md names the versions and the commands.

Every value is computed by the library it is named after; nothing here needs a network.
Run without arguments for all files, or name some: model grpo advantages adamw
"""

import inspect
import json
import math
import os
import shutil
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

HERE = Path(__file__).resolve().parent
# One thread keeps the order of float additions, and so the last digits, the same in every run.
torch.set_num_threads(1)


def digits(value, form="%.9g"):
    """Rounds the floats in nested lists and dicts; NaN becomes null, which JSON can hold."""
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    if isinstance(value, dict):
        return {k: digits(v, form) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [digits(v, form) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(form % value)
    return value


def write(name, head, cases, key="cases"):
    """Writes one case per line, so that a change of one case is a one-line diff."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    if isinstance(cases, dict):
        body = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in cases.items()]
        lines.append(f"{json.dumps(key)}: {{\n" + ",\n".join(body) + "\n}")
    else:
        lines.append(f"{json.dumps(key)}: [\n" + ",\n".join(map(json.dumps, cases)) + "\n]")
    path = HERE / name
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: {len(cases)} {key}, {path.stat().st_size} bytes")


def random(*shape, seed, scale=1.0, decimals=4):
    """Seeded normal numbers, rounded so that the written input is exactly the one computed with."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64) * scale
    return torch.round(values, decimals=decimals)


# --- Qwen3 ---------------------------------------------------------------------------------------

# These seeds keep the two best logits of every greedy step more than 0.01 apart.
MODELS = {
    "qwen3_tied": dict(tie_word_embeddings=True, rope_theta=10000.0, seed=8),
    "qwen3_untied": dict(tie_word_embeddings=False, rope_theta=1000000.0, seed=3),
}


def build_model(folder, tie_word_embeddings, rope_theta, seed):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=96,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=64,
        max_position_embeddings=256,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=tie_word_embeddings,
        initializer_range=0.1,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = Qwen3ForCausalLM(config).float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            # Norm weights leave 1, so that a forgotten norm weight changes the logits. The projections are
            # wide enough for attention to outweigh the embedding, or greedy decoding would repeat one token.
            p.copy_(1 + 0.1 * noise if "norm" in name else noise * (0.25 if "_proj" in name else 0.1))

    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    if tie_word_embeddings:
        # The published Qwen3 checkpoints predate rope_parameters: one folder keeps their spelling.
        path = folder / "config.json"
        plain = json.loads(path.read_text())
        plain.pop("rope_parameters")
        plain["rope_theta"] = rope_theta
        plain["rope_scaling"] = None
        path.write_text(json.dumps(plain, indent=2) + "\n")
    return folder


def make_model():
    import mlx.core as mx
    import transformers
    from importlib.metadata import version
    from mlx_lm.utils import load_model
    from transformers import Qwen3ForCausalLM

    # The vectors belong to the CPU; a GPU would round the products differently.
    mx.set_default_device(mx.cpu)
    cases = {}
    for name, settings in MODELS.items():
        folder = build_model(HERE / name, **settings)
        # The model is read back from disk, so that the files and not the object are what is described.
        model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        generator = torch.Generator().manual_seed(10 + settings["seed"])
        ids = torch.randint(3, 96, (2, 12), generator=generator)

        logits = model(ids).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()

        out = model.generate(
            ids[:1],
            attention_mask=torch.ones_like(ids[:1]),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=None,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        greedy = out.sequences[0, ids.shape[1] :]
        assert len(greedy) == 20
        top = torch.stack(out.logits).flatten(0, 1).topk(2, dim=-1).values

        peer, _ = load_model(folder)
        peer_logits = peer(mx.array(ids.tolist()))

        cases[name] = {
            "ids": ids.tolist(),
            "loss": digits(loss.item()),
            "greedy": greedy.tolist(),
            # A greedy token is only a fair test where the two best logits are further apart than the error.
            "greedy_gap": digits((top[:, 0] - top[:, 1]).tolist(), "%.6f"),
            "grad_norms": {n: digits(p.grad.norm().item()) for n, p in model.named_parameters()},
            "logits_transformers": digits(logits, "%.6f"),
            "logits_mlx_lm": digits(peer_logits.tolist(), "%.6f"),
        }
        apart = (logits.detach() - torch.tensor(peer_logits.tolist())).abs().max().item()
        print(f"{name}: transformers and mlx-lm differ by at most {apart:.1e}")
    versions = {n: version(n) for n in ["transformers", "torch", "mlx-lm", "mlx"]}
    write("qwen3.json", {"versions": versions, "dtype": "float32"}, cases, "models")


# --- GRPO loss -----------------------------------------------------------------------------------

# TRL's defaults, and the keys of a case's `settings`.
PLAIN = {
    "loss_type": "dapo",
    "importance_sampling_level": "token",
    "epsilon": 0.2,
    "epsilon_high": None,
    "delta": None,
    "beta": 0.0,
    "use_bias_correction_kl": False,
    "top_entropy_quantile": 1.0,
    "sapo_temperature_pos": 1.0,
    "sapo_temperature_neg": 1.05,
    "vespo_k_pos": 2.0,
    "vespo_lambda_pos": 3.0,
    "vespo_k_neg": 3.0,
    "vespo_lambda_neg": 2.0,
    "off_policy_mask_threshold": None,
    "entropy_coef": 0.0,
}


def lengths_mask(lengths, width):
    return (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()


def fixed_batch():
    """Three rows with ratios beyond both clip edges; the numbers after a row's end are padding."""
    f64 = dict(dtype=torch.float64)
    logprobs = torch.tensor(
        [[-0.5, -1.2, -0.3, -2.0, -0.9], [-1.1, -0.4, -0.7, -0.6, -0.8], [-0.25, -1.75, -0.95, -0.15, -1.3]], **f64
    )
    moved = torch.tensor([[0.5, -0.4, 0.1, 0.6, 0.4], [0.6, -0.9, -0.6, 0.2, 0.1], [0.1, -0.3, 0.25, 0.05, 0.7]], **f64)
    from_ref = torch.tensor(
        [[0.2, -0.1, 0.05, 0.3, -0.4], [-0.3, 0.15, 0.4, 0.2, 0.0], [0.6, -0.2, -0.05, 0.1, 0.3]], **f64
    )
    return dict(
        logprobs=logprobs,
        old_logprobs=torch.round(logprobs - moved, decimals=4),
        ref_logprobs=torch.round(logprobs - from_ref, decimals=4),
        advantages=torch.tensor([1.2, -0.8, 0.5], **f64),
        mask=lengths_mask([5, 3, 4], 5),
        max_completion_length=8,
    )


def random_batch():
    """Four rows; rows 1 and 3 move far enough for sequence-level clipping and for delta."""
    logprobs = -random(4, 6, seed=3, scale=1.2).abs() - 0.05
    moved = random(4, 6, seed=4, scale=0.35) + torch.tensor([[0.3], [0.7], [-0.05], [-0.35]], dtype=torch.float64)
    old = torch.round(logprobs - moved, decimals=4)
    mask = lengths_mask([4, 6, 3, 5], 6)
    # The sampler is 1 nat a token further in row 1, and its ratio is 1 in the padding, as TRL has it.
    apart = random(4, 6, seed=6, scale=0.2) + torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
    rho = torch.round(torch.exp(random(4, 6, seed=7, scale=0.3)), decimals=4)
    return dict(
        logprobs=torch.round(logprobs, decimals=4),
        old_logprobs=old,
        ref_logprobs=torch.round(logprobs + random(4, 6, seed=5, scale=0.3), decimals=4),
        sampling_logprobs=torch.round(old + apart, decimals=4),
        # Multiples of 1/64 are the same number in float32, in which the quantile is taken.
        entropies=torch.round(random(4, 6, seed=8).abs() * 64) / 64,
        token_ratio=torch.where(mask.bool(), rho, 1.0),
        row_ratio=torch.tensor([[1.3], [0.6], [2.0], [0.0]], dtype=torch.float64),
        token_advantages=random(4, 6, seed=9),
        advantages=torch.tensor([0.9, -1.3, 0.0, -0.4], dtype=torch.float64),
        mask=mask,
        max_completion_length=10,
    )


def extreme_batch():
    """Log-ratios of 80 and -80 of either sign of the advantage; multiples of 1/4, exact in float32."""
    f64 = dict(dtype=torch.float64)
    logprobs = torch.tensor([[-0.5, -80.25, -1.0, -2.0], [-80.5, -0.75, -1.5, -80.0], [-0.25, -80.0, -3.0, -1.0]], **f64)
    moved = torch.tensor([[80.0, -80.0, 0.25, -0.5], [-80.0, -0.25, 0.5, -80.0], [0.25, -80.0, 0.5, 80.0]], **f64)
    return dict(
        logprobs=logprobs,
        old_logprobs=logprobs - moved,
        ref_logprobs=logprobs + torch.tensor([[-80.0, 0.5, 0.25, 0.0], [0.5, -80.0, 0.0, 0.5], [-0.25, 0.5, -80.0, 0.0]], **f64),
        advantages=torch.tensor([1.5, -0.75, 0.5], **f64),
        mask=lengths_mask([4, 4, 3], 4),
        max_completion_length=4,
    )


def trl_loss(settings, inputs, mask, accumulate, generate, items):
    """Runs GRPOTrainer._compute_loss on an object that holds only what that method reads."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    ran = PLAIN | settings
    if ran["epsilon_high"] is None:
        # TRL falls back on epsilon for every type; for cispo the case means ScaleRL's 5.
        ran["epsilon_high"] = 5.0 if ran["loss_type"] == "cispo" else ran["epsilon"]
    bonus = ran["entropy_coef"] != 0
    logprobs = inputs["logprobs"].clone().requires_grad_()
    entropies = inputs.get("entropies", torch.zeros_like(logprobs)).clone().requires_grad_(bonus)
    ratio = inputs.get("importance_ratio")

    trainer = GRPOTrainer.__new__(GRPOTrainer)
    trainer.args = SimpleNamespace(steps_per_generation=generate, **ran)
    trainer.loss_type = ran["loss_type"]
    trainer.epsilon_low = ran["epsilon"]
    trainer.epsilon_high = ran["epsilon_high"]
    trainer.beta = ran["beta"]
    trainer.importance_sampling_level = ran["importance_sampling_level"]
    trainer.top_entropy_quantile = ran["top_entropy_quantile"]
    trainer.off_policy_mask_threshold = ran["off_policy_mask_threshold"]
    trainer.max_completion_length = inputs["max_completion_length"]
    trainer.current_gradient_accumulation_steps = accumulate
    trainer.use_vllm = trainer.vllm_importance_sampling_correction = ratio is not None
    trainer.aux_loss_enabled = False
    trainer._entropy_bonus_enabled = bonus
    trainer.use_adaptive_entropy = False
    trainer.entropy_coef = ran["entropy_coef"]
    trainer._metrics = {"train": defaultdict(list)}
    trainer.model = SimpleNamespace(training=True)
    trainer.accelerator = SimpleNamespace(
        num_processes=1,
        sync_gradients=True,
        gather=lambda x: x,
        reduce=lambda x, reduction: x,
        pad_across_processes=lambda x, dim, pad_index: x,
    )
    # The forward pass is the only stub: it hands out the log-probabilities and entropies of the case.
    trainer._get_per_token_logps_and_entropies = lambda *a, **k: (logprobs, entropies, None)

    batch = {
        "prompt_ids": torch.zeros(len(mask), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(mask), 1, dtype=torch.long),
        "completion_ids": torch.zeros_like(mask),
        "completion_mask": mask,
        "advantages": inputs["advantages"],
        "old_per_token_logps": inputs.get("old_logprobs"),
        "ref_per_token_logps": inputs.get("ref_logprobs"),
        "num_items_in_batch": torch.tensor(items),
    }
    if "sampling_logprobs" in inputs:
        batch["sampling_per_token_logps"] = inputs["sampling_logprobs"]
    if ratio is not None:
        batch["importance_sampling_ratio"] = ratio
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items()}
    # Ours has no such metric where it has no such setting.
    metrics.pop("entropy_coef", None)
    if not bonus:
        metrics.pop("entropy")
    elif ran["loss_type"] in ["dapo", "cispo", "vespo"]:
        # TRL logs the part of the step that the micro-batch is, and averages these over the step:
        # the value of the step is GAS times that.
        metrics["policy_loss"] *= accumulate
    outputs = {"loss": loss.item(), "grad": logprobs.grad, "metrics": metrics}
    if bonus:
        outputs["grad_entropies"] = entropies.grad
    return digits(outputs)


OLD, REF = ["old_logprobs"], ["ref_logprobs"]


def situations(loss_type):
    """Batch, name, inputs that are handed over, settings, and what else is not plain."""
    both, entropies = OLD + REF, OLD + ["entropies"]
    sequence = dict(importance_sampling_level="sequence")
    clipped = loss_type not in ["cispo", "sapo", "vespo"]
    plan = [
        ("random", "on_policy", [], {}, {}),
        ("random", "off_policy", OLD, {}, {}),
        ("random", "kl", both, dict(beta=0.04), {}),
        ("random", "kl_on_policy", REF, dict(beta=0.04), {}),
        ("random", "bias_corrected_kl", both, dict(beta=0.2, use_bias_correction_kl=True), {}),
        ("random", "sequence", OLD, sequence, {}),
        ("random", "sequence_bias_corrected_kl", both, sequence | dict(beta=0.2, use_bias_correction_kl=True), {}),
        ("random", "accumulate", OLD, {}, dict(accumulate=2, generate=2, elsewhere=9)),
        ("random", "window_apart", OLD, {}, dict(accumulate=2, generate=4, elsewhere=31)),
        ("random", "accumulate_4", both, dict(beta=0.1), dict(accumulate=4, generate=4, elsewhere=57)),
        ("random", "empty_row", both, dict(beta=0.04), dict(lengths=[4, 0, 3, 5])),
        ("random", "truncated_rows_sequence", OLD, sequence, dict(lengths=[0, 6, 0, 5])),
        ("random", "one_token", OLD, {}, dict(lengths=[0, 0, 0, 1])),
        ("random", "entropy_mask", entropies, dict(top_entropy_quantile=0.2), {}),
        ("random", "entropy_mask_half_kl", entropies + REF, dict(top_entropy_quantile=0.5, beta=0.1), {}),
        ("random", "entropy_bonus", entropies, dict(entropy_coef=0.05), {}),
        ("random", "entropy_bonus_mask", entropies, dict(entropy_coef=0.3, top_entropy_quantile=0.4), dict(accumulate=2, generate=2, elsewhere=9)),
        ("random", "off_policy_mask", OLD, dict(off_policy_mask_threshold=0.2), {}),
        ("random", "off_policy_mask_sampler", both + ["sampling_logprobs"], dict(off_policy_mask_threshold=0.2, beta=0.1), {}),
        ("random", "importance_ratio", OLD + ["token_ratio"], {}, {}),
        ("random", "token_advantages", OLD + ["token_advantages"], {}, {}),
        ("extreme", "off_policy", OLD, {}, {}),
        ("extreme", "sequence_kl", both, sequence | dict(beta=0.1), {}),
    ]  # fmt: skip
    if loss_type != "vespo":
        # TRL allows vespo ratios of tokens only.
        plan.append(("random", "importance_ratio_row_kl", both + ["row_ratio"], sequence | dict(beta=0.1), {}))
    if clipped:
        plan += [
            ("fixed", "on_policy", [], {}, {}),
            ("fixed", "off_policy", OLD, {}, {}),
            ("fixed", "epsilon_high", OLD, dict(epsilon_high=0.28), {}),
            ("fixed", "delta", OLD, dict(delta=1.5), {}),
            ("fixed", "sequence", OLD, sequence, {}),
            ("random", "sequence_delta", OLD, sequence | dict(delta=1.5), {}),
            (
                "random", "all", both + ["entropies", "sampling_logprobs", "token_ratio"],
                sequence | dict(
                    beta=0.1, epsilon=0.1, epsilon_high=0.3, delta=1.4, use_bias_correction_kl=True,
                    top_entropy_quantile=0.6, entropy_coef=0.01, off_policy_mask_threshold=0.33,
                ),
                dict(accumulate=2, generate=2, elsewhere=7),
            ),
        ]  # fmt: skip
    own = {
        "cispo": [("low_cap", OLD, dict(epsilon_high=1.3)), ("low_cap_sequence", OLD, sequence | dict(epsilon_high=1.3))],
        "sapo": [("temperatures", OLD, dict(sapo_temperature_pos=0.5, sapo_temperature_neg=2.0))],
        "vespo": [("weights", OLD, dict(vespo_k_pos=1.0, vespo_lambda_pos=0.5, vespo_k_neg=0.5, vespo_lambda_neg=0.0))],
    }
    return plan + [("random", *case, {}) for case in own.get(loss_type, [])]


def make_grpo():
    import trl

    batches = {"fixed": fixed_batch(), "random": random_batch(), "extreme": extreme_batch()}
    replaces = {"token_ratio": "importance_ratio", "row_ratio": "importance_ratio", "token_advantages": "advantages"}
    cases = []
    for loss_type in ["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]:
        for batch_name, name, uses, change, other in situations(loss_type):
            batch = batches[batch_name]
            settings = {"loss_type": loss_type} | change
            inputs = {key: batch[key] for key in ["logprobs", "advantages", "max_completion_length"]}
            inputs |= {replaces.get(key, key): batch[key] for key in uses}
            mask = batch["mask"]
            if "lengths" in other:
                mask = lengths_mask(other["lengths"], mask.shape[1])
            accumulate, generate = other.get("accumulate", 1), other.get("generate", 1)
            # TRL counts the whole generation batch: this micro-batch and the others it came with.
            items = int(mask.sum()) + other.get("elsewhere", 0)
            outputs = trl_loss(settings, inputs, mask, accumulate, generate, items)
            case = {"name": f"{loss_type} {batch_name} {name}", "batch": batch_name, "settings": settings, "uses": uses}
            if "lengths" in other:
                case["mask"] = mask.tolist()
            # TRL's normaliser: the tokens of one accumulation window.
            case |= {"num_items_in_batch": items * accumulate / generate, "gradient_accumulation_steps": accumulate}
            cases.append(case | outputs)
    head = {
        "versions": {"trl": trl.__version__, "torch": torch.__version__.split("+")[0]},
        "dtype": "float64",
        "batches": {name: digits(batch) for name, batch in batches.items()},
    }
    write("grpo.json", head, cases)


# --- Advantages ----------------------------------------------------------------------------------


def advantage_code():
    """The lines of GRPOTrainer._generate_and_score_completions that turn rewards into advantages.

    They sit in the middle of a long method, so its source is cut at two lines and run as it is.
    """
    from trl.trainer.grpo_trainer import GRPOTrainer

    source = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    start = source.index("        unscorable_mask = torch.isnan")
    last = "        advantages = torch.nan_to_num(advantages, nan=0.0)\n"
    return compile(textwrap.dedent(source[start : source.index(last) + len(last)]), "trl", "exec")


def make_advantages():
    import trl
    from trl.trainer.utils import nanstd

    code = advantage_code()
    one = [[1.0], [0.0], [0.0], [1.0], [1.0], [1.0], [1.0], [1.0]]
    graded = [[0.1], [0.9], [0.35], [0.35], [-2.0], [3.5], [0.0], [1.25], [10.0], [10.5], [9.0], [10.2]]
    two = [[1.0, 0.2], [0.0, 0.9], [0.5, -1.0], [1.0, 0.0], [0.0, 12.0], [0.0, 8.0], [1.0, 10.0], [0.0, 9.5]]
    unscored = [[1.0], [None], [0.0], [1.0], [None], [None], [2.0], [None]]
    partly = [[1.0, None], [0.0, 0.9], [None, None], [1.0, 0.0], [None, 12.0], [0.0, 8.0], [1.0, 10.0], [0.0, None]]
    never = [[None], [None], [1.0], [0.0]]
    flat = [[0.7, 0.1], [0.7, 0.1], [0.7, 0.1], [0.7, 0.1]]
    nothing = [[None, None]] * 4
    column = [[1.0, None], [0.0, None], [0.5, None], [1.0, None]]
    alone = [[1.0, None], [None, None], [None, None], [None, 3.0], [0.5, 0.5], [None, None], [None, None], [None, None]]
    close = [[1.0], [1.0 + 1e-6], [1.0 - 1e-6], [1.0], [-1e6], [1e6], [0.0], [0.5]]
    total, apart = "sum_then_normalize", "normalize_then_sum"
    plan = [
        ("one reward, one flat group", one, 4, "group", [1.0], total),
        ("one reward, one flat group", one, 4, "batch", [1.0], total),
        ("one reward, one flat group", one, 4, "none", [1.0], total),
        ("graded rewards", graded, 4, "group", [1.0], total),
        ("graded rewards", graded, 4, "batch", [1.0], total),
        ("graded rewards", graded, 4, "none", [1.0], total),
        ("graded rewards in groups of two", graded, 2, "group", [1.0], total),
        ("graded rewards in groups of six", graded, 6, "group", [1.0], total),
        ("two rewards", two, 4, "group", [1.0, 1.0], total),
        ("two rewards with weights", two, 4, "group", [0.7, 0.3], total),
        ("two rewards with weights", two, 4, "batch", [2.0, -0.5], total),
        ("two rewards, one switched off", two, 4, "group", [1.0, 0.0], total),
        ("unscorable rows, a group with one score", unscored, 4, "group", [1.0], total),
        ("unscorable rows, a group with one score", unscored, 4, "batch", [1.0], total),
        ("unscorable rows, a group with one score", unscored, 4, "none", [1.0], total),
        ("a group without any score", never, 2, "group", [1.0], total),
        ("some functions without a score", partly, 4, "group", [0.7, 0.3], total),
        ("all rewards equal", flat, 4, "group", [1.0, 1.0], total),
        ("two rewards", two, 4, "group", [1.0, 1.0], apart),
        ("two rewards with weights", two, 4, "group", [0.7, 0.3], apart),
        ("two rewards, no scaling asked for", two, 4, "none", [0.7, 0.3], apart),
        ("some functions without a score", partly, 4, "group", [0.7, 0.3], apart),
        ("graded rewards", graded, 4, "group", [1.0], apart),
        ("unscorable rows, a group with one score", unscored, 4, "group", [1.0], apart),
        ("all rewards equal", flat, 4, "group", [1.0, 1.0], apart),
        ("nothing scored", nothing, 2, "group", [1.0, 1.0], total),
        ("nothing scored", nothing, 2, "batch", [1.0, 1.0], total),
        ("nothing scored", nothing, 2, "group", [1.0, 1.0], apart),
        ("a function that never scores", column, 4, "group", [1.0, 2.0], total),
        ("a function that never scores", column, 4, "batch", [1.0, 2.0], total),
        ("a function that never scores", column, 2, "group", [1.0, 2.0], apart),
        ("one or two scores a group", alone, 4, "group", [1.0, 0.5], total),
        ("one or two scores a group", alone, 4, "batch", [1.0, 0.5], total),
        ("one or two scores a group", alone, 4, "none", [1.0, 0.5], total),
        ("one or two scores a group", alone, 4, "group", [1.0, 0.5], apart),
        ("rewards of other sizes", close, 4, "group", [1.0], total),
        ("rewards of other sizes", close, 4, "batch", [1.0], total),
        ("rewards of other sizes", close, 4, "none", [1.0], total),
        ("rewards of other sizes", close, 8, "group", [-0.5], total),
    ]
    cases = []
    for name, rewards, group, scale, weights, aggregation in plan:
        table = [[math.nan if r is None else r for r in row] for row in rewards]
        names = {
            "torch": torch,
            "nanstd": nanstd,
            "device": "cpu",
            "num_generations": group,
            "rewards_per_func": torch.tensor(table, dtype=torch.float64),
            "self": SimpleNamespace(
                multi_objective_aggregation=aggregation,
                scale_rewards=scale,
                reward_weights=torch.tensor(weights, dtype=torch.float64),
                reward_funcs=weights,
            ),
        }
        exec(code, names)
        cases.append(
            {
                "name": f"{name}, {scale}, {aggregation}",
                "rewards": rewards,
                "num_generations": group,
                "scale_rewards": scale,
                "reward_weights": weights,
                "multi_objective_aggregation": aggregation,
                "advantages": digits(names["advantages"]),
                "frac_reward_zero_std": digits(names["is_std_zero"].float().mean().item()),
            }
        )
    head = {"versions": {"trl": trl.__version__, "torch": torch.__version__.split("+")[0]}, "dtype": "float64"}
    write("advantages.json", head, cases)


# --- Optimisers ----------------------------------------------------------------------------------


def make_adamw():
    start = {"weight": random(2, 3, seed=20), "bias": random(3, seed=21)}
    grads = [
        {"weight": random(2, 3, seed=30 + i, scale=0.5), "bias": random(3, seed=50 + i, scale=0.5)} for i in range(10)
    ]
    # A zero and a tiny gradient show where eps is added.
    grads[0]["bias"][0] = 0.0
    for g in grads:
        g["bias"][1] = 1e-7
    adam = dict(lr=0.01, betas=[0.9, 0.999], eps=1e-8)
    plan = [
        ("AdamW", adam | dict(weight_decay=0.0)),
        ("AdamW", adam | dict(weight_decay=0.1)),
        ("Adam", adam | dict(weight_decay=0.0)),
        ("Adam", adam | dict(weight_decay=0.1)),
        ("SGD", dict(lr=0.01, momentum=0.0, weight_decay=0.0)),
        ("SGD", dict(lr=0.01, momentum=0.9, weight_decay=0.0)),
        ("SGD", dict(lr=0.01, momentum=0.9, weight_decay=0.1)),
    ]
    cases = []
    for name, settings in plan:
        params = {k: v.clone().requires_grad_() for k, v in start.items()}
        optimizer = getattr(torch.optim, name)(params.values(), **settings)
        steps = []
        for grad in grads:
            for key, p in params.items():
                p.grad = grad[key].clone()
            optimizer.step()
            steps.append(digits(params))
        cases.append({"optimizer": name, **settings, "params": steps})
    head = {
        "versions": {"torch": torch.__version__.split("+")[0]},
        "dtype": "float64",
        "start": digits(start),
        "grads": digits(grads),
    }
    write("adamw.json", head, cases)


if __name__ == "__main__":
    makers = {"model": make_model, "grpo": make_grpo, "advantages": make_advantages, "adamw": make_adamw}
    for chosen in sys.argv[1:] or makers:
        makers[chosen]()
