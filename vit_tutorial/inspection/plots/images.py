"""Pictures of pictures: patches, grids of images, mistakes."""

import torch
from matplotlib.patches import Rectangle

from ...common.validation import require_int
from ...model.patches import patchify
from .base import COLORS, as_tensor, draw_image, new_figure, number_cells, plain

SLOTS = 16  # patches that the drawn sequence has room for
CHANNELS = {1: ("I",), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
TINTS = {"R": "#f6cfcb", "G": "#cfe8d3", "B": "#cfdcf3", "A": "#e8e8e8", "I": "#e8e8e8"}


def patches(image, patch_size: int, *, numbers: bool = True, zoom: int | None = None):
    """How an image becomes a sequence of tokens, in four panels.

    They show the image with its grid of patches, one patch enlarged, the sequence, and the numbers
    of one token.
    image: a tensor (C, H, W) or (H, W), uint8, bool or float 0..1, of 1, 3 or 4 channels; a PIL
        image; or a file's path.
    patch_size: P, in pixels.
    numbers: write the patches' numbers, row by row from 0; fewer where all would be too small.
    zoom: the patch to enlarge; None takes the one whose pixels vary most.
    Raises ValueError where P does not tile the image, or for a patch that does not exist.
    """
    image = as_tensor(image)
    sequence = patchify(image[None], patch_size)[0]  # (N, P*P*C)
    C, H, W = image.shape
    rows, columns, N = H // patch_size, W // patch_size, len(sequence)
    if zoom is None:
        zoom = int(sequence.float().var(dim=1, correction=0).argmax())
    if not isinstance(zoom, int) or not 0 <= zoom < N:
        raise ValueError(f"zoom is {zoom!r}: the {N} patches are numbered from 0 to {N - 1}")
    row, column = divmod(zoom, columns)

    tall = min(max(4.9 * H / W, 2.6), 4.2)  # inches for the image
    figure = new_figure(
        9,
        tall + 3.1,
        f"An image as a sequence: {H} x {W} pixels = {N} patches of {patch_size} x {patch_size}",
    )
    spec = figure.add_gridspec(3, 2, height_ratios=[tall + 0.4, 1, 0.8], width_ratios=[1.35, 1])
    whole, patch = figure.add_subplot(spec[0, 0]), figure.add_subplot(spec[0, 1])

    draw_image(whole, image)
    whole.set_title(f"the image, cut {rows} x {columns}", fontsize=10)
    _frame(whole, rows, columns, patch_size)
    whole.set_xlabel(f"width: {W} pixels = {columns} patches")
    whole.set_ylabel(f"height: {H} pixels = {rows} patches")
    if numbers:
        number_cells(whole, rows, columns, patch_size, min(tall - 0.1, 4.7 * H / W) / rows)
    box = dict(fill=False, edgecolor=COLORS["patch"], linewidth=2.5, zorder=4)
    whole.add_patch(
        Rectangle(
            (column * patch_size - 0.5, row * patch_size - 0.5), patch_size, patch_size, **box
        )
    )

    top, left = row * patch_size, column * patch_size
    draw_image(patch, image[:, top : top + patch_size, left : left + patch_size])
    patch.set_title(f"patch {zoom} (row {row}, column {column}), enlarged", fontsize=10)
    pixel_numbers = numbers and patch_size <= 16  # four digits and more would hide the patch
    patch.set_xlabel(
        f"{patch_size} x {patch_size} pixels, read row by row"
        + (", as numbered" if pixel_numbers else "")
    )
    patch.spines[:].set(color=COLORS["patch"], linewidth=2.5)
    if pixel_numbers:
        number_cells(patch, patch_size, patch_size, 1, min(tall - 0.1, 3.4) / patch_size)

    _draw_sequence(figure.add_subplot(spec[1, :]), image, patch_size, zoom)
    _draw_token(
        figure.add_subplot(spec[2, :]),
        sequence[zoom],
        zoom,
        patch_size,
        C,
        image.dtype == torch.uint8,
    )
    return figure


def _frame(axes, rows: int, columns: int, patch_size: int) -> None:
    """Lines between the patches, thin where there are many."""
    line = dict(color="white", linewidth=1.2 if max(rows, columns) <= 16 else 0.5)
    axes.hlines(
        [r * patch_size - 0.5 for r in range(1, rows)], -0.5, columns * patch_size - 0.5, **line
    )
    axes.vlines(
        [c * patch_size - 0.5 for c in range(1, columns)], -0.5, rows * patch_size - 0.5, **line
    )


def _shown(count: int, zoom: int) -> list[int]:
    """The patches of a long sequence that are drawn: the first, those around `zoom`, the last."""
    if count <= SLOTS:
        return list(range(count))
    shown = {0, 1, count - 2, count - 1} | {n for n in (zoom - 1, zoom, zoom + 1) if 0 <= n < count}
    following = iter(range(2, count))
    while len(shown) < SLOTS - 2:  # two places are left for the dots
        shown.add(next(following))
    return sorted(shown)


def _draw_sequence(axes, image: torch.Tensor, P: int, zoom: int) -> None:
    columns, count = image.shape[2] // P, (image.shape[1] // P) * (image.shape[2] // P)
    place, before, ticks = 0.0, -1, []
    for n in _shown(count, zoom):
        if n != before + 1:
            axes.text(place + 0.25, 0.5, "…", ha="center", va="center", fontsize=14)
            place += 0.6
        r, c = n // columns * P, n % columns * P
        draw_image(axes, image[:, r : r + P, c : c + P], extent=(place, place + 1, 0, 1))
        edge = (
            dict(edgecolor=COLORS["patch"], linewidth=2.5)
            if n == zoom
            else dict(edgecolor="0.4", linewidth=0.6)
        )
        axes.add_patch(Rectangle((place, 0), 1, 1, fill=False, zorder=4, **edge))
        ticks.append((place + 0.5, n))
        place, before = place + 1.12, n
    axes.set(xlim=(-0.1, max(place, 8)), ylim=(-0.05, 1.05), aspect="equal", anchor="W")
    axes.set_xticks([x for x, _ in ticks], [str(n) for _, n in ticks], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(
        f"the sequence: {count} patches, row by row (below each: its number)",
        fontsize=10,
        loc="left",
    )


def _draw_token(axes, token: torch.Tensor, zoom: int, P: int, C: int, whole_numbers: bool) -> None:
    """The first numbers of one flattened patch, in order: pixel by pixel, the channel fastest."""
    names, pixels = CHANNELS[C], min(P * P, 12 // C)
    for i, value in enumerate(token[: pixels * C].tolist()):
        text = f"{names[i % C]} " if C > 1 else ""
        text += str(int(value)) if whole_numbers else f"{value:.2f}"
        x = i + 0.25 * (i // C)  # a small step between pixels
        axes.add_patch(
            Rectangle((x, 0), 1, 1, facecolor=TINTS[names[i % C]], edgecolor="0.4", linewidth=0.6)
        )
        axes.text(x + 0.5, 0.5, text, ha="center", va="center", fontsize=9)
    if pixels < P * P:
        axes.text(12 + 0.25 * pixels, 0.5, "…", ha="center", va="center", fontsize=14)
    axes.set(xlim=(-0.1, 16), ylim=(-0.05, 1.05))
    middle = [(p + 0.5) * C + 0.25 * p for p in range(pixels)]
    axes.set_xticks(middle, [f"pixel {p}" if C > 1 else f"{p}" for p in range(pixels)], fontsize=9)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    unit = "0 to 255" if whole_numbers else "0 to 1"
    order = "R, G, B of each pixel in turn" if C > 1 else "pixel after pixel"
    axes.set_title(
        f"what token {zoom} holds: {P}·{P}·{C} = {len(token)} numbers, {order} (each {unit})",
        fontsize=10,
        loc="left",
    )


def image_grid(
    images, titles=None, columns: int = 8, *, title: str | None = None, inches: float = 1.1
):
    """Images side by side, row by row.

    images: a tensor (n, C, H, W) or (n, H, W), or a list of pictures, each as in `patches`; their
        sizes may differ.
    titles: a text for each. columns: at most this many; fewer where they would be wider than a
    page.
    inches: the least width of a picture.
    Raises ValueError for no images, or when the titles do not match the images.
    """
    require_int("columns", columns)
    pictures = [as_tensor(image) for image in images]
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} images: give one for each")
    if not pictures:
        raise ValueError("image_grid has no images to show: 0 were given")
    lines = [line for text in titles or [] for line in str(text).splitlines()]
    # a title must not be wider than its picture
    inches = max(inches, 0.075 * max(map(len, lines), default=0))
    columns, fitting = min(columns, len(pictures)), max(1, int(9.6 / (inches + 0.08)))
    if fitting < columns:
        columns = -(-len(pictures) // -(-len(pictures) // fitting))  # rows of about the same length
    rows = -(-len(pictures) // columns)
    tallest = max(picture.shape[1] / picture.shape[2] for picture in pictures)
    height = inches * min(tallest, 3)
    height += 0.08 + 0.17 * max((str(text).count("\n") + 1 for text in titles or []), default=0)
    heading = (title or "").splitlines()
    width = max(columns * (inches + 0.08), 0.09 * max(map(len, heading), default=0), 1.5)
    figure = new_figure(width, rows * height + 0.22 * len(heading) + 0.1, title)
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if i >= len(pictures):
            axes.set_axis_off()
            continue
        draw_image(axes, pictures[i])
        if titles is not None:
            axes.set_title(plain(titles[i]), fontsize=9)
    return figure


def most_confident_errors(
    images, true, predicted, confidence, class_names, *, count: int = 16, columns: int = 8
):
    """The mistakes that the model was surest of, the surest first.

    Above each are the model's answer, its confidence and the true class. Where nothing is wrong the
    figure says so.
    images: (n, C, H, W), uint8 or float 0..1. true, predicted: class numbers (n,).
    confidence: probability of the predicted class (n,), 0 to 1. count: how many to show.
    Raises ValueError for other lengths or ranges.
    """
    require_int("count", count)
    true, predicted, confidence = (
        torch.as_tensor(x).detach().cpu() for x in (true, predicted, confidence)
    )
    sizes = [len(images), *(tuple(x.shape) for x in (true, predicted, confidence))]
    if any(size != (sizes[0],) for size in sizes[1:]):
        raise ValueError(
            f"{sizes[0]} images, but true, predicted and confidence are {sizes[1]}, {sizes[2]} "
            f"and {sizes[3]}: give (n,) for each"
        )
    top = int(max(true.max(), predicted.max())) if len(true) else -1
    if top >= len(class_names) or (len(true) and min(true.min(), predicted.min()) < 0):
        raise ValueError(
            f"class numbers run up to {top}, but there are {len(class_names)} class names: "
            f"0 to {len(class_names) - 1}"
        )
    if len(confidence) and not 0 <= confidence.min() <= confidence.max() <= 1 + 1e-4:
        raise ValueError(
            f"confidence runs from {confidence.min():.3g} to {confidence.max():.3g}: "
            "it is a probability, 0 to 1; from logits: logits.softmax(-1).amax(-1)"
        )
    wrong = (true != predicted).nonzero()[:, 0]
    order = wrong[confidence[wrong].argsort(descending=True, stable=True)][:count].tolist()
    if not order:
        figure = new_figure(6, 1.2)
        figure.text(
            0.5,
            0.5,
            f"No mistakes among {len(true)} images.",
            ha="center",
            va="center",
            fontsize=12,
        )
        return figure
    heading = f"The {len(order)} surest of {len(wrong)} mistakes"
    if len(order) == len(wrong):
        heading = f"Mistakes: {len(wrong)}"
    return image_grid(
        [images[i] for i in order],
        [
            f"{class_names[predicted[i]]} ({confidence[i]:.0%})\nis: {class_names[true[i]]}"
            for i in order
        ],
        columns,
        title=f"{heading} among {len(true)} images\n"
        "above each: the model's answer (how sure), and what it is",
    )
