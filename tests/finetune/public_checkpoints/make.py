"""Tiny random checkpoints with published names, and what the torch implementation makes of them.

    pip install torch transformers safetensors
    python tests/finetune/public_checkpoints/make.py

Random weights: no text was learned. Written once; `outputs.npz` says which versions wrote it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).parent
GPT2 = transformers.GPT2Config(
    vocab_size=96, n_positions=32, n_embd=24, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
)
LLAMA = transformers.LlamaConfig(
    vocab_size=96, max_position_embeddings=32, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, intermediate_size=48, rms_norm_eps=1e-6, rope_theta=5000.0, tie_word_embeddings=False,
    bos_token_id=0, eos_token_id=0,
)  # fmt: skip


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every parameter, biases and norms too, away from its first value."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def write(folder: Path, model, dtype, shards: int) -> None:
    """config.json, weights in `shards` files, and logits of some tokens."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for parameter in model.parameters():  # what is stored is what is computed with; buffers stay
        parameter.data = parameter.data.to(dtype).to(torch.float32)
    state = {name: value.to(dtype) for name, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    state = {name: value.clone().contiguous() for name, value in state.items()}
    names = sorted(state)
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        files = {}
        for number in range(shards):
            own, file = names[number::shards], f"model-{number + 1:05}-of-{shards:05}.safetensors"
            save_file({name: state[name] for name in own}, folder / file, metadata={"format": "pt"})
            files |= dict.fromkeys(own, file)
        index = {"metadata": {}, "weight_map": files}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    model.config.architectures = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(model.config.to_dict(), indent=1, default=str))
    tokens = torch.randint(0, 96, (2, 17))
    with torch.no_grad():
        logits = model(tokens).logits.to(torch.float32).numpy()
    np.savez_compressed(
        folder / "outputs.npz",
        tokens=tokens.numpy().astype(np.int16),
        logits=logits,
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}, seed 0",
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    write(HERE / "gpt2", shaken(transformers.GPT2LMHeadModel(GPT2)), torch.float32, 1)
    write(HERE / "llama", shaken(transformers.LlamaForCausalLM(LLAMA)), torch.bfloat16, 2)
