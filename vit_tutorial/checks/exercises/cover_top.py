"""check_cover_top: the patches that a map ranks highest are covered, for the deletion test."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def cover_top(images, maps, k):
    """(B, C, H, W), (B, R, S), k -> a copy with the k highest patches of each image set to 0."""
    return covered(images, chosen(maps, k))


def chosen(maps, k):
    """(B, R, S), bool: the k highest of each map."""
    top = maps.flatten(1).topk(k, dim=1).indices
    picked = torch.zeros_like(maps.flatten(1), dtype=torch.bool).scatter(1, top, True)
    return picked.view(maps.shape)


def patch_sides(images, maps):
    """Height and width of a patch in pixels."""
    return images.shape[-2] // maps.shape[-2], images.shape[-1] // maps.shape[-1]


def pixels(mask, images):
    """(B, R, S) -> (B, 1, H, W): each patch's truth value for all of its pixels."""
    high, wide = patch_sides(images, mask)
    return mask[:, None].repeat_interleave(high, -2).repeat_interleave(wide, -1)


def covered(images, mask, fill=0.0):
    return torch.where(pixels(mask, images), torch.as_tensor(fill).to(images), images)


def cover_top_cases(generator: torch.Generator) -> list[Case]:
    """Grids and patches, square and not; values below 0; k of 0, of some, of all but one."""

    def case(about, B, C, rows, cols, P, k, shift=0.0, dtype=torch.float32):
        high, wide = P if isinstance(P, tuple) else (P, P)
        inputs = {
            "images": numbers(generator, B, C, rows * high, cols * wide, dtype=dtype),
            "maps": numbers(generator, B, rows, cols, dtype=dtype) + shift,
            "k": k,
        }
        return Case(about, inputs)

    few, many = choice(generator, 2, 3), choice(generator, 4, 5)
    return [
        case("square", 3, 3, 4, 4, 2, 4),
        case("wide", 2, 3, few, many, 3, 3),
        case("tall", 2, 3, many, few, 2, 5),
        case("one image, one patch to cover", 1, 3, 3, 4, 2, 1),
        case("one channel", 3, 1, 3, 3, 4, 2),
        case("all values below 0", 2, 3, 3, many, 2, 4, shift=-5.0),
        case("all patches but one", 2, 3, 2, 3, 2, 5),
        case("nothing to cover", 2, 3, 2, 3, 2, 0),
        case("patches wider than high", 2, 3, 3, few, (2, 4), 2),
        case("patches higher than wide", 2, 3, few, 4, (3, 2), 3),
        case("float64", 2, 2, 3, 2, 3, 2, dtype=torch.float64),
    ]


def over_the_batch(images, maps, k):
    """The k highest of all images together."""
    top = maps.flatten().topk(k).indices
    mask = torch.zeros_like(maps.flatten(), dtype=torch.bool).scatter(0, top, True)
    return covered(images, mask.view(maps.shape))


def k_each_over_the_batch(images, maps, k):
    return over_the_batch(images, maps, k * len(maps))


def patches_of(images, maps, k, of):
    """The same patches in every image."""
    return covered(images, chosen(of(maps), k).expand(maps.shape))


def one_by_one(images, maps, k, place, size):
    """Patch after patch, by slices; where a slice lies beyond the image, it covers nothing."""
    out, (R, S) = images.clone(), maps.shape[1:]
    high, wide = size(*patch_sides(images, maps))
    for image, top in zip(out, maps.flatten(1).topk(k, dim=1).indices.tolist()):
        for row, col in (place(n, R, S) for n in top):
            image[:, row * high : (row + 1) * high, col * wide : (col + 1) * wide] = 0
    return out


def with_size(size):
    """Patches of size(height, width) pixels."""
    return lambda images, maps, k: one_by_one(images, maps, k, lambda n, R, S: divmod(n, S), size)


