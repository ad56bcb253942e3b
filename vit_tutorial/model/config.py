"""One frozen description of a Vision Transformer, checked when it is created."""

import dataclasses
import re

from ..common.validation import (
    both_sides,
    nearest,
    require_choice,
    require_divides,
    require_heads,
    require_int,
    require_tensor,
    require_types,
)

POOLS = ("class", "mean")
CLASS_TOKENS = ("first", "last", "none")
ADDED = ("learned_1d", "learned_2d", "sinusoidal_1d", "sinusoidal_2d")  # added to the tokens
IN_ATTENTION = ("relative", "rotary")  # these change the scores inside attention
POSITIONS = ("none", *ADDED, *IN_ATTENTION)
POSITION_SITES = ("stem", "every_layer", "every_layer_shared")
POSITION_INITS = ("normal", "truncated_normal")
STEMS = ("patches", "convolutional")
DEEPEST = 1000  # blocks: more is a mistake in typing

# Paper (Dosovitskiy et al. 2021), table 1; Ti and S are DeiT's (Touvron et al. 2021), table 1.
_SIZES = {
    "Ti": dict(dim=192, depth=12, num_heads=3, mlp_dim=768),
    "S": dict(dim=384, depth=12, num_heads=6, mlp_dim=1536),
    "B": dict(dim=768, depth=12, num_heads=12, mlp_dim=3072),
    "L": dict(dim=1024, depth=24, num_heads=16, mlp_dim=4096),
    "H": dict(dim=1280, depth=32, num_heads=16, mlp_dim=5120),
}


