"""One frozen description of a Vision Transformer: everything that fixes its shapes, checked when it is made."""

import dataclasses
import difflib
import re

from ..common.validation import require_choice, require_divides, require_heads, require_int

POOLS = ("class", "mean")
CLASS_TOKENS = ("first", "last", "none")
POSITIONS = (
    "none",
    "learned_1d",
    "learned_2d",
    "sinusoidal_1d",
    "sinusoidal_2d",
    "relative",
    "rotary",
)
IN_ATTENTION = ("relative", "rotary")  # these change scores, the others add to tokens
POSITION_SITES = ("stem", "every_layer", "every_layer_shared")
POSITION_INITS = ("normal", "truncated_normal")
STEMS = ("patches", "convolutional")

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
    """Every choice that fixes a ViT's shapes. Raises ValueError, with the numbers, for one that cannot be built.

    image_size: side in pixels, or (height, width). patch_size: P, in pixels; both sides must be multiples of it.
    dim: D, the width of a token. depth: encoder blocks. num_heads: h, must divide D. mlp_dim: hidden width, 4 D if None.
    pool: what becomes the representation, the class token ("class", the paper) or the mean of the patch tokens
        ("mean", as in Zhai et al. 2022, "Scaling Vision Transformers").
    position: one of POSITIONS. position_site: where it enters, once at the "stem" (the paper), in "every_layer", or
        "every_layer_shared" (one table for all; the paper's appendix D.4). None picks "every_layer" for relative and rotary.
    dropout: probability in [0, 1), on the tokens at the stem, after attention, in the MLP.
    drop_path_rate: probability in [0, 1) that training skips the last block's attention, and its MLP, for an image; it rises
        from 0 in the first block in even steps (Huang et al. 2016; timm's drop_path_rate).

    stem: what makes tokens of an image: "patches" (the paper's linear layer, each patch by itself), or "convolutional"
        (overlapping 3 x 3 convolutions, Xiao et al. 2021; patch_size must be a power of two).

    Where implementations in the field differ:
    class_token: "first" (the paper, torchvision, timm), "last", or "none". None picks "first" for pool="class", else "none".
    position_std: standard deviation of learned positions at the start; 0.02 (torchvision, timm), 1.0 (vit-pytorch), 0 (zeros).
    position_init: "normal", or "truncated_normal" (nothing beyond two standard deviations).
    position_frozen: True keeps a learned kind at its random start.
    position_class_token: True gives the class token a position too (the paper); False joins it later (timm's no_embed_class).
    patch_norms: a LayerNorm before and one after the patch projection (vit-pytorch); the paper has neither.
    qkv_bias: False in vit-pytorch. norm_eps: 1e-6 (torchvision, timm), 1e-5 (vit-pytorch).
    norm_after_pool: the last LayerNorm comes after pooling (timm's fc_norm) and not before it (the paper, torchvision).
    """

    image_size: int | tuple[int, int] = 32
    patch_size: int = 4
    channels: int = 3
    num_classes: int = 10
    dim: int = 192
    depth: int = 6
    num_heads: int = 3
    mlp_dim: int | None = None
    pool: str = "class"
    position: str = "learned_1d"
    dropout: float = 0.0
    class_token: str | None = None
    position_std: float = 0.02
    position_class_token: bool = True
    position_site: str | None = None
    position_init: str = "normal"
    position_frozen: bool = False
    patch_norms: bool = False
    qkv_bias: bool = True
    norm_eps: float = 1e-6
    norm_after_pool: bool = False
    drop_path_rate: float = 0.0
    stem: str = "patches"

    def __post_init__(self):
        size = self.image_size
        object.__setattr__(
            self, "image_size", (size, size) if isinstance(size, int) else tuple(size)
        )
        if self.mlp_dim is None:
            object.__setattr__(self, "mlp_dim", 4 * self.dim)
        if self.class_token is None:
            object.__setattr__(self, "class_token", "first" if self.pool == "class" else "none")
        if self.position_site is None:
            object.__setattr__(
                self, "position_site", "every_layer" if self.position in IN_ATTENTION else "stem"
            )
        self._check()

    def _check(self):
        if len(self.image_size) != 2:
            raise ValueError(f"image_size is {self.image_size}: give one side, or (height, width)")
        for name in (
            "patch_size",
            "channels",
            "num_classes",
            "dim",
            "depth",
            "num_heads",
            "mlp_dim",
        ):
            require_int(name, getattr(self, name))
        require_divides(self.image_size, self.patch_size)
        require_heads(self.dim, self.num_heads)
        require_choice("pool", self.pool, POOLS)
        require_choice("position", self.position, POSITIONS)
        require_choice("class_token", self.class_token, CLASS_TOKENS)
        if self.pool == "class" and self.class_token == "none":
            raise ValueError(
                "pool='class' reads a class token, but class_token is 'none': use 'first' or 'last', or pool='mean'"
            )
        for name in ("dropout", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: it is a probability, from 0 up to but not including 1"
                )
        if self.position_std < 0:
            raise ValueError(
                f"position_std is {self.position_std}: a standard deviation is not negative; 0 starts from zeros"
            )
        self._check_stem()
        self._check_position()

    def _check_stem(self):
        require_choice("stem", self.stem, STEMS)
        if self.stem == "patches":
            return
        P = self.patch_size
        if P < 2 or P & (P - 1):
            raise ValueError(
                f"the convolutional stem halves the image step by step: patch_size is {P}, take 2, 4, 8, 16 or 32"
            )
        if self.dim % (P // 2):
            raise ValueError(
                f"the convolutional stem doubles its channels up to dim: {self.dim} is not a multiple of {P // 2}"
            )
        if self.patch_norms:
            raise ValueError(
                "patch_norms=True has no patches to normalise in a convolutional stem: leave it out"
            )

    def _check_position(self):
        require_choice("position_site", self.position_site, POSITION_SITES)
        require_choice("position_init", self.position_init, POSITION_INITS)
        if self.position in IN_ATTENTION and self.position_site == "stem":
            raise ValueError(
                f"{self.position} positions act inside attention, not at the stem: every_layer or every_layer_shared"
            )
        if self.position == "none" and self.position_site != "stem":
            raise ValueError(
                f"position='none' has nothing to add at {self.position_site!r}: leave position_site out"
            )
        if (
            self.position_site != "stem"
            and self.class_token != "none"
            and not self.position_class_token
            and self.position not in IN_ATTENTION
        ):
            raise ValueError(
                "positions in every layer meet all tokens: position_class_token=False works at the stem only"
            )
        if self.position.startswith("sinusoidal") and self.dim % 4:
            raise ValueError(
                f"{self.position} positions need a width that 4 divides, for sines and cosines, not {self.dim}"
            )
        if self.position == "learned_2d" and self.dim % 2:
            raise ValueError(
                f"learned_2d gives half of the width to the row and half to the column: {self.dim} is odd"
            )
        if self.position == "rotary" and (self.dim // self.num_heads) % 4:
            width = self.dim // self.num_heads
            raise ValueError(
                f"rotary positions turn pairs for rows and for columns: a head's width must be a multiple of 4, not {width}"
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
    def num_tokens(self) -> int:
        """T: N patch tokens, and one more with a class token."""
        return self.num_patches + (self.class_token != "none")

    @property
    def patch_dim(self) -> int:
        """Numbers in one patch, P * P * C."""
        return self.patch_size**2 * self.channels

    @classmethod
    def named(cls, name: str, **changes) -> "ViTConfig":
        """A named variant, with `changes` to any field: 'ViT-B/16' (Ti, S, B, L, H and any patch size; 224 px, 1000
        classes) or 'CIFAR-96x4/4' (width x depth / patch size; 32 px, 10 classes, heads of 32, MLP x2, mean pooling)."""
        if match := re.fullmatch(r"ViT-(Ti|S|B|L|H)/(\d+)", name):
            base = dict(
                image_size=224, num_classes=1000, patch_size=int(match[2]), **_SIZES[match[1]]
            )
        elif match := re.fullmatch(r"CIFAR-(\d+)x(\d+)/(\d+)", name):
            dim, depth, patch = map(int, match.groups())
            base = dict(image_size=32, num_classes=10, patch_size=patch, dim=dim, depth=depth)
            base |= dict(num_heads=max(1, dim // 32), mlp_dim=2 * dim, pool="mean")
        else:
            known = [f"ViT-{size}/{patch}" for size in _SIZES for patch in (16, 32, 14)] + [
                "CIFAR-96x4/4"
            ]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise ValueError(
                f"unknown variant {name!r}: did you mean {near!r}? ViT-SIZE/PATCH or CIFAR-WIDTHxDEPTH/PATCH"
            )
        return cls(**base | changes)
