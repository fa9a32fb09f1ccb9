"""The peer: NDT1-stitch in PyTorch as one would write it there, one pair of linear maps a session.

Of the same shapes as neurojax with the released recipe (learned positions, session and prompt token, pre-norm layers,
exact GELU), so that copied weights must give the same loss and gradients.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

NUM_CONTEXT, NUM_PROMPTS = 2, 4  # session token, prompt token


@dataclass(frozen=True)
class Widths:
    """As in neurojax's `models.ndt.Config`."""

    read_in_width: int
    embed_width: int
    width: int
    num_layers: int
    num_heads: int
    mlp_width: int
    num_positions: int
    num_session_rows: int


class Layer(nn.Module):
    def __init__(self, widths: Widths):
        super().__init__()
        width = widths.width
        self.num_heads = widths.num_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.expand, self.contract = nn.Linear(width, widths.mlp_width), nn.Linear(widths.mlp_width, width)

    def forward(self, tokens: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """tokens [B, L, D], allowed bool [L, L] or None (all) -> [B, L, D]."""
        batch, length, width = tokens.shape
        normed = self.norm_attention(tokens)
        heads = (
            project(normed).view(batch, length, self.num_heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(*heads, attn_mask=allowed)
        tokens = tokens + self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return tokens + self.contract(functional.gelu(self.expand(self.norm_mlp(tokens))))


class NDT1Stitch(nn.Module):
    """One session a batch, as the published code has it."""

    def __init__(self, widths: Widths, units_per_session: list[int]):
        super().__init__()
        self.read_in = nn.ModuleList(nn.Linear(units, widths.read_in_width) for units in units_per_session)
        self.read_out = nn.ModuleList(nn.Linear(widths.width, units) for units in units_per_session)
        self.session_token = nn.Embedding(max(len(units_per_session), widths.num_session_rows), widths.width)
        self.prompts = nn.Embedding(NUM_PROMPTS, widths.width)
        self.positions = nn.Embedding(widths.num_positions, widths.width)
        self.embed = nn.Linear(widths.read_in_width, widths.embed_width) if widths.embed_width else None
        self.project = nn.Linear(widths.embed_width or widths.read_in_width, widths.width)
        self.layers = nn.ModuleList(Layer(widths) for _ in range(widths.num_layers))
        self.norm = nn.LayerNorm(widths.width)

    def forward(self, visible_counts: torch.Tensor, session: int, scheme: int, causal: bool) -> torch.Tensor:
        """visible counts float [B, T, N] (hidden entries zero) -> log-rates float [B, T, N], log spikes per bin."""
        batch, num_bins, _ = visible_counts.shape
        latents = self.read_in[session](visible_counts)
        if self.embed is not None:
            latents = functional.softsign(self.embed(latents))
        tokens = self.project(latents) + self.positions.weight[:num_bins]
        context = torch.stack([self.session_token.weight[session], self.prompts.weight[scheme]])
        tokens = torch.cat([context.expand(batch, -1, -1).to(tokens.dtype), tokens], dim=1)
        allowed = self.causal_pattern(num_bins) if causal else None
        for layer in self.layers:
            tokens = layer(tokens, allowed)
        return self.read_out[session](self.norm(tokens)[:, NUM_CONTEXT:])

    @staticmethod
    def causal_pattern(num_bins: int) -> torch.Tensor:
        """bool [L, L], query x key: bins see context and bins up to themselves, context sees context."""
        place = (torch.arange(num_bins + NUM_CONTEXT) - (NUM_CONTEXT - 1)).clamp(min=0)
        return place[None, :] <= place[:, None]


def poisson_loss(log_rates: torch.Tensor, counts: torch.Tensor, target_mask: torch.Tensor) -> torch.Tensor:
    """Sum over target entries of exp(z) - y z, nats."""
    log_rates = log_rates.float()
    return torch.where(target_mask, log_rates.exp() - counts * log_rates, 0.0).sum()