def divided_by_rows(images, maps, k):
    """Patch n in row n // R and column n % R."""
    return one_by_one(images, maps, k, lambda n, R, S: divmod(n, R), lambda h, w: (h, w))


def transposed(images, maps, k):
    """Numbers of patches counted column by column."""
    R, S = maps.shape[1:]
    mask = chosen(maps, k).flatten(1).view(-1, S, R).transpose(1, 2)
    return covered(images, mask)


def one_pixel(images, maps, k):
    """Row and column of the patch taken for those of a pixel."""
    mask = torch.zeros_like(images[:, :1], dtype=torch.bool)
    mask[:, 0, : maps.shape[1], : maps.shape[2]] = chosen(maps, k)
    return torch.where(mask, torch.zeros_like(images), images)


def first_pixel(images, maps, k):
    """The upper left pixel of each patch."""
    out, (high, wide) = images.clone(), patch_sides(images, maps)
    corner = out[:, :, ::high, ::wide]
    corner.masked_fill_(chosen(maps, k)[:, None], 0.0)
    return out


def tiled(images, maps, k):
    """The small mask side by side, where each of its cells should grow."""
    mask = chosen(maps, k)[:, None].repeat(1, 1, *patch_sides(images, maps))
    return torch.where(mask, torch.zeros_like(images), images)


def order_as_rank(images, maps, k, descending=True):
    """argsort once: at place n stands the number of the n-th patch, not the rank of patch n."""
    order = maps.flatten(1).argsort(dim=1, descending=descending)
    return covered(images, (order < k).view(maps.shape))


def only_last(images, maps, k):
    if k == 0:
        return images.clone()
    return covered(images, chosen(maps, k) & ~chosen(maps, k - 1))


def first_channel(images, maps, k):
    out = images.clone()
    out[:, :1] = cover_top(images[:, :1], maps, k)
    return out


def by_means(images, maps, k, dims):
    return covered_by(images, maps, k, images.mean(dim=dims, keepdim=True))


def covered_by(images, maps, k, fill):
    return torch.where(pixels(chosen(maps, k), images), fill, images)


