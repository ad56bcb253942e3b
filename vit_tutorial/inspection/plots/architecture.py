"""One drawing of the whole Vision Transformer, with shapes and parameter counts from its config."""

import torch

from ...common.validation import require_choice
from ...data.photographs import photograph
from ...model.config import ADDED, ViTConfig
from ...model.vit import VisionTransformer
from .base import COLORS, draw_image, new_figure
from .canvas import Drawing

# Each part that can be lit, and what the picture's description says about it.
PARTS = {
    "patches": "the image cut into patches, and the patch embedding",
    "class_token": "the class token, which joins the patch tokens and is read at the end",
    "positions": "the position embeddings, which are added to the tokens",
    "attention": "multi-head attention inside the encoder block",
    "encoder": "the encoder block with its residual stream",
    "head": "the final LayerNorm, the row that is read, the head and the class scores",
    "training": "the loss, which compares scores and label, and the gradients that flow back",
    "looking": "the attention weights",
}
WIDTH, HEIGHT = 700, 320  # pixels on the page; all places below are in them, from the lower left


def architecture(lit: str | None = None, config: ViTConfig | None = None):
    """The whole ViT from image to class scores: shapes on the way, parameters of each part.

    lit: a name in PARTS: this part in full colour, the others in grey. None: everything in colour.
    config: the model to draw; None for the one whose weights come with the package, CIFAR-96x4/4,
        with a class token. The numbers are those of `VisionTransformer(config)`.
    Raises ValueError for an unknown part.
    """
    if lit is not None:
        require_choice("part", lit, tuple(PARTS))
    if config is None:
        config = ViTConfig.named("CIFAR-96x4/4", pool="class")
    figure = new_figure(WIDTH / 100, HEIGHT / 100)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    drawing = Drawing(axes, lit, config, count_parameters(config))
    _draw_image_to_tokens(drawing)
    _draw_encoder(drawing)
    _draw_end(drawing)
    figure.sharpness, figure.alt = 2, _description(lit, config, drawing.counts)
    return figure


def count_parameters(config: ViTConfig) -> dict[str, int]:
    """The parameters of each part of the model, counted without making them."""
    with torch.device("meta"):
        model = VisionTransformer(config)
    block = model.encoder.blocks[0]
    parts = {
        "patch_embedding": model.patch_embedding,
        "position": model.position,
        "norm1": block.norm1,
        "attention": block.attention,
        "norm2": block.norm2,
        "mlp": block.mlp,
        "block": block,
        "norm": model.norm,
        "head": model.head,
        "all": model,
    }
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    counts["class_token"] = 0 if model.class_token is None else model.class_token.numel()
    return counts


ROWS = (270, 252, 234, 208)  # where the first three patch tokens and the last one lie
CLASS_ROW, DOTS, NAMES, SHAPES = 288, 221, 313, 190
STREAM = 50  # the height of the residual stream in the lower row


def _heading(d: Drawing, x, name, count, parts, color="black"):
    """A part's name, and below it its parameters."""
    d.text(x, NAMES, name, parts, weight="bold", color=color)
    d.count(x, NAMES - 11, f"{count:,} parameters", parts)


def _tokens(d: Drawing, x, parts, *, token=None, positions=False, width=40, only=None):
    """A column of tokens: bars, the class token's on top. only: another colour for all of them."""
    rows = [(y, only or COLORS["token"], parts) for y in ROWS]
    if d.config.class_token != "none" and token:
        rows.insert(0, (CLASS_ROW, only or COLORS["class_token"], token))
    for y, color, lit_by in rows:
        d.bar(x, y - 6, width, 12, color, lit_by)
        if positions:  # what the sum holds of its position
            d.bar(x, y - 6, width, 4, COLORS["position"], "positions encoder")
    d.text(x + width / 2, DOTS, "⋮", parts, size=9)


