"""Writes family.json and its checkpoints: other models of the Qwen and Llama families, by their own libraries.

    venv/bin/python tests/vectors/family.py              # everything
    venv/bin/python tests/vectors/family.py plain        # or some: plain quantised gguf

plain needs torch, transformers, mlx-lm and mlx; quantised needs mlx-lm as well; gguf needs gguf and tokenizers.
README.md names the versions. Nothing here needs a network. A stage that is left out keeps its entries and files.
"""

import copy
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch

from make import digits
from roundtrip import drop_global_scale

HERE = Path(__file__).resolve().parent
# One thread keeps the order of float additions, and so the last digits, the same in every run.
torch.set_num_threads(1)

VOCAB = 96
TOKENS = 20
DTYPE = dict(dtype=torch.float32)


# --- Models --------------------------------------------------------------------------------------


def small(**settings):
    """What the configurations share. head_dim is not hidden_size / heads where the model lets it differ."""
    return {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **settings,
    }


def experts(**settings):
    """Few heads and narrow experts keep eight experts a layer small."""
    return small(
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        num_experts=8,
        num_experts_per_tok=2,
        moe_intermediate_size=8,
        **{"decoder_sparse_step": 1, "mlp_only_layers": [], **settings},
    )


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
# With these the ramp of YaRN has steps between none and all, which a head_dim of 16 does not give by default.
RAMP = {"rope_theta": 1000.0, **YARN, "beta_fast": 1.0, "beta_slow": 0.05}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

# `config` is config.json as written, in the spelling of the published checkpoints unless the comment says otherwise;
# transformers 5 itself would save rope_parameters and num_local_experts. `seed` keeps the two best logits of every
# greedy step more than 0.01 apart, and the routed experts from those left out. `mlx_lm` says why there are no logits
# of mlx-lm. `folder` reads a checkpoint that another entry wrote.
PLAIN = {
    # Dense and sparse layers take turns, the first one dense.
    "qwen3_moe": dict(
        model="qwen3_moe",
        config=experts(num_hidden_layers=4, decoder_sparse_step=2, norm_topk_prob=True, router_aux_loss_coef=0.1),
        seed=47,
    ),
    # 160 pairs of token and expert: from 64 on mlx-lm sorts the tokens by expert.
    "qwen3_moe_long": dict(folder="qwen3_moe", seed=47, shape=(2, 40)),
    # Expert weights stacked under the names of mlx-lm; no normalised routing weights.
    "qwen3_moe_tied": dict(
        model="qwen3_moe",
        config=experts(num_hidden_layers=2, tie_word_embeddings=True, norm_topk_prob=False, router_aux_loss_coef=0.1),
        names="stacked",
        seed=14,
    ),
    # The sequences are longer than the 16 positions that YaRN stretches.
    "qwen3_yarn": dict(
        model="qwen3",
        config=small(head_dim=16, max_position_embeddings=64, rope_scaling=YARN),
        seed=1,
        shape=(2, 24),
    ),
    # As transformers 5 saves it, with the edges of the ramp given.
    "qwen3_yarn_ramp": dict(
        model="qwen3",
        config=small(head_dim=16, max_position_embeddings=64, rope_theta=None, rope_parameters=RAMP),
        seed=14,
        shape=(2, 24),
    ),
    # The same weights with another attention_factor, which transformers puts in the place of 0.1 ln(factor) + 1.
    "qwen3_yarn_factor": dict(
        folder="qwen3_yarn_ramp",
        change={"rope_parameters": {**RAMP, "attention_factor": 0.8}},
        seed=14,
        shape=(1, 24),
        mlx_lm="ignores attention_factor",
    ),
    "qwen3_bias": dict(
        model="qwen3", config=small(head_dim=16, attention_bias=True), seed=32, mlx_lm="has no attention_bias in qwen3"
    ),
    "llama3_tied": dict(
        model="llama",
        config=small(
            head_dim=16, tie_word_embeddings=True, rope_scaling=LLAMA3, attention_bias=False, mlp_bias=False
        ),
        seed=1,
    ),
    # Every bias there is, and the oldest spelling of rope_scaling.
    "llama_linear": dict(
        model="llama",
        config=small(rope_scaling={"type": "linear", "factor": 2.0}, attention_bias=True, mlp_bias=True),
        seed=3,
    ),
    # q, k and v have a bias although no setting says so, and head_dim is left out.
    "qwen2_tied": dict(model="qwen2", config=small(tie_word_embeddings=True, rope_theta=1000000.0), seed=7),
    "qwen3_sharded": dict(model="qwen3", config=small(head_dim=16, num_hidden_layers=1), shard="30KB", seed=3),
}