MISTAKES = (
    Mistake(
        name="lowest_covered",
        explanation="You cover the patches with the lowest values.",
        hint="In which direction does your sort go?",
        buggy=lambda images, maps, k: cover_top(images, -maps, k),
    ),
    Mistake(
        name="others_covered",
        explanation="You keep the highest patches and cover all others.",
        hint="For which patches is your mask True, and what does True do?",
        buggy=lambda images, maps, k: covered(images, ~chosen(maps, k)),
    ),
    Mistake(
        name="over_the_batch",
        explanation=(
            "You look for the highest values in the whole batch. Each image should lose k patches."
        ),
        hint="Along which axis do you compare values?",
        buggy=k_each_over_the_batch,
        variants=(over_the_batch,),
    ),
    Mistake(
        name="same_patches_in_every_image",
        explanation="You cover the same patches in every image. Each image has its own map.",
        hint="Which line forgets that there are B maps?",
        buggy=lambda images, maps, k: patches_of(images, maps, k, lambda m: m[:1]),
        variants=(
            lambda images, maps, k: patches_of(images, maps, k, lambda m: m.mean(0, keepdim=True)),
            lambda images, maps, k: patches_of(images, maps, k, lambda m: m[-1:]),
            # images[:, :, rows, columns] = 0 in a loop over images: what one loses, all lose
            lambda images, maps, k: covered(
                images, chosen(maps, k).any(0, keepdim=True).expand(maps.shape)
            ),
        ),
    ),
    Mistake(
        name="order_taken_for_rank",
        explanation=(
            "You sort once and compare the result with k. At place n of `argsort` stands the "
            "number of the n-th patch; you need the rank of patch n."
        ),
        hint="For the map [5, 9, 7], what does argsort return, and which rank has the first patch?",
        buggy=order_as_rank,
        variants=(lambda images, maps, k: order_as_rank(images, maps, k, descending=False),),
    ),
    Mistake(
        name="rows_and_columns_exchanged",
        explanation="You count the patches column by column. They are numbered row by row.",
        hint="On a grid of 2 rows and 4 columns, where is patch 4?",
        buggy=transposed,
    ),
    Mistake(
        name="divided_by_the_rows",
        explanation=(
            "You divide the number of a patch by the number of rows. Row by row, a new row begins "
            "after as many patches as there are columns."
        ),
        hint="On a grid of 2 rows and 4 columns, where is patch 3?",
        buggy=divided_by_rows,
    ),
    Mistake(
        name="square_patches",
        explanation=(
            "You cover as many rows of pixels as columns. A patch is H/R pixels high and W/S wide."
        ),
        hint="An image of 4 x 12 pixels has 2 rows and 3 columns of patches. How large is a patch?",
        buggy=with_size(lambda high, wide: (high, high)),
        variants=(
            with_size(lambda high, wide: (wide, wide)),
            with_size(lambda high, wide: (wide, high)),
        ),
    ),
    Mistake(
        name="absolute_values",
        explanation="You rank by absolute values. A value below 0 ranks below all others.",
        hint="What does a negative value of an occlusion map say?",
        buggy=lambda images, maps, k: covered(images, chosen(maps.abs(), k)),
    ),
    Mistake(
        name="one_patch_more",
        explanation=lambda e: f"You cover {e.inputs['k'] + 1} patches instead of {e.inputs['k']}.",
        hint="How many ranks from 0 on are there up to and including k?",
        buggy=lambda images, maps, k: cover_top(images, maps, k + 1),
    ),
    Mistake(
        name="one_patch_less",
        explanation=lambda e: f"You cover {e.inputs['k'] - 1} patches instead of {e.inputs['k']}.",
        hint="Is the k-th highest value larger than itself?",
        buggy=lambda images, maps, k: cover_top(images, maps, max(0, k - 1)),
    ),
    Mistake(
        name="only_one_covered",
        explanation="You cover only the last of the k patches.",
        hint="Does every step of your loop start again from the original images?",
        buggy=only_last,
        variants=(lambda images, maps, k: cover_top(images, maps, min(k, 1)),),
    ),
    Mistake(
        name="pixels_not_patches",
        explanation="You cover one pixel for each patch. A patch has P x P pixels.",
        hint="Patch (1, 2) begins at which pixel, and where does it end?",
        buggy=first_pixel,
        variants=(one_pixel,),
    ),
    Mistake(
        name="mask_tiled",
        explanation=(
            "You repeat the whole mask side by side. Each of its cells should grow to a patch."
        ),
        hint="What is the difference between `repeat` and `repeat_interleave`?",
        buggy=tiled,
    ),
    Mistake(
        name="first_channel_only",
        explanation="You cover the first channel only.",
        hint="Which index in your assignment chooses channels?",
        buggy=first_channel,
    ),
    Mistake(
        name="filled_with_a_mean",
        explanation=(
            "You fill with a mean of the image. The exercise asks for 0, which in a normalised "
            "image is the mean colour of the training images."
        ),
        hint="Which value should the covered pixels have?",
        buggy=lambda images, maps, k: by_means(images, maps, k, (2, 3)),
        variants=(
            lambda images, maps, k: by_means(images, maps, k, (1, 2, 3)),
            lambda images, maps, k: by_means(images, maps, k, (0, 1, 2, 3)),
        ),
    ),
)


check_cover_top = Check(
    name="check_cover_top",
    signature=(
        "fn(images (B, C, H, W), maps (B, R, S), k) -> (B, C, H, W): a copy in which the k patches "
        "with the largest map values are 0, for each image; patches are H/R pixels high and W/S "
        "wide"
    ),
    cases=cover_top_cases,
    reference=cover_top,
    mistakes=MISTAKES + general_mistakes(cover_top, without=("detached", "wrong_device")),
)