def _draw_image_to_tokens(d: Drawing) -> None:
    """The upper row: image, patches, patch embedding, class token, positions."""
    c, D = d.config, d.config.dim
    N, T = c.num_patches, c.num_tokens
    _draw_patches(d)
    d.arrow((139, 239), (156, 239), "patches")
    d.box(158, 213, 110, 52, COLORS["patch"], "patches")
    kind = f"linear {c.patch_dim} → {D}" if c.stem == "patches" else "convolutional stem"
    d.text(213, 252, "patch embedding", "patches", weight="bold")
    d.text(213, 239, kind, "patches")
    d.count(213, 226, f"{d.counts['patch_embedding']:,} parameters", "patches")
    d.arrow((270, 239), (287, 239), "patches")
    _tokens(d, 290, "patches")
    d.text(310, 302, "tokens", "patches", weight="bold")
    d.text(310, SHAPES, f"{N} × {D}", "patches")
    d.arrow((334, 239), (375, 239), "class_token")
    _tokens(d, 380, "class_token", token="class_token")
    if c.class_token != "none":
        color = COLORS["class_token"]
        _heading(d, 400, "class token", d.counts["class_token"], "class_token", color)
    d.text(400, SHAPES, f"{T} × {D}", "class_token")
    added = c.position in ADDED and c.position_site == "stem"
    if added:
        color = COLORS["position"]
        d.plus(457, 239, "positions")
        _tokens(d, 494, "positions", token="positions", only=color)
        _heading(d, 514, "positions", d.counts["position"], "positions", color)
        d.text(514, SHAPES, f"{T} × {D}", "positions")
        d.arrow((540, 239), (588, 239), "positions encoder")
    else:
        d.arrow((426, 239), (588, 239), "encoder")
        d.text(507, 252, f"positions: {c.position}", "positions")
    _tokens(
        d, 593, "positions encoder", token="class_token positions encoder",
        positions=added,
    )  # fmt: skip
    d.text(613, 302, "input tokens", "positions encoder", weight="bold")
    d.text(613, SHAPES, f"{T} × {D}", "positions encoder")


def _draw_patches(d: Drawing) -> None:
    """The cat as this model sees it, cut by white lines; its first patches, and the last one."""
    c = d.config
    rows, columns = c.grid
    image = photograph("cat", max(c.image_size))
    if not d.is_lit("patches"):
        image = image.mean(dim=0, keepdim=True).expand(3, -1, -1) * 0.35 + 0.6
    left, low, side = 12, 197, 86
    draw_image(d.axes, image, extent=(left, left + side, low, low + side), zorder=3)
    line = dict(color="white", linewidth=1.0 if max(rows, columns) <= 16 else 0.5, zorder=4)
    d.axes.vlines([left + side * i / columns for i in range(1, columns)], low, low + side, **line)
    d.axes.hlines([low + side * i / rows for i in range(1, rows)], left, left + side, **line)
    d.text(left + side / 2, 302, "image", "patches", weight="bold")
    d.text(left + side / 2, SHAPES, " × ".join(map(str, (c.channels, *c.image_size))), "patches")
    d.arrow((101, 239), (117, 239), "patches")
    P = c.patch_size
    for number, y in zip((0, 1, 2, c.num_patches - 1), ROWS):
        r, col = divmod(number, columns)
        tile = image[:, r * P : (r + 1) * P, col * P : (col + 1) * P]
        draw_image(d.axes, tile, extent=(121, 136, y - 7.5, y + 7.5), zorder=3)
        d.frame(121, y - 7.5, 15, COLORS["patch"], "patches")
    d.axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="auto")
    d.text(128.5, DOTS, "⋮", "patches", size=9)
    d.text(128.5, 302, "patches", "patches", weight="bold")
    d.text(128.5, SHAPES, f"{c.num_patches} × {c.patch_dim}", "patches")


