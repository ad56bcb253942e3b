"""The encoder block as a drawing: a stream of tokens, and two branches that add to it."""

from matplotlib.patches import Circle, FancyBboxPatch

from .base import COLORS, new_figure

# As in the drawing of the whole ViT.
NORM, ATTENTION, MLP = COLORS["weight"], COLORS["query"], COLORS["token"]
STREAM = COLORS["token"]
FORMS = {
    "pre-norm": "Pre-norm (ViT): the stream itself is never normalised",
    "post-norm": "Post-norm (2017): every token passes through every norm",
}
_STREAM, _BRANCH = 0.0, 1.7  # heights of the stream and of the branches


def encoder_block(*forms: str, dim: int = 768, mlp_dim: int = 3072):
    """One drawing below the other for each form, "pre-norm" (alone, if none is named), "post-norm".

    dim, mlp_dim: of the block whose parameters are written under its parts (ViT-B's by default).
    Returns a Figure. Raises ValueError for an unknown form.
    """
    forms = forms or ("pre-norm",)
    if unknown := set(forms) - set(FORMS):
        raise ValueError(f"unknown form {sorted(unknown)[0]!r}: one of {', '.join(FORMS)}")
    figure = new_figure(7, 2.15 * len(forms))
    for axes, form in zip(figure.subplots(len(forms), squeeze=False)[:, 0], forms):
        _draw(axes, form, dim, mlp_dim)
    figure.sharpness, figure.alt = 2, " ".join(_described(form) for form in forms)
    return figure


def _described(form: str) -> str:
    where = "before attention and before the MLP" if form == "pre-norm" else "after each addition"
    return (
        f"An encoder block, {form}: a thick line of tokens runs from left to right. A branch with "
        "attention leaves it and is added back, then one with an MLP. "
        f"A LayerNorm stands {where}."
    )


def _draw(axes, form: str, dim: int, mlp_dim: int) -> None:
    inside = form == "pre-norm"
    axes.set(xlim=(-0.3, 14.3), ylim=(-0.85, 2.75))
    axes.set_axis_off()
    axes.set_title(FORMS[form], fontsize=11)
    parts = (
        ("attention", "tokens read\neach other", ATTENTION, 4 * (dim**2 + dim), 1.2),
        ("MLP", "each token\nby itself", MLP, 2 * dim * mlp_dim + mlp_dim + dim, 7.3),
    )
    axes.annotate(
        "",
        (14.2, _STREAM),
        (0, _STREAM),
        arrowprops=dict(arrowstyle="-|>", lw=5, color=STREAM, shrinkA=0, shrinkB=0),
        zorder=1,
    )
    axes.text(-0.1, -0.6, "tokens (T, D)", color=STREAM, va="center", fontsize=9)
    axes.text(14.2, -0.6, "tokens (T, D)", color=STREAM, va="center", ha="right", fontsize=9)
    axes.text(7.0, -0.6, "the residual stream", color=STREAM, va="center", ha="center", fontsize=9)
    for name, what, color, count, start in parts:
        add = start + (4.6 if inside else 3.4)
        _arrow(axes, (start, _STREAM), (start, _BRANCH), "-")
        _arrow(axes, (start, _BRANCH), (add, _BRANCH), "-")
        _arrow(axes, (add, _BRANCH), (add, _STREAM + 0.26), "-|>")
        if inside:
            _box(axes, start + 1.15, _BRANCH, 1.3, "norm", NORM)
            _box(axes, start + 3.05, _BRANCH, 2.0, name, color)
        else:
            _box(axes, start + 1.7, _BRANCH, 2.0, name, color)
            _box(axes, add + 1.3, _STREAM, 1.3, "norm", NORM)
        middle = start + (3.05 if inside else 1.7)
        axes.text(middle, 0.68, what, ha="center", va="center", fontsize=8)
        axes.text(
            middle, 2.52, f"{count / 1e6:.2f} M parameters", ha="center", va="center", fontsize=8
        )
        axes.add_patch(Circle((add, _STREAM), 0.26, facecolor="white", edgecolor=STREAM, lw=2))
        axes.text(add, _STREAM - 0.01, "+", ha="center", va="center", fontsize=12, zorder=5)
    axes.set_aspect("equal")


def _arrow(axes, start, end, style: str) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops=dict(arrowstyle=style, lw=1.5, color="0.25", shrinkA=0, shrinkB=0),
        zorder=2,
    )


def _box(axes, x: float, y: float, width: float, text: str, color: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.36),
            width,
            0.72,
            boxstyle="round,pad=0.02,rounding_size=0.12",
            facecolor=color,
            edgecolor="none",
            zorder=3,
        )
    )
    axes.text(x, y, text, ha="center", va="center", color="white", fontsize=10, zorder=4)
