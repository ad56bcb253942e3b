"""Few-shot evaluation: a linear probe of frozen features by regularised least squares.

Dosovitskiy et al. 2021, section 4.1, "Metrics": the representations of a few labelled images are
mapped to targets of -1 and 1, and the best weights come out of one linear system, without training.
"""

import dataclasses

import torch
from torch import Tensor, nn


@torch.no_grad()
def representations(model: nn.Module, images: Tensor, batch_size: int = 250) -> Tensor:
    """Normalised images (n, C, H, W) -> what the head of a VisionTransformer reads: (n, D)."""
    was_training = model.training
    model.eval()
    found = torch.cat([model.representation(part).float() for part in images.split(batch_size)])
    model.train(was_training)
    return found


def ridge(features: Tensor, labels: Tensor, num_classes: int, strength: float) -> Tensor:
    """The weights W (D, K) that minimise ||features W - targets||² + strength ||W||².

    features: (n, D), float. labels: (n,), int64, 0..K-1. The targets (n, K) are 1 for an image's
    own class and -1 for the others. strength: 0 or more; above 0 there is always one solution,
    even with fewer images than features. Raises ValueError for shapes or labels that do not fit.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"features are (n, D) and labels (n,), got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= num_classes:
        found = f"from {labels.min()} to {labels.max()}" if len(labels) else "for no image"
        raise ValueError(f"labels {found}: for {num_classes} classes give 0 to {num_classes - 1}")
    if not strength >= 0:
        raise ValueError(f"strength is {strength}: it is 0 or more")
    targets = torch.full((len(labels), num_classes), -1.0).to(features)
    targets[torch.arange(len(labels)), labels] = 1
    penalty = strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(features.mT @ features + penalty, features.mT @ targets)


@dataclasses.dataclass(frozen=True, eq=False)
class LinearProbe:
    """Features (n, D) -> scores (n, K), float64: made by `fit_probe`."""

    mean: Tensor  # (D,), of the labelled images
    std: Tensor  # (D,)
    weights: Tensor  # (D + 1, K): the last row is the bias

    def __call__(self, features: Tensor) -> Tensor:
        return self._inputs(features) @ self.weights

    def _inputs(self, features: Tensor) -> Tensor:
        x = (features.double() - self.mean) / self.std
        return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # (n, D + 1)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """The share of right answers, 0 to 1, on features (n, D) with labels (n,)."""
        return (self(features).argmax(dim=1) == labels).double().mean().item()


def fit_probe(
    features: Tensor, labels: Tensor, num_classes: int, strength: float = 10.0
) -> LinearProbe:
    """The linear probe that `ridge` fits to features (n, D) with labels (n,).

    Each feature is first brought to mean 0 and standard deviation 1 over the n images, so that
    `strength` means the same for every model, and a column of ones makes the bias. Computed in
    float64. Raises ValueError as `ridge` does.
    """
    mean = features.double().mean(dim=0)
    std = features.double().std(dim=0, correction=0).clamp(min=1e-6)
    probe = LinearProbe(mean, std, torch.empty(0))
    weights = ridge(probe._inputs(features), labels, num_classes, strength)
    return dataclasses.replace(probe, weights=weights)