def _draw_encoder(d: Drawing) -> None:
    """The lower row: the stream of tokens, and the block that reads from it and adds to it."""
    c, T = d.config, d.config.num_tokens
    inside, attends = "encoder", "encoder attention"
    points = [(640, 239), (668, 239), (668, 173), (16, 173), (16, STREAM), (503, STREAM), (503, 66)]
    d.path(points, COLORS["token"], inside, line=5)
    d.box(32, 22, 434, 142, COLORS["token"], inside, strength=0.06, round_=8, line=1.3, z=1)
    d.text(76, 153, "encoder", inside, size=8.5, weight="bold")
    d.text(76, 141, f"block × {c.depth}", inside, size=8.5, weight="bold")
    d.count(76, 128, f"{d.counts['block']:,}", inside)
    d.text(180, 34, "residual stream", inside, weight="bold", color=COLORS["token"])
    d.text(366, 34, f"{T} × {c.dim}", inside)
    for x, norm, lit_by in ((76, "norm1", attends), (309, "norm2", inside)):
        d.arrow((x, STREAM + 3), (x, 81), lit_by)
        _draw_norm(d, x, 82, norm, lit_by)
        d.arrow((x + 29, 99), (x + 41, 99), lit_by)
    _draw_attention(d)
    _draw_mlp(d)
    for x, lit_by in ((250, attends), (436, inside)):
        d.arrow((x, 72), (x, STREAM + 8), lit_by)
        d.plus(x, STREAM, lit_by)


def _draw_norm(d: Drawing, x, y, name, parts) -> None:
    d.box(x - 29, y, 58, 34, COLORS["weight"], parts, strength=0.15)
    d.text(x, y + 23, "LayerNorm", parts, size=7)
    d.count(x, y + 10, f"{d.counts[name]:,}", parts)


def _draw_attention(d: Drawing) -> None:
    """Queries and keys make the weights; weights and values make the output."""
    c, T, lit_by = d.config, d.config.num_tokens, "encoder attention"
    seen = f"{lit_by} looking"
    d.box(118, 72, 146, 87, COLORS["query"], lit_by, strength=0.12)
    d.text(191, 150, "multi-head attention", lit_by, weight="bold")
    d.count(191, 139, f"{d.counts['attention']:,}", lit_by)
    for y, letter, name in ((118, "Q", "query"), (100, "K", "key"), (82, "V", "value")):
        parts = lit_by if name == "value" else seen
        d.box(124, y - 7, 16, 14, COLORS[name], parts, strength=0.8, round_=2)
        d.text(132, y - 0.5, letter, parts, weight="bold", size=7)
    d.arrow((142, 117), (161, 112), seen)
    d.arrow((142, 100), (161, 104), seen)
    _draw_weights(d, 163, 90, 33, seen)
    d.text(180, 129, f"{c.num_heads} × {T} × {T}", seen, size=7)
    d.arrow((198, 106), (216, 106), lit_by)
    d.arrow((142, 81), (216, 81), lit_by)
    for i in range(4):
        d.bar(219, 77 + 9 * i, 36, 7, COLORS["output"], lit_by, strength=0.75)


def _draw_weights(d: Drawing, x, y, side, parts) -> None:
    """A small table of attention weights, each row with its sum of 1."""
    n = 6
    draw = torch.Generator().manual_seed(3)
    weights = (2.2 * torch.randn(n, n, generator=draw)).softmax(dim=1)
    for row in range(n):
        for column in range(n):
            strength = 0.06 + 0.94 * float(weights[row, column]) ** 0.7
            place = x + side / n * column, y + side / n * (n - 1 - row), side / n, side / n
            reads = row == 0 and d.config.class_token != "none"  # what the class token reads
            d.bar(*place, COLORS["class_token"] if reads else "#303030", parts, strength)
    d.frame(x, y, side, COLORS["weight"], parts)


def _draw_mlp(d: Drawing) -> None:
    c, lit_by = d.config, "encoder"
    d.box(351, 72, 106, 87, COLORS["token"], lit_by, strength=0.15)
    d.text(404, 150, "MLP", lit_by, weight="bold")
    d.count(404, 139, f"{d.counts['mlp']:,}", lit_by)
    for x, height in ((362, 20), (399, 40), (436, 20)):
        d.bar(x, 109 - height / 2, 10, height, COLORS["token"], lit_by)
    for x, low, high in ((373, 20, 40), (410, 40, 20)):
        for sign in (-1, 1):
            ends = [109 + sign * low / 2, 109 + sign * high / 2]
            d.axes.plot([x, x + 25], ends, linewidth=1, zorder=5, color=d.paint("#404040", lit_by))
    for x, width in ((367, c.dim), (404, c.mlp_dim), (441, c.dim)):
        d.text(x, 81, str(width), lit_by, size=7)
    d.text(422.5, 109, "GELU", lit_by, size=6)