@dataclasses.dataclass(frozen=True)
class ViTConfig:
    """All the choices that define a Vision Transformer. The defaults are a small one for CIFAR-10.

    A field that is None is filled in from the others, as its comment says, so a finished config
    holds no None. `named` gives the models of the paper; `dataclasses.replace` changes a copy.
    Raises ValueError, with the numbers and what to do, for a model that cannot be built.
    """

    # --- What fixes the shapes.
    image_size: int | tuple[int, int] = 32  # side in pixels, or (height, width)
    patch_size: int = 4  # P, in pixels; must divide both sides of the image
    channels: int = 3  # C, 1 for grey images
    num_classes: int = 10  # length of the logits
    dim: int = 192  # D, the width of a token
    depth: int = 6  # number of encoder blocks
    num_heads: int = 3  # h, must divide D; each head has the width d = D / h
    mlp_dim: int | None = None  # hidden width of the MLPs; None: 4 D

    # --- Choices. The paper's comes first.
    stem: str = "patches"  # a linear layer for each patch, or "convolutional" (Xiao et al. 2021)
    # What the head reads: the class token, or the "mean" of the patch tokens (Zhai et al. 2022,
    # "Scaling Vision Transformers").
    pool: str = "class"
    position: str = "learned_1d"  # one of POSITIONS
    # Added once at the "stem", in "every_layer", or in "every_layer_shared" with one table for all
    # (the paper's appendix D.4). None: "every_layer" for relative and rotary, else "stem".
    position_site: str | None = None
    dropout: float = 0.0  # probability, on tokens at the stem, after attention and in MLPs
    # Stochastic depth (Huang et al. 2016): the probability that training skips the attention of
    # the last block, or its MLP, for an image. It grows in even steps from 0 in the first block.
    drop_path_rate: float = 0.0

    # --- Where implementations in the field differ.
    # "first" (the paper, torchvision, timm, vit-pytorch), "last", or "none".
    # None: "first" for pool="class", else "none".
    class_token: str | None = None
    # True gives the class token a position too (the paper, torchvision, timm, vit-pytorch). False
    # adds positions before it joins (timm's no_embed_class).
    position_class_token: bool = True
    # Standard deviation of the initial learned positions: 0.02 (the paper, torchvision, timm),
    # 1.0 (vit-pytorch), or 0 for zeros.
    position_std: float = 0.02
    position_init: str = "normal"  # or "truncated_normal": nothing beyond 2 standard deviations
    position_frozen: bool = False  # True keeps learned positions at their initial values
    patch_norms: bool = False  # LayerNorms around the patch projection: True only in vit-pytorch
    qkv_bias: bool = True  # False in vit-pytorch
    norm_eps: float = 1e-6  # the paper, torchvision, timm; vit-pytorch has 1e-5, PyTorch's default
    # True puts the last LayerNorm after pooling (timm's fc_norm), not before it (the paper,
    # torchvision, vit-pytorch).
    norm_after_pool: bool = False

    def __post_init__(self):
        self._set("image_size", both_sides(self.image_size))
        if self.mlp_dim is None:
            require_int("dim", self.dim)
            self._set("mlp_dim", 4 * self.dim)
        if self.class_token is None:
            self._set("class_token", "first" if self.pool == "class" else "none")
        if self.position_site is None:
            self._set("position_site", "every_layer" if self.position in IN_ATTENTION else "stem")
        self._check()
        self._check_stem()
        self._check_position()

    def _set(self, name: str, value) -> None:
        object.__setattr__(self, name, value)  # the class is frozen: only __post_init__ may do this

    def _check(self) -> None:
        sizes = "patch_size", "channels", "num_classes", "dim", "depth", "num_heads", "mlp_dim"
        for name in sizes:
            most = dict(maximum=DEEPEST) if name == "depth" else {}
            require_int(name, getattr(self, name), **most)
        require_divides(self.image_size, self.patch_size)
        require_heads(self.dim, self.num_heads)
        require_choice("pool", self.pool, POOLS)
        require_choice("position", self.position, POSITIONS)
        require_choice("class_token", self.class_token, CLASS_TOKENS)
        if self.pool == "class" and self.class_token == "none":
            raise ValueError(
                "pool='class' reads a class token, but class_token is 'none': use 'first' or "
                "'last', or pool='mean'"
            )
        require_types(self)
        for name in ("dropout", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: it is a probability, from 0 up to but not "
                    "including 1"
                )
        if not 0 <= self.position_std <= 1000:
            raise ValueError(
                f"position_std is {self.position_std}: a standard deviation is not negative, and "
                "1000 is the most; 0 starts from zeros"
            )
        if not 0 < self.norm_eps < 1:
            raise ValueError(
                f"norm_eps is {self.norm_eps}: it is a small number above 0, such as 1e-6"
            )

    def _check_stem(self) -> None:
        require_choice("stem", self.stem, STEMS)
        if self.stem == "patches":
            return
        P = self.patch_size
        if P < 2 or P & (P - 1):  # P & (P - 1) is 0 only for powers of two
            raise ValueError(
                "the convolutional stem halves the image step by step: patch_size is "
                f"{P}, take 2, 4, 8, 16 or 32"
            )
        if self.dim % (P // 2):
            raise ValueError(
                "the convolutional stem doubles its channels up to dim: "
                f"{self.dim} is not a multiple of {P // 2}"
            )
        if self.patch_norms:
            raise ValueError(
                "patch_norms=True has no patches to normalise in a convolutional stem: leave it out"
            )

    def _check_position(self) -> None:
        require_choice("position_site", self.position_site, POSITION_SITES)
        require_choice("position_init", self.position_init, POSITION_INITS)
        at_stem = self.position_site == "stem"
        if self.position in IN_ATTENTION and at_stem:
            raise ValueError(
                f"{self.position} positions act inside attention, not at the stem: use "
                "every_layer or every_layer_shared"
            )
        if self.position == "none" and not at_stem:
            raise ValueError(
                f"position='none' has nothing to add at {self.position_site!r}: leave "
                "position_site out"
            )
        left_out = self.class_token != "none" and not self.position_class_token
        if self.position in ADDED and not at_stem and left_out:
            raise ValueError(
                "positions in every layer are added to all tokens: position_class_token=False "
                "works at the stem only"
            )
        if self.position.startswith("sinusoidal") and self.dim % 4:
            raise ValueError(
                f"{self.position} positions need a width that 4 divides, for sines and cosines, "
                f"not {self.dim}"
            )
        if self.position == "learned_2d" and self.dim % 2:
            raise ValueError(
                "learned_2d gives half of the width to the row and half to the column: "
                f"{self.dim} is odd"
            )
        head_width = self.dim // self.num_heads
        if self.position == "rotary" and head_width % 4:
            raise ValueError(
                "rotary positions turn pairs of entries, half for the row and half for the column: "
                f"a head's width must be a multiple of 4, not {head_width}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches."""
        return self.image_size[0] // self.patch_size, self.image_size[1] // self.patch_size

    @property
    def num_patches(self) -> int:
        """N, the number of patches."""
        return self.grid[0] * self.grid[1]

    @property
    def num_class_tokens(self) -> int:
        """1 with a class token, 0 without."""
        return int(self.class_token != "none")

    @property
    def num_class_positions(self) -> int:
        """1 when the class token has a position of its own, else 0."""
        return self.num_class_tokens if self.position_class_token else 0

    @property
    def num_tokens(self) -> int:
        """T: N patch tokens, and one more with a class token."""
        return self.num_patches + self.num_class_tokens

    @property
    def patch_dim(self) -> int:
        """Numbers in one patch, P * P * C."""
        return self.patch_size**2 * self.channels

    @classmethod
    def named(cls, name: str, **changes) -> "ViTConfig":
        """A named variant, with `changes` to any of its fields. Raises ValueError for other names.

        "ViT-SIZE/PATCH", such as "ViT-B/16": sizes Ti, S, B, L, H; 224 pixels, 1000 classes.
        "CIFAR-WIDTHxDEPTH/PATCH", such as "CIFAR-96x4/4": 32 pixels, 10 classes, heads of width 32,
        an MLP of twice the width, mean pooling.

        >>> ViTConfig.named("CIFAR-96x4/4", pool="class").grid
        (8, 8)
        """
        if not isinstance(name, str):
            raise ValueError(f"a variant is named by a text, such as 'ViT-B/16', not by {name!r}")
        if match := re.fullmatch(r"ViT-(Ti|S|B|L|H)/(\d{1,9})", name):
            base = dict(image_size=224, num_classes=1000, patch_size=int(match[2]))
            base |= _SIZES[match[1]]
        elif match := re.fullmatch(r"CIFAR-(\d{1,9})x(\d{1,9})/(\d{1,9})", name):
            dim, depth, patch = map(int, match.groups())
            base = dict(image_size=32, num_classes=10, patch_size=patch, dim=dim, depth=depth)
            base |= dict(num_heads=max(1, dim // 32), mlp_dim=2 * dim, pool="mean")
        else:
            known = [f"ViT-{size}/{patch}" for size in _SIZES for patch in (16, 32, 14)]
            near = nearest(name, [*known, "CIFAR-96x4/4"], cutoff=0)[0]
            raise ValueError(
                f"unknown variant {name!r}: did you mean {near!r}? "
                "ViT-SIZE/PATCH or CIFAR-WIDTHxDEPTH/PATCH"
            )
        return cls(**base | changes)


def require_config(value) -> None:
    """Raise TypeError, with the way to one, unless `value` is a ViTConfig."""
    if not isinstance(value, ViTConfig):
        raise TypeError(
            f"VisionTransformer takes a ViTConfig, got {value!r}: "
            "ViTConfig.named('ViT-B/16'), or ViTConfig(image_size=32, patch_size=4, ...)"
        )


def require_images(images, config: ViTConfig, any_size: bool = False) -> None:
    """Raise ValueError unless `images` are a float batch of the configuration's channels and size,
    TypeError for what is no tensor."""
    require_tensor("this model", "images", images, "B, C, H, W")
    expected = (config.channels, *(images.shape[2:] if any_size else config.image_size))
    if images.ndim != 4 or images.shape[1:] != expected:
        raise ValueError(
            f"this model takes images (B, {', '.join(map(str, expected))}), got "
            f"{tuple(images.shape)}. One image needs a batch axis, image[None]; another size "
            "needs a resize or a config of its own"
        )
    if not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype}, the model computes with floats: "
            "images.float() / 255, then normalise"
        )
