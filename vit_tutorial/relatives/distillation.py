"""DeiT: a ViT that learns from labels and from a teacher, and the errors that two models share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.validation import require_choice
from ..model import VisionTransformer, ViTConfig

KINDS = ("hard", "soft")


class DistilledViT(nn.Module):
    """A plain ViT with a distillation token beside its class token, and a head for each.

    Touvron et al. 2021, "Training data-efficient image transformers". Images (B, C, H, W), float,
    normalised -> logits (B, num_classes), the mean of both heads; `heads` gives the two. `vit` is
    the plain ViT inside. `dist_token` and `head_dist` are called as in timm's
    VisionTransformerDistilled, whose second row of positions is part of our `dist_token`: that
    token gets the same row in every image, so the two are one parameter.
    Raises ValueError for a config without a class token in front or with positions after the stem.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        if config.pool != "class" or config.class_token != "first":
            raise ValueError(
                "the distillation token stands beside a class token, which comes first and is read:"
                f" pool is {config.pool!r} and class_token {config.class_token!r}; build the "
                "config with pool='class' and class_token='first'"
            )
        if config.position_site != "stem":
            raise ValueError(
                f"position_site is {config.position_site!r}: the positions of later layers have no "
                "row for a distillation token; use a position that is added at the stem"
            )
        self.config = config
        self.vit = VisionTransformer(config)
        self.dist_token = nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
        self.head_dist = nn.Linear(config.dim, config.num_classes)
        nn.init.normal_(self.head_dist.weight, std=0.02)  # as the ViT's own head
        nn.init.zeros_(self.head_dist.bias)

    def tokens(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> (B, N + 2, D): class token, distillation token, patches."""
        z = self.vit.tokens(images)  # (B, N + 1, D)
        token = self.vit.dropout(self.dist_token.expand(len(z), -1, -1))
        return torch.cat([z[:, :1], token, z[:, 1:]], dim=1)

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the class token and of the distillation token, (B, num_classes) each."""
        z = self.vit.norm(self.vit.encoder(self.tokens(images))[:, :2])  # (B, 2, D)
        return self.vit.head(z[:, 0]), self.head_dist(z[:, 1])

    def forward(self, images: Tensor) -> Tensor:
        one, other = self.heads(images)
        return (one + other) / 2


def hard_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy with the teacher's answer as the label. Logits (B, K) both; a mean, in nats."""
    return F.cross_entropy(student, teacher.argmax(dim=1))


def soft_loss(student: Tensor, teacher: Tensor, temperature: float = 3.0) -> Tensor:
    """T² KL(teacher || student) of the probabilities at temperature T (Hinton et al. 2015).

    Logits (B, K) both; a mean over images, in nats. Dividing logits by T divides gradients by T²:
    the factor keeps them as large as those of the labels. Raises ValueError unless T is above 0.
    """
    if not temperature > 0:
        raise ValueError(f"the temperature is {temperature}: logits are divided by it, use e.g. 3")
    student, teacher = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    # batchmean divides by B. "mean" would divide by B · K, and lose most of the loss with it.
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def distillation_loss(
    heads: tuple[Tensor, Tensor],
    labels: Tensor,
    teacher: Tensor,
    kind: str = "hard",
    temperature: float = 3.0,
) -> Tensor:
    """Half the loss of the class head on the labels, half that of the other on the teacher.

    heads: logits (B, K) of the class token and of the distillation token; a student without this
        token gives the same logits twice. labels: (B,), or class shares (B, K) of mixed images.
    teacher: its logits (B, K). kind: "hard" or "soft". Raises ValueError for another one.
    """
    require_choice("kind", kind, KINDS)
    one, other = heads
    teacher = teacher.detach()
    taught = hard_loss(other, teacher) if kind == "hard" else soft_loss(other, teacher, temperature)
    return (F.cross_entropy(one, labels) + taught) / 2


@torch.no_grad()
def token_cosines(model: DistilledViT, images: Tensor) -> list[float]:
    """Cosine of class token and distillation token, a mean over images: at the stem, then after
    each block. images: (B, C, H, W), normalised."""
    z = model.tokens(images)
    states = [z]
    for block in model.vit.encoder.blocks:
        states.append(block(states[-1]))
    return [F.cosine_similarity(z[:, 0], z[:, 1], dim=-1).mean().item() for z in states]


def error_consistency(one: Tensor, other: Tensor) -> dict[str, float]:
    """How much two models fail on the same images (Geirhos et al. 2020, "Beyond accuracy").

    one, other: (n,), bool, where each model is right. Gives the share of images that `both_wrong`,
    the share `expected` of two independent models of this accuracy, and `kappa`, Cohen's: 0 for
    agreement by chance, 1 for the same errors. kappa is nan where chance alone agrees everywhere.
    Raises ValueError for answers to different images.
    """
    if one.shape != other.shape or one.dtype != torch.bool or other.dtype != torch.bool:
        raise ValueError(
            f"one is {one.dtype} {tuple(one.shape)}, other {other.dtype} {tuple(other.shape)}: give"
            " for both, image by image, whether the answer is right (bool)"
        )
    right = one.double().mean().item(), other.double().mean().item()
    observed = (one == other).double().mean().item()
    chance = right[0] * right[1] + (1 - right[0]) * (1 - right[1])
    return dict(
        both_wrong=(~one & ~other).double().mean().item(),
        expected=(1 - right[0]) * (1 - right[1]),
        kappa=(observed - chance) / (1 - chance) if chance < 1 else float("nan"),
    )
