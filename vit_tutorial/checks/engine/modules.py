"""The kinds of modules that a case can hold, by name: a recipe is data, so it fits into a file."""

import torch
from torch import nn

from ...common.validation import require_choice
from ...model import MLP, MultiHeadSelfAttention, VisionTransformer, ViTConfig


class PartsOnly(VisionTransformer):
    """A VisionTransformer whose parts work and whose shortcuts fail: composing is the exercise."""

    def forward(self, images):
        raise NotImplementedError(
            "compose the model's parts here: model(images) would be the answer itself"
        )

    def representation(self, images):
        raise NotImplementedError(
            "compose the model's parts here: representation(images) is most of the answer itself"
        )

    def tokens(self, images):
        raise NotImplementedError(
            "compose the model's parts here: tokens(images) is half of the answer itself"
        )


class CallLog(list):
    """A list that a deep copy of its owner shares: calls of a copied model are still recorded."""

    def __deepcopy__(self, memo):
        return self


class Probe(nn.Module):
    """A small classifier that logs its calls, and answers differently in training mode."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(features, classes)
        self.calls: list[dict] = CallLog()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls.append(
            {"training": self.training, "grad": torch.is_grad_enabled(), "images": len(images)}
        )
        x = images.flatten(1)
        if self.training:  # no batch of any size may come out right by luck
            x = -x
        return self.head(self.dropout(self.norm(x) if not self.training or len(x) > 1 else x))


class ReadOut(nn.Module):
    """Tokens (B, T, D) -> logits (B, classes), from the tokens at the indices `reads` alone."""

    def __init__(self, dim: int, classes: int, reads: tuple[int, ...]):
        super().__init__()
        self._reads = list(reads)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(z)[:, self._reads].mean(dim=1))


class AcrossTokens(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): each token plus something that depends on `way`.

    "row": row t of a table (T, D) for token t. "image": row b for image b. "mean": the mean of all
    tokens. "ring": the token before it, the last one before the first. "mirror": the token as far
    from the other end. "ends" is "row" with equal rows in front and equal rows at the end, "faint"
    "row" with rows of a twentieth of the size.
    """

    WAYS = ("row", "image", "mean", "ring", "mirror", "ends", "faint")

    def __init__(self, tokens: int, dim: int, way: str):
        super().__init__()
        require_choice("way", way, self.WAYS)
        self._way = way
        self.table = nn.Parameter(torch.zeros(tokens, dim))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if self._way == "row":
            return z + self.table
        if self._way == "ends":
            rows = torch.arange(z.shape[1]).clamp(1, z.shape[1] - 2)
            return z + self.table[rows]
        if self._way == "faint":
            return z + self.table / self.table.abs().amax() / 20
        if self._way == "image":
            return z + self.table[: len(z), None]
        if self._way == "mean":
            return z + z.mean(dim=1, keepdim=True)
        return z + (z.roll(1, dims=1) if self._way == "ring" else z.flip(1))


# Who reads whom, for Reader: token t of image b reads token s of image c.
READS = {
    "the same place in every image": lambda b, t, c, s: t == s,
    "the tokens before it, in its image": lambda b, t, c, s: (b == c) & (s <= t),
    "the image before it": lambda b, t, c, s: (b == c + 1) & (t == s),
    "everything": lambda b, t, c, s: (b >= 0) & (t >= 0) & (c >= 0) & (s >= 0),
}


class Reader(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): sums over the tokens that one of READS names, projected."""

    def __init__(self, how: str, dim: int):
        super().__init__()
        require_choice("way to read", how, tuple(READS))
        self.reads = READS[how]
        self.projection = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, _ = x.shape
        images, places = torch.arange(B, device=x.device), torch.arange(T, device=x.device)
        b, t, c, s = torch.meshgrid(images, places, images, places, indexing="ij")
        return torch.einsum("btcs,csd->btd", self.reads(b, t, c, s).to(x), self.projection(x))


class AddsToTwo(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): the first two entries plus what all tokens of an image say."""

    def __init__(self, dim: int):
        super().__init__()
        self.projection = nn.Linear(dim, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        said = self.projection(x).tanh().sum(dim=1, keepdim=True).expand(-1, x.shape[1], -1)
        return torch.cat([said, torch.zeros_like(x[..., 2:])], dim=-1)


class Watched(nn.Module):
    """A small classifier that logs its calls, and how many of them wait for their backward pass."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.hidden, self.head = nn.Linear(features, 6), nn.Linear(6, classes)
        self.calls: list[dict] = CallLog()
        self.waiting = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.hidden(images.flatten(1)).tanh())
        if logits.requires_grad:
            self.waiting += 1
            logits.register_hook(self._arrived)
        self.calls.append({"images": len(images), "waiting": self.waiting})
        return logits

    def _arrived(self, gradient: torch.Tensor) -> None:
        self.waiting -= 1


_KINDS = {
    "Identity": nn.Identity,
    "Linear": nn.Linear,
    "LayerNorm": nn.LayerNorm,
    "Conv2d": nn.Conv2d,
    "MultiHeadSelfAttention": MultiHeadSelfAttention,
    "MLP": MLP,
    "VisionTransformer": lambda **settings: PartsOnly(ViTConfig(**settings)),
    "Probe": Probe,
    "ReadOut": ReadOut,
    "AcrossTokens": AcrossTokens,
    "Reader": Reader,
    "AddsToTwo": AddsToTwo,
    "Watched": Watched,
    "NormThenLinear": lambda in_features, out_features: nn.Sequential(
        nn.BatchNorm1d(in_features), nn.Linear(in_features, out_features)
    ),
}


def build_module(kind: str, settings: dict) -> nn.Module:
    """A fresh module of this kind. Raises ValueError for an unknown kind."""
    require_choice("kind of module", kind, tuple(_KINDS))
    return _KINDS[kind](**settings)
