"""The commands that draw a picture: `show-patches` and `similarity`."""

from pathlib import Path

from .options import image_size


def add_to(commands) -> None:
    """Add the two commands to `commands`."""
    show = commands.add_parser(
        "show-patches",
        help="a picture of an image's patches, as a ViT reads them",
        description=(
            "Cut the middle of an image into numbered patches and draw the grid, "
            "the sequence, and the numbers of one token."
        ),
    )
    show.add_argument("image", type=Path, help="any image file")
    show.add_argument(
        "--patch-size",
        type=int,
        default=16,
        metavar="P",
        help="side of a patch in pixels (default 16)",
    )
    show.add_argument(
        "--image-size",
        type=image_size,
        default=224,
        metavar="PX",
        help="side that the image is resized to, or HEIGHTxWIDTH (default 224)",
    )
    show.add_argument(
        "--out", type=Path, default=Path("patches.png"), help="file to write (default patches.png)"
    )
    show.set_defaults(run=run_show_patches)

    similarity = commands.add_parser(
        "similarity",
        help="draw how similar a model's position embeddings are",
        description=(
            "Draw, for each patch, the cosine similarity of its position embedding with every "
            "patch's. Print numbers about the structure of the table, beside those of the same "
            "rows in shuffled order and of random rows."
        ),
    )
    similarity.add_argument(
        "model", help="a checkpoint of train (file or folder), timm:NAME, or torchvision:NAME"
    )
    similarity.add_argument(
        "--out",
        type=Path,
        default=Path("similarity.png"),
        help="the picture (default similarity.png)",
    )
    similarity.add_argument(
        "--untrained",
        action="store_true",
        help="timm and torchvision: random weights, no download",
    )
    similarity.set_defaults(run=run_similarity)


def run_show_patches(args) -> int:
    import torch

    from ..common.validation import require_divides, require_int
    from ..data.decode import UNREADABLE, read_image
    from ..inspection import plots

    size = args.image_size
    size = size if isinstance(size, tuple) else (size, size)
    for side in size:
        require_int("image size", side)
    require_divides(size, args.patch_size)
    try:
        image = torch.from_numpy(read_image(args.image, size).copy()).permute(2, 0, 1)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(
            f"{args.image} cannot be read as an image ({error}): give a JPEG, PNG, WebP, ..."
        ) from None
    plots.save(plots.patches(image, args.patch_size), args.out)
    count = (size[0] // args.patch_size) * (size[1] // args.patch_size)
    print(
        f"{args.out}: {count} patches of {args.patch_size}x{args.patch_size} pixels, "
        f"{args.patch_size**2 * 3} numbers each"
    )
    return 0


def run_similarity(args) -> int:
    import torch

    from ..inspection import plots
    from ..inspection.models import load_by_name
    from ..inspection.position_tables import position_table
    from ..inspection.similarity import neighbour_cosine, similarity_numbers

    found = position_table(load_by_name(args.model, pretrained=not args.untrained))
    rows, grid = found.patches, found.layout.grid
    name = Path(args.model).name if Path(args.model).exists() else args.model
    what = f"{name}{' (random weights)' if args.untrained else ''}"
    size = f"{grid[0]}x{grid[1]} position embeddings, width {rows.shape[1]}"
    plots.save(plots.position_similarity(rows, grid, title=f"{what}\n{size}"), args.out)
    generator = torch.Generator().manual_seed(0)
    columns = {
        "this model": rows,
        "shuffled": rows[torch.randperm(len(rows), generator=generator)],
        "random": torch.randn(rows.shape, generator=generator),
    }
    numbers = {
        column: {"direct neighbours": neighbour_cosine(table, grid)}
        | similarity_numbers(table, grid)
        for column, table in columns.items()
    }
    print(f"{what}: {size}")
    print(f"{'':18}" + "".join(f"{column:>12}" for column in columns))
    for key in numbers["this model"]:
        print(f"{key:18}" + "".join(f"{numbers[column][key]:12.3f}" for column in columns))
    print(f"picture: {args.out}")
    return 0