def fill(model, seed):
    """Random weights wide enough that a forgotten norm weight, bias or expert changes the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                noise = 1 + 0.1 * noise
            elif name.endswith("mlp.gate.weight"):
                # A wide router keeps its choices apart.
                noise = 0.5 * noise
            else:
                noise = noise * (0.25 if "_proj" in name else 0.1)
            p.copy_(noise)


def blank(model, config):
    """The model of transformers with the weights it makes itself; they are replaced."""
    from transformers import AutoConfig, AutoModelForCausalLM

    # The copy is for transformers to complete: it writes into the dictionaries it is given.
    config = copy.deepcopy({k: v for k, v in config.items() if v is not None})
    config = AutoConfig.for_model(model, **config)
    return AutoModelForCausalLM.from_config(config, **DTYPE).eval()


def build(name, model, config, seed, names="published", shard=None, into=HERE):
    """Saves random weights; config.json is the given one, not the one transformers would write."""
    folder = into / name
    shutil.rmtree(folder, ignore_errors=True)
    network = blank(model, config)
    fill(network, seed)
    network.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if names == "stacked":
        stack(folder)
    head = {"architectures": [type(network).__name__], "model_type": model, "torch_dtype": "float32"}
    write_config(folder, head | {k: v for k, v in config.items() if v is not None})
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def stack(folder):
    """Renames mlp.experts.N.X.weight to mlp.switch_mlp.X.weight, all experts in one array, as mlx-lm saves them."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for first in [n for n in weights if ".experts.0." in n]:
        names = [n for i in range(len(weights)) if (n := first.replace(".experts.0.", f".experts.{i}.")) in weights]
        weights[first.replace("experts.0", "switch_mlp")] = torch.stack([weights.pop(n) for n in names])
    save_file(weights, folder / "model.safetensors", metadata={"format": "mlx"})