def _draw_end(d: Drawing) -> None:
    """Final LayerNorm, the row that is read, head, scores; the loss and the way back."""
    c, head = d.config, "head"
    _draw_norm(d, 503, 66, "norm", head)
    d.arrow((532, 83), (542, 83), head)
    by_class = c.pool == "class"
    for y, token in ((112, True), (96, False), (80, False), (56, False)):
        color, strength = COLORS["token"], 0.25 if by_class else 1
        if token and c.class_token != "none":
            color, strength = COLORS["class_token"], 1 if by_class else 0.25
        d.bar(545, y - 6, 28, 12, color, f"{head} class_token" if token else head, strength)
    d.text(559, 69, "⋮", head, size=9)
    read = "class token's\nrow" if by_class else "mean of\nthe rows"
    d.text(555, 135, f"{read}: {c.dim}", f"{head} class_token" if by_class else head)
    d.arrow((575, 112), (586, 112), head)
    d.box(588, 92, 50, 40, COLORS["output"], head, strength=0.08)
    d.text(613, 124, "head", head, weight="bold")
    small = c.num_classes >= 100
    d.text(613, 112, f"{c.dim} → {c.num_classes}", head, size=5.6 if small else 7)
    d.count(613, 100, f"{d.counts['head']:,}", head)
    d.arrow((640, 112), (650, 112), head)
    for i, width in enumerate((7, 5, 10, 26, 8, 17, 6, 9, 4, 5)):  # an example
        strength = 0.9 if i == 3 else 0.4
        d.bar(652, 141 - 6.8 * i, width, 5.8, COLORS["output"], head, strength)
    d.text(680, 123.5, "cat", head, size=7, ha="left")
    d.text(667, 157, f"{c.num_classes:,} scores", head, size=6 if small else 7.5, weight="bold")
    _draw_training(d)


def _draw_training(d: Drawing) -> None:
    lit_by, red = "training", COLORS["class_token"]
    d.arrow((664, 75), (664, 56), lit_by)
    d.box(582, 22, 112, 32, COLORS["key"], lit_by, strength=0.25)
    d.text(638, 45, "loss", lit_by, weight="bold")
    d.text(638, 33, "scores against label", lit_by, size=7)
    back = dict(linestyle=(0, (4, 2)))
    d.path([(638, 21), (638, 8), (16, 8), (16, 34)], red, lit_by, line=1.2, z=3, **back)
    d.arrow((16, 30), (16, 43), lit_by, color=red)
    words = f"gradients flow back to all {d.counts['all']:,} parameters"
    white = dict(facecolor="white", edgecolor="none", pad=1.5)
    d.text(330, 8.5, words, lit_by, color=red, bbox=white)


def _description(lit: str | None, c: ViTConfig, counts: dict[str, int]) -> str:
    """What the picture shows, in words."""
    token = "a class token is put in front, " if c.class_token != "none" else ""
    added = c.position in ADDED and c.position_site == "stem"
    position = "position embeddings are added. " if added else "no positions are added. "
    read = "the class token's row" if c.pool == "class" else "the mean of all rows"
    size = " x ".join(map(str, c.image_size))
    text = (
        f"Drawing of a Vision Transformer with {counts['all']:,} parameters, from left to right. "
        f"An image of {size} pixels is cut into {c.num_patches} patches of {c.patch_dim} numbers; "
        f"a linear layer turns each into a token of {c.dim} numbers; {token}{position}"
        f"The {c.num_tokens} tokens flow along a thick line, the residual stream, through "
        f"{c.depth} encoder blocks: LayerNorm and multi-head attention read from the line and add "
        f"to it, then LayerNorm and an MLP. After a last LayerNorm, {read} goes through the head "
        f"and becomes {c.num_classes:,} class scores, which the loss compares with the label. "
    )
    return text + (f"In colour: {PARTS[lit]}." if lit else "Everything is in colour.")
