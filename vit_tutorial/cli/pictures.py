"""The commands that draw a picture: `show-patches` and `similarity`."""

from pathlib import Path

from .options import add_model_options, given_path, image_size, shown_name


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
    show.add_argument("image", type=given_path, help="any image file")
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
        "--out",
        type=given_path,
        default=Path("patches.png"),
        help="file to write (default patches.png)",
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
    add_model_options(similarity)
    similarity.add_argument(
        "--out",
        type=given_path,
        default=Path("similarity.png"),
        help="the picture (default similarity.png)",
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
    size = f"{grid[0]}x{grid[1]} position embeddings, width {rows.shape[1]}"
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
    print(f"{shown_name(args)}: {size}")
    print(f"{'':18}" + "".join(f"{column:>12}" for column in columns))
    for key in numbers["this model"]:
        print(f"{key:18}" + "".join(f"{numbers[column][key]:12.3f}" for column in columns))
    # After the numbers: a folder that cannot be written to must not cost them.
    plots.save(plots.position_similarity(rows, grid, title=f"{shown_name(args)}\n{size}"), args.out)
    print(f"picture: {args.out}")
    return 0