def load(folder):
    """Reads a checkpoint back with transformers, which does not know the stacked names of mlx-lm."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    path = folder / "model.safetensors"
    weights = load_file(path) if path.exists() else {}
    if any(".switch_mlp." in n for n in weights):
        config = json.loads((folder / "config.json").read_text())
        return adopt(blank(config.pop("model_type"), config), weights)
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **DTYPE)
    assert not (info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]), info
    return model.eval()


def adopt(model, weights):
    """Gives a model of transformers the weights of the stacked names: it keeps gate and up of all experts in one."""
    weights = dict(weights)
    for gate in [n for n in weights if n.endswith("switch_mlp.gate_proj.weight")]:
        up, down = (weights.pop(gate.replace("gate_proj", n)) for n in ["up_proj", "down_proj"])
        prefix = gate.removesuffix("switch_mlp.gate_proj.weight") + "experts."
        weights[prefix + "gate_up_proj"] = torch.cat([weights.pop(gate), up], dim=1)
        weights[prefix + "down_proj"] = down
    if model.config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights)
    return model


# --- What transformers computes ------------------------------------------------------------------


def draw(seed, shape=(2, 12), vocab=VOCAB):
    return torch.randint(3, vocab, shape, generator=torch.Generator().manual_seed(10 + seed))


def grad_norms(model):
    """By parameter; the experts under the stacked names of mlx-lm, gate and up apart."""
    norms = {}
    for name, p in model.named_parameters():
        if name.endswith("experts.gate_up_proj"):
            for half, grad in zip(["gate_proj", "up_proj"], p.grad.chunk(2, dim=1)):
                norms[name.replace("experts.gate_up_proj", f"switch_mlp.{half}.weight")] = grad.norm()
        else:
            norms[name.replace("experts.down_proj", "switch_mlp.down_proj.weight")] = p.grad.norm()
    return digits({n: v.item() for n, v in norms.items()})


def gradients(model, ids, aux_weight=None):
    """The mean cross-entropy of the next tokens, plus the router's loss with a weight for it."""
    model.zero_grad()
    out = model(ids) if aux_weight is None else model(ids, output_router_logits=True)
    loss = torch.nn.functional.cross_entropy(out.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    if aux_weight is not None:
        loss = loss + aux_weight * out.aux_loss
    loss.backward()
    return out, loss.item(), grad_norms(model)


def greedy(model, ids):
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=TOKENS,
        eos_token_id=None,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = out.sequences[0, ids.shape[1] :]
    assert len(tokens) == TOKENS
    top = torch.stack(out.logits).flatten(0, 1).topk(2, dim=-1).values
    # A greedy token is only a fair test where the two best logits are further apart than the error.
    return {"greedy": tokens.tolist(), "greedy_gap": digits((top[:, 0] - top[:, 1]).tolist(), "%.6f")}


@torch.no_grad()
def router_gap(model, sequences):
    """How close the least likely routed expert comes to the likeliest one left out, over all tokens and layers."""
    k = model.config.num_experts_per_tok
    gaps = []
    for ids in sequences:
        for logits in model(ids, output_router_logits=True).router_logits:
            top = logits.softmax(-1).topk(k + 1, dim=-1).values
            gaps.append((top[:, k - 1] - top[:, k]).min().item())
    return min(gaps)


def by_transformers(model, ids):
    out, loss, norms = gradients(model, ids)
    case = {"ids": ids.tolist(), "loss": digits(loss), **greedy(model, ids[:1]), "grad_norms": norms}
    if hasattr(model.config, "num_experts_per_tok"):
        coefficient = model.config.router_aux_loss_coef
        aux, loss, norms = gradients(model, ids, coefficient)
        path = torch.cat([ids[:1], torch.tensor([case["greedy"]])], dim=1)
        case |= {
            "router_gap": digits(router_gap(model, [ids, path]), "%.6f"),
            "aux_loss": digits(aux.aux_loss.item()),
            "loss_with_aux": digits(loss),
            "grad_norms_with_aux": norms,
        }
    case["logits_transformers"] = digits(out.logits, "%.6f")
    return case


# --- What mlx-lm computes ------------------------------------------------------------------------


def load_peer(folder):
    import mlx.core as mx
    from mlx_lm.utils import load_model

    # The vectors belong to the CPU; a GPU would round the products differently.
    mx.set_default_device(mx.cpu)
    drop_global_scale()
    return load_model(folder)[0]


def peer_logits(model, ids):
    import mlx.core as mx

    return model(mx.array(ids.tolist())).tolist()


def by_mlx_lm(folder, ids, logits, reason):
    """Its logits, or None and why it cannot: the reason is checked, so that a newer mlx-lm does not go unnoticed."""
    try:
        values = peer_logits(load_peer(folder), ids)
    except ValueError as error:
        assert reason, error
        return {"mlx_lm": reason, "logits_mlx_lm": None}
    apart = (logits - torch.tensor(values)).abs().max().item()
    print(f"{folder.name}: transformers and mlx-lm differ by at most {apart:.1e}")
    if reason:
        assert apart > 1e-3, f"mlx-lm agrees although it {reason}"
        return {"mlx_lm": reason, "logits_mlx_lm": None}
    assert apart < 1e-4
    return {"logits_mlx_lm": digits(values, "%.6f")}


def changed(folder, change, scratch):
    """A copy of a checkpoint with some settings changed; it is not kept, a test changes them itself."""
    other = shutil.copytree(folder, Path(scratch) / folder.name)
    write_config(other, json.loads((folder / "config.json").read_text()) | change)
    return other


def plain(name, entry, scratch):
    entry = dict(entry)
    shape, reason = entry.pop("shape", (2, 12)), entry.pop("mlx_lm", None)
    case = {k: entry[k] for k in ["folder", "change"] if k in entry}
    folder = HERE / entry["folder"] if "folder" in entry else build(name, **entry)
    if "change" in entry:
        folder = changed(folder, entry["change"], scratch)
    # The model is read back from disk, so that the files and not the object are what is described.
    ids = draw(entry["seed"], shape)
    case |= by_transformers(load(folder), ids)
    return case | by_mlx_lm(folder, ids, torch.tensor(case["logits_transformers"]), reason)


def make_plain():
    with tempfile.TemporaryDirectory() as scratch:
        return {name: plain(name, entry, scratch) for name, entry in PLAIN.items()}


# --- Weights quantised by mlx-lm -----------------------------------------------------------------


def wide(**settings):
    """Every row is a multiple of 32, the smaller group; those of hidden_size also of 64, the larger."""
    return small(**{"hidden_size": 64, "intermediate_size": 96, "head_dim": 32, **settings})


# transformers does not read these, so they have the logits of mlx-lm alone.
QUANTISED = {
    # The embedding is quantised, and it is the output as well.
    "qwen3_4bit_tied": dict(model="qwen3", config=wide(tie_word_embeddings=True), seed=1),
    # Two modules stay plain: config.json says so of one, as some published checkpoints do, and is silent on the other.
    "qwen3_mixed": dict(
        model="qwen3",
        config=wide(),
        overrides={
            "model.layers.0.self_attn.v_proj": {"group_size": 64, "bits": 8},
            "lm_head": {"group_size": 64, "bits": 6},
            "model.layers.0.mlp.up_proj": False,
            "model.layers.1.mlp.down_proj": False,
        },
        recorded={"model.layers.1.mlp.down_proj": False},
        seed=1,
    ),
    # mlx-lm keeps the routers at 8 bits in groups of 64. The layer in the middle is dense.
    "qwen3_moe_4bit": dict(
        model="qwen3_moe",
        config=wide(
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            num_experts=8,
            num_experts_per_tok=2,
            moe_intermediate_size=32,
            decoder_sparse_step=1,
            mlp_only_layers=[1],
            norm_topk_prob=True,
        ),
        seed=21,
    ),
}


def quantise(source, folder, overrides=None, recorded=None):
    """Four bits in groups of 32, apart from the overrides; `recorded` goes into config.json as it is."""
    from mlx_lm.utils import load_config, quantize_model, save_config, save_model

    choose = (lambda path, module: overrides.get(path, True)) if overrides else None
    model, config = quantize_model(load_peer(source), load_config(source), 32, 4, quant_predicate=choose)
    config["quantization"] |= recorded or {}
    shutil.rmtree(folder, ignore_errors=True)
    save_model(folder, model)
    save_config(config, folder / "config.json")


def peer_greedy(model, prompt):
    import mlx.core as mx
    from mlx_lm.generate import generate_step

    steps = list(generate_step(mx.array(prompt), model, max_tokens=TOKENS))
    top = torch.stack([torch.tensor(logprobs.tolist()) for _, logprobs in steps]).topk(2, dim=-1).values
    return {
        "greedy": [int(token) for token, _ in steps],
        "greedy_gap": digits((top[:, 0] - top[:, 1]).tolist(), "%.6f"),
    }


def peer_router_gap(model, ids, tokens):
    """What router_gap is for transformers; mlx-lm does not hand out the routers' logits, so they are overheard."""
    heard = []

    def listen(gate):
        def call(x):
            logits = gate(x)
            heard.append(torch.tensor(logits.tolist()).flatten(0, 1))
            return logits

        return call

    blocks = [layer.mlp for layer in model.layers if hasattr(layer.mlp, "switch_mlp")]
    for block in blocks:
        block.gate = listen(block.gate)
    for sequences in [ids, torch.cat([ids[:1], torch.tensor([tokens])], dim=1)]:
        peer_logits(model, sequences)
    k = blocks[0].top_k
    top = torch.cat(heard).softmax(-1).topk(k + 1, dim=-1).values
    return (top[:, k - 1] - top[:, k]).min().item()


def quantised(name, entry, scratch):
    entry = dict(entry)
    how = {k: entry.pop(k) for k in ["overrides", "recorded"] if k in entry}
    quantise(build(name, **entry, into=Path(scratch)), HERE / name, **how)
    model = load_peer(HERE / name)
    ids = draw(entry["seed"])
    case = {"ids": ids.tolist(), **peer_greedy(model, ids[0].tolist())}
    case["logits_mlx_lm"] = digits(peer_logits(model, ids), "%.6f")
    if entry["model"] == "qwen3_moe":
        case["router_gap"] = digits(peer_router_gap(model, ids, case["greedy"]), "%.6f")
    return case


def make_quantised():
    with tempfile.TemporaryDirectory() as scratch:
        return {name: quantised(name, entry, scratch) for name, entry in QUANTISED.items()}


# --- GGUF ----------------------------------------------------------------------------------------

LARGE = 300
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# The pre-tokenizer that tokenizer.ggml.pre = qwen2 stands for. Qwen's tokenizer.json normalises to NFC as well, which
# GGUF does not say; the texts below are the same either way.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SENTENCES = [
    "The user asks the assistant a question, and the assistant answers the user.",
    "There is a theory that the other weather is better than this one.",
    "They're certain that it isn't there, but it's here and I'll show them.",
    "def other(there):\n    return there + other(there)\n",
]
TEXTS = [
    "Hello there, the weather is better.",
    "  two spaces before, three after   ",
    "It's theirs, they're HERE'S and I'LL isn't",
    "tabs\tand\nnew\n\nlines \r\n  end",
    "In 2024 there were 1234567 of them",
    "naïve café — 日本語 übergrößen",
    "🙂 so?!... 👩‍💻",
    "<|im_start|>user\nthe question<|im_end|>\n<|im_start|>assistant\n",
    "a<|endoftext|> b<|im_end",
    "def f(x):\n    return x+1\n",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# One type for each kind of matrix; vectors and what is not named are F32.
MANY_TYPES = {
    "token_embd": "F16",
    "output": "Q8_0",
    "attn_q": "Q8_0",
    "attn_k": "Q4_0",
    "attn_v": "Q8_0",
    "attn_output": "Q4_1",
    "ffn_gate": "Q4_0",
    "ffn_up": "Q4_1",
    "ffn_down": "Q8_0",
}
EXPERT_TYPES = {"attn_q": "Q8_0", "ffn_gate_exps": "Q8_0", "ffn_up_exps": "Q8_0", "ffn_down_exps": "Q8_0"}

# `arch` is the name in GGUF.
GGUF = {
    "gguf_qwen3": dict(arch="qwen3", model="qwen3", config=wide(vocab_size=LARGE), types=MANY_TYPES, seed=1),
    # Tied: there is no output.weight. The rows of q and k are in llama.cpp's order.
    "gguf_llama": dict(
        arch="llama", model="llama", config=small(vocab_size=LARGE, tie_word_embeddings=True), types={}, seed=1
    ),
    # The same with the scaling of Llama 3, which GGUF keeps as divisors of the frequencies in rope_freqs.weight.
    "gguf_llama3": dict(
        arch="llama",
        model="llama",
        config=small(
            vocab_size=LARGE, head_dim=16, num_hidden_layers=1, tie_word_embeddings=True, rope_scaling=LLAMA3
        ),
        types={"token_embd": "F16"},
        seed=7,
    ),
    # GGUF has no norm_topk_prob: llama.cpp normalises the routing weights of every qwen3moe.
    "gguf_qwen3moe": dict(
        arch="qwen3moe",
        model="qwen3_moe",
        config={**experts(vocab_size=LARGE, norm_topk_prob=True), "moe_intermediate_size": 32},
        types=EXPERT_TYPES,
        seed=4,
    ),
}


def train_tokenizer():
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=LARGE - len(SPECIAL), initial_alphabet=bytes_.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    assert tokenizer.get_vocab_size() == LARGE
    return tokenizer


def write_tokenizer(writer, tokenizer):
    import gguf

    vocab = tokenizer.get_vocab()
    tokens = sorted(vocab, key=vocab.get)
    kinds = [gguf.TokenType.CONTROL if t in SPECIAL else gguf.TokenType.NORMAL for t in tokens]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(vocab["<|im_end|>"])
    writer.add_pad_token_id(vocab["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_settings(writer, arch, config):
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if arch == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim)
    if arch == "qwen3moe":
        writer.add_expert_count(config["num_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])


def gguf_names(arch, config):
    """The name in GGUF of a parameter; gguf knows stacked experts as mlp.experts.X."""
    import gguf

    kind = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    return lambda name: names.get_name(name.replace("switch_mlp", "experts"), try_suffixes=(".weight",))


def heads_of(name, config):
    """How many heads a matrix has whose rows llama.cpp reorders, or None."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    return next((config[key] for part, key in heads.items() if part in name), None)


def to_pairs(rows, heads):
    """LlamaModel.permute of llama.cpp: the two halves of a head, which rotate together, become neighbours."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def from_pairs(rows, heads):
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def rope_freqs(model):
    """What the plain frequencies are divided by, from those that transformers computes."""
    config = model.config
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (torch.arange(0, config.head_dim, 2) / config.head_dim)
    return (plain / model.model.rotary_emb.inv_freq).numpy()


def write_gguf(path, arch, config, model, weights, types, tokenizer):
    import gguf

    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(path.stem)
    write_settings(writer, arch, config)
    write_tokenizer(writer, tokenizer)
    if "rope_scaling" in config:
        writer.add_tensor("rope_freqs.weight", rope_freqs(model))
    named = gguf_names(arch, config)
    for name, tensor in weights.items():
        rows = tensor.numpy()
        if arch == "llama" and (heads := heads_of(name, config)):
            rows = to_pairs(rows, heads)
        part = named(name).removesuffix(".weight").split(".")[-1]
        kind = gguf.GGMLQuantizationType[types.get(part, "F32")]
        writer.add_tensor(named(name), gguf.quants.quantize(rows, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path, arch, config, names):
    """The weights as the file gives them back, in float32 and under the names of the checkpoint."""
    import gguf

    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    named = gguf_names(arch, config)
    weights = {}
    for name in names:
        rows = tensors.pop(named(name))
        if arch == "llama" and (heads := heads_of(name, config)):
            rows = from_pairs(rows, heads)
        weights[name] = torch.tensor(rows)
    assert set(tensors) <= {"rope_freqs.weight"}
    return weights


def as_gguf(name, arch, model, config, types, seed, scratch, tokenizer):
    from safetensors.torch import load_file

    folder = build(name, model, config, seed, names="stacked", into=Path(scratch))
    weights = load_file(folder / "model.safetensors")
    path = HERE / f"{name}.gguf"
    write_gguf(path, arch, config, load(folder), weights, types, tokenizer)

    network = adopt(blank(model, config), read_gguf(path, arch, config, weights))
    ids = draw(seed, (1, 12), vocab=LARGE - len(SPECIAL))
    case = {"file": path.name, "ids": ids.tolist(), **greedy(network, ids)}
    if model == "qwen3_moe":
        path_taken = torch.cat([ids, torch.tensor([case["greedy"]])], dim=1)
        case["router_gap"] = digits(router_gap(network, [path_taken]), "%.6f")
    with torch.no_grad():
        case["logits_transformers"] = digits(network(ids).logits, "%.6f")
    return case


def make_gguf():
    tokenizer = train_tokenizer()
    with tempfile.TemporaryDirectory() as scratch:
        cases = {
            name: as_gguf(name, **entry, scratch=scratch, tokenizer=tokenizer) for name, entry in GGUF.items()
        }
    # All files hold the same tokenizer.
    cases["gguf_qwen3"]["texts"] = [{"text": t, "ids": tokenizer.encode(t).ids} for t in TEXTS]
    return cases


# --- All -----------------------------------------------------------------------------------------

STAGES = {"plain": make_plain, "quantised": make_quantised, "gguf": make_gguf}


def main(stages):
    from importlib.metadata import version

    path = HERE / "family.json"
    models = json.loads(path.read_text())["models"] if path.exists() else {}
    for stage in stages or STAGES:
        models |= STAGES[stage]()
    versions = {n: version(n) for n in ["transformers", "torch", "mlx-lm", "mlx", "gguf", "tokenizers"]}
    body = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in models.items())
    path.write_text(
        f'{{\n"versions": {json.dumps(versions)},\n"dtype": "float32",\n"models": {{\n{body}\n}}\n}}\n'
    )
    print(f"family.json: {len(models)} models, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
