"""flip_and_shift, rand_augment, cutmix: each image by itself, changed as they say and no more."""

import math
import types

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from vit_tutorial.data.augment import cutmix, flip_and_shift, rand_augment
from vit_tutorial.data.rand_augment import (
    BLENDED,
    GEOMETRIC,
    OPERATIONS,
    affine,
    apply_operations,
    colour,
    matrix,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def positions(batch, height=9, width=11):
    """Images whose channels are image number, row and column: a pixel says where it came from."""
    parts = torch.meshgrid(
        torch.arange(batch), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return torch.stack(parts, dim=1).to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_same_seed_same_batch_in_the_same_dtype(dtype):
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=seeded()).to(dtype)
    first, again, other = (flip_and_shift(images, 2, generator=seeded(seed)) for seed in (1, 1, 2))
    assert first.dtype == dtype and first.shape == images.shape
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_pixel_comes_from_its_own_image_and_the_input_stays_as_it_was():
    images = positions(64)
    before = images.clone()
    moved = flip_and_shift(images, 3, generator=seeded())
    assert torch.equal(moved[:, 0], images[:, 0]) and torch.equal(images, before)


def test_shifts_stay_within_bounds_reach_all_of_them_and_flips_are_flips():
    shift, height, width = 2, 9, 11
    moved = flip_and_shift(positions(600), shift, generator=seeded()).long()
    row, column = moved[:, 1, height // 2, :], moved[:, 2, :, width // 2]
    down = height // 2 - row[:, 0]
    step = moved[:, 2, 0, width // 2 + 1] - column[:, 0]  # 1 as it was, -1 mirrored
    right = torch.where(step > 0, width // 2 - column[:, 0], column[:, 0] - width // 2)
    assert (row == row[:, :1]).all() and (column == column[:, :1]).all(), (
        "whole rows and whole columns move"
    )
    for offset in (down, right):
        assert sorted(offset.unique().tolist()) == [-2, -1, 0, 1, 2]
    assert 240 < (step < 0).sum() < 360, "about half are mirrored"
    table = torch.zeros(2, 5, 5)
    table.index_put_(((step < 0).long(), down + 2, right + 2), torch.ones(600), accumulate=True)
    assert (table > 0).all(), "flip, rows and columns are drawn each for itself"


@pytest.mark.parametrize("flip", [False, True])
def test_without_a_shift_an_image_is_itself_or_its_mirror(flip):
    images = torch.randint(0, 256, (200, 3, 8, 8), generator=seeded(), dtype=torch.uint8)
    moved = flip_and_shift(images, 0, flip=flip, generator=seeded())
    same, mirrored = ((moved == other).flatten(1).all(1) for other in (images, images.flip(3)))
    assert (same ^ mirrored).all()
    assert mirrored.any() == flip


def test_the_border_is_filled_by_reflection():
    image = torch.arange(5, dtype=torch.uint8).view(1, 1, 1, 5).expand(300, 1, 5, 5)
    rows = {
        tuple(row.tolist())
        for row in flip_and_shift(image, 2, flip=False, generator=seeded())[:, 0, 0]
    }
    assert rows == {
        (2, 3, 4, 3, 2),
        (1, 2, 3, 4, 3),
        (0, 1, 2, 3, 4),
        (1, 0, 1, 2, 3),
        (2, 1, 0, 1, 2),
    }


def test_what_does_not_work_is_refused():
    with pytest.raises(ValueError, match="rank 3"):
        flip_and_shift(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="shift is -1"):
        flip_and_shift(torch.zeros(1, 3, 8, 8), -1)
    with pytest.raises(ValueError, match="8x6.*smaller than both sides"):
        flip_and_shift(torch.zeros(1, 3, 8, 6), 6)


def test_without_a_shard_the_numbers_are_drawn_as_they_always_were():
    """Lessons and stored runs stand on these draws: first the two shifts, then the mirrors."""
    draw = seeded(5)
    down, right = torch.randint(-2, 3, (2, 40, 1), generator=draw)
    mirrored = torch.randint(0, 2, (40, 1), generator=draw)
    moved = flip_and_shift(positions(40), 2, generator=seeded(5)).long()
    assert torch.equal(moved[:, 1, 4, 5], 4 - down[:, 0])
    assert torch.equal(moved[:, 2, 4, 5], torch.where(mirrored == 1, 5 + right, 5 - right)[:, 0])


def test_a_batch_takes_one_gather_and_no_loop_over_images():
    images = torch.zeros(2048, 3, 32, 32, dtype=torch.uint8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        flip_and_shift(images, generator=seeded())
    assert sum(event.count for event in profile.key_averages()) < 100


# --- what all three share


def photographs(batch=29, channels=3, height=16, width=18):
    """Smooth coloured images, each other than the others, that do not fill 0..255."""
    draw = seeded(9)
    coarse = torch.rand(batch, channels, 4, 4, generator=draw) * 190 + 25
    smooth = torch.nn.functional.interpolate(
        coarse, (height, width), mode="bicubic", align_corners=True
    )
    return (
        (smooth + 6 * torch.randn(smooth.shape, generator=draw))
        .round()
        .clamp(5, 240)
        .to(torch.uint8)
    )


def both_cut(images, **options):
    labels = torch.arange(len(images), device=images.device) + (options.get("shard") or (0, 0))[0]
    return cutmix(images, labels, 40, **options)


FUNCTIONS = [
    lambda images, **options: (flip_and_shift(images, 3, **options),),
    lambda images, **options: (rand_augment(images, 3, 7, **options),),
    both_cut,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("parts", [[32, 8], [14, 14, 12], [2] * 20])
def test_the_shards_of_a_batch_are_the_rows_of_the_whole(function, parts):
    images = photographs(40)
    whole = function(images, generator=seeded(4))
    one_shard = function(images, generator=seeded(4), shard=(0, 40))
    first, shards = 0, []
    for part in images.split(parts):
        draw = seeded(4)
        shards.append(function(part, generator=draw, shard=(first, 40)))
        first += len(part)
    after = seeded(4)
    function(images, generator=after)
    assert torch.equal(draw.get_state(), after.get_state()), (
        "all processes continue from the same state"
    )
    for result, alone, pieces in zip(whole, one_shard, zip(*shards)):
        assert torch.equal(result, alone) and torch.equal(result, torch.cat(pieces))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("batch", [0, 1, 5, 29])
def test_same_seed_same_batch_and_the_input_stays_as_it_was(function, batch):
    images = photographs(29)[:batch]
    before = images.clone()
    first, again = (function(images, generator=seeded(1)) for _ in range(2))
    assert torch.equal(images, before)
    assert first[0].dtype == torch.uint8 and first[0].shape == images.shape
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    if batch == 29:
        assert not torch.equal(first[0], function(images, generator=seeded(2))[0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_saved_state_of_the_generator_repeats_what_follows(function):
    images, draw = photographs(29), seeded(7)
    function(images, generator=draw)
    state = draw.get_state()
    expected = [function(images, generator=draw)[0] for _ in range(3)]
    draw.set_state(state)
    assert all(torch.equal(function(images, generator=draw)[0], result) for result in expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_no_number_is_read_back_from_the_device(function, channels):
    """Tensors on the meta device have no values: whatever waits for one (item, nonzero, a boolean
    index) fails there."""
    for result in function(torch.zeros(40, channels, 16, 16, dtype=torch.uint8, device="meta")):
        assert result.device.type == "meta" and len(result) == 40
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.zeros(4, device="meta").max().item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_gpu_is_never_waited_for(function):
    images, draw = photographs(40).cuda(), torch.Generator("cuda").manual_seed(3)
    function(images, generator=draw)
    state = draw.get_state()
    torch.cuda.set_sync_debug_mode("error")
    try:
        first = function(images, generator=draw)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    draw.set_state(state)
    assert all(
        result.is_cuda and torch.equal(result, again)
        for result, again in zip(first, function(images, generator=draw))
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_shard_that_does_not_hold_the_images_is_refused(function):
    images = photographs(8)
    with pytest.raises(
        ValueError, match=r"shard is \(4, 10\) for 8 images: a batch of 10 has no rows 4 to 11"
    ):
        function(images, shard=(4, 10))
    with pytest.raises(ValueError, match="first row of the shard is -2"):
        function(images, shard=(-2, 10))
    with pytest.raises(ValueError, match="rank 3"):
        function(images[0])


# --- rand_augment


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("amount", [-1.0, -0.3, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", BLENDED)
def test_blending_is_torchvisions_up_to_rounding(name, amount, channels):
    images = photographs(6, channels)
    theirs = getattr(tv, f"adjust_{name}")(images, 1 + 0.9 * amount)
    ours = colour(name, images, torch.full((6,), amount), 0.0)
    # torchvision cuts decimals off where we round, which makes 1. Its grey (0.2989 + 0.587 + 0.114,
    # where our parts sum to 1) and the mean of it differ by less than 1, which counts 0.9 times.
    away = (ours.int() - theirs.int()).abs()
    assert away.max() <= (2 if name in ("contrast", "saturation") else 1)
    assert name == "contrast" or (away > 1).float().mean() < 0.02
    assert torch.equal(ours, images) == (amount == 0 or (name == "saturation" and channels == 1))


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_posterize_and_solarize_are_torchvisions(strength):
    images = (
        torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16).contiguous()
    )
    bits = round(8 - 4 * strength)
    assert torch.equal(colour("posterize", images, None, strength), tv.posterize(images, bits))
    limit = 256 * (1 - strength)
    if strength == 0:  # where torchvision offsets 255 into 0
        assert torch.equal(colour("solarize", images, None, strength), images)
    else:
        assert torch.equal(colour("solarize", images, None, strength), tv.solarize(images, limit))


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_and_equalize_are_torchvisions(channels):
    images = photographs(6, channels, 32, 32)
    images[0] = 77  # nothing to stretch
    images[1, :, :, :16], images[1, :, :, 16:] = 10, 200  # two values
    images[2, :, 3:, :] = 0
    assert torch.equal(colour("equalize", images, None, 1.0), tv.equalize(images))
    ours, theirs = colour("autocontrast", images, None, 1.0), tv.autocontrast(images)
    assert (ours.int() - theirs.int()).abs().max() <= 1
    assert (
        torch.equal(ours[0], images[0])
        and (ours[1:].amax((2, 3)) == 255).all()
        and (ours[1:].amin((2, 3)) == 0).all()
    )


def theirs_geometric(image, name, amount):
    height, width = image.shape[1:]
    if name == "rotate":
        return tv.rotate(image, 30 * amount, interpolation=InterpolationMode.BILINEAR)
    moved, sheared = [0, 0], [0.0, 0.0]
    if name.startswith("shear"):
        sheared["xy".index(name[-1])] = math.degrees(math.atan(0.3 * amount))
    else:
        moved["xy".index(name[-1])] = int(
            amount * (150 / 331) * (width if name.endswith("x") else height)
        )
    return tv.affine(image, 0.0, moved, 1.0, sheared, interpolation=InterpolationMode.BILINEAR)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometry_is_torchvisions_where_the_image_reaches(name):
    amounts = torch.tensor([-1.0, -0.6, 0.0, 0.3, 1.0])
    images = photographs(5, height=24, width=32)
    ours = affine(images, matrix(name, amounts, 24, 32))
    for image, moved, amount in zip(images, ours, amounts.tolist()):
        theirs = theirs_geometric(image, name, amount)
        reached = theirs_geometric(torch.full_like(image, 255), name, amount) == 255
        assert reached.float().mean() > 0.5
        assert ((moved.int() - theirs.int()).abs() <= 1)[reached].all()
        assert torch.equal(moved, image) == (amount == 0)
    assert ours.amin() >= images.amin() - 1, (
        "what comes in from outside is the image's own, not black"
    )


def test_what_comes_in_is_reflected():
    image = torch.arange(8, dtype=torch.uint8).mul(10).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    moved = affine(image, torch.tensor([[[1.0, 0.0, -3.0], [0.0, 1.0, 0.0]]]))
    assert moved[0, 0, 0].tolist() == [20, 10, 0, 0, 10, 20, 30, 40]


def test_each_place_gets_the_operation_of_its_offset():
    images = photographs(45)
    sign = torch.where(torch.rand(45, generator=seeded()) < 0.5, -1.0, 1.0)
    for offset in (0, 3, 100):
        ours = apply_operations(images, sign, 0.8, offset)
        for place in range(45):
            name = OPERATIONS[(place + offset) % len(OPERATIONS)]
            alone, amount = images[place : place + 1], 0.8 * sign[place : place + 1]
            if name in GEOMETRIC:
                expected = affine(alone, matrix(name, amount, 16, 18))
            else:
                expected = colour(name, alone, amount, 0.8)
            assert torch.equal(ours[place : place + 1], expected), (offset, place, name)


def test_over_many_batches_a_place_gets_every_operation_and_both_signs():
    image = photographs(1).expand(3, 3, 16, 18)
    draw, count = seeded(), 300
    seen = torch.stack([rand_augment(image, 1, 8, generator=draw) for _ in range(count)])
    results = [len(seen[:, place].flatten(1).unique(dim=0)) for place in range(3)]
    # 9 operations with two sides and 5 without: 23 different images
    assert results == [2 * len(GEOMETRIC + BLENDED) + 5] * 3
    unchanged = (seen[:, 0] == image[0]).flatten(1).all(1).sum().item()
    assert 8 <= unchanged <= 38, "identity about once in 14 times"


def test_operations_follow_each_other_and_none_is_none():
    images = photographs(29)
    assert torch.equal(rand_augment(images, 0), images)
    draw = seeded(2)
    one_by_one = rand_augment(rand_augment(images, 1, 6, generator=draw), 1, 6, generator=draw)
    assert torch.equal(rand_augment(images, 2, 6, generator=seeded(2)), one_by_one)


def test_at_magnitude_0_only_autocontrast_and_equalize_do_anything():
    images = photographs(28)
    changed = (
        (apply_operations(images, torch.ones(28), 0.0, 0) != images).flatten(1).any(1).tolist()
    )
    assert changed == [name in ("autocontrast", "equalize") for name in OPERATIONS * 2]


def test_the_offset_from_a_gpus_generator_follows_from_its_state():
    """Without a GPU: a stand-in whose state is 16 bytes, a seed and a position, as CUDA's is."""
    from vit_tutorial.data.augment import _draw_on_host

    def state(seed, position):
        numbers = torch.tensor([seed, position]).view(torch.uint8)
        return types.SimpleNamespace(device=torch.device("cuda"), get_state=lambda: numbers)

    offsets = [_draw_on_host(14, state(0, 4 * n)) for n in range(1400)]
    assert offsets == [_draw_on_host(14, state(0, 4 * n)) for n in range(1400)]
    assert offsets[:100] != [_draw_on_host(14, state(1, 4 * n)) for n in range(100)]
    counts = torch.bincount(torch.tensor(offsets), minlength=14)
    assert len(counts) == 14 and ((counts - 100).square() / 100).sum() < 34.5, (
        "chi-squared, 13 degrees: 1 in 1000"
    )


def test_what_rand_augment_cannot_take_is_refused():
    images = photographs(2)
    with pytest.raises(ValueError, match="uint8.*got torch.float32, 3 channels"):
        rand_augment(images.float())
    with pytest.raises(ValueError, match="1 or 3 channels; got torch.uint8, 2 channels"):
        rand_augment(images[:, :2])
    with pytest.raises(ValueError, match="magnitude is 11: it must be between 0 and 10"):
        rand_augment(images, magnitude=11)
    with pytest.raises(ValueError, match="operations is -1"):
        rand_augment(images, -1)


# --- cutmix


def cut(batch=64, dtype=torch.uint8, height=9, width=12, **options):
    """(mixed, targets): a pixel says which image it is from, and each image is its own class."""
    images = torch.arange(batch).view(-1, 1, 1, 1).expand(batch, 2, height, width).to(dtype)
    return cutmix(images, torch.arange(batch), batch, **options)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_targets_are_the_counted_pixels(dtype, alpha):
    mixed, targets = cut(dtype=dtype, alpha=alpha, generator=seeded())
    assert mixed.dtype == dtype and targets.dtype == torch.float32
    assert torch.equal(mixed[:, 0], mixed[:, 1]), "the same box in all channels"
    counted = torch.nn.functional.one_hot(mixed[:, 0].flatten(1).long(), 64).sum(1)
    assert torch.equal(targets, counted / (9 * 12))
    assert torch.allclose(targets.sum(1), torch.ones(64), atol=1e-6, rtol=0)
    assert ((targets > 0).sum(1) == 2).sum() > 20, "many are cut"


def test_the_partner_is_the_neighbour_and_what_comes_over_is_one_box():
    mixed, _ = cut(generator=seeded())
    boxes = set()
    for number, image in enumerate(mixed[:, 0].long()):
        foreign = image != number
        assert (image[foreign] == (number ^ 1)).all()
        rows, columns = foreign.any(1), foreign.any(0)
        assert torch.equal(foreign, rows[:, None] & columns)
        for line in (rows, columns):
            assert (line.int().diff() == 1).sum() <= 1 and (line.int().diff() == -1).sum() <= 1, (
                "without gaps"
            )
        boxes.add((tuple(rows.tolist()), tuple(columns.tolist())))
    assert len(boxes) > 40, "each image draws its own"


def test_partners_of_one_class_stay_that_class():
    images = photographs(8)
    mixed, targets = cutmix(images, torch.full((8,), 2), 5, generator=seeded())
    assert torch.equal(targets, torch.eye(5)[torch.full((8,), 2)]) and not torch.equal(
        mixed, images
    )


def test_an_odd_last_image_stays_whole():
    mixed, targets = cut(7, generator=seeded())
    assert (mixed[6] == 6).all() and torch.equal(targets[6], torch.eye(7)[6])


@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_as_many_are_cut_as_probability_says(probability):
    mixed, targets = cut(250, height=32, width=32, probability=probability, generator=seeded())
    was_cut = (mixed != mixed[:, :1, :1, :1]).flatten(1).any(1).float().mean().item()
    assert 0.75 * probability <= was_cut <= 1.25 * probability
    if probability == 0:
        assert torch.equal(targets, torch.eye(250))


def test_boxes_reach_every_pixel_and_their_areas_are_those_of_the_paper():
    """Beside a plain loop that follows the paper's code, with its own random numbers."""
    foreign = torch.cat(
        [cut(200, height=32, width=32, generator=seeded(s))[0][:, 0] for s in range(20)]
    )
    foreign = foreign != torch.arange(200).repeat(20)[:, None, None]
    draw, paper = seeded(99), []
    for share, y, x in torch.rand(4000, 3, generator=draw).tolist():
        length = int(32 * math.sqrt(1 - share))
        sides = [
            min(32, int(32 * c) + length // 2) - max(0, int(32 * c) - length // 2) for c in (y, x)
        ]
        paper.append(sides[0] * sides[1] / 1024)
    areas, paper = (
        foreign.flatten(1).float().mean(1).sort().values,
        torch.tensor(paper).sort().values,
    )
    assert (areas - paper).abs().max() < 0.05, "the quantiles agree"
    reached = foreign.float().mean(0)
    assert (
        reached.min() > 0.1
        and (reached - reached.flip(0)).abs().max() < 0.06 > (reached - reached.T).abs().max()
    )


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 4.0])
def test_the_draws_from_a_beta_distribution_are_that(alpha):
    from vit_tutorial.data.augment import _symmetric_beta

    drawn = _symmetric_beta(alpha, *torch.rand(2, 40000, generator=seeded())).double()
    assert drawn.isfinite().all() and drawn.min() >= 0 and drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 0.01
    assert abs(drawn.var() * (4 * (2 * alpha + 1)) - 1) < 0.03
    fourth = (drawn - 0.5).pow(4).mean() / drawn.var().square()
    assert abs(fourth - (3 - 6 / (2 * alpha + 3))) < 0.05, "the kurtosis of Beta(alpha, alpha)"


def test_what_cutmix_cannot_take_is_refused():
    images, labels = photographs(4), torch.arange(4)
    with pytest.raises(ValueError, match=r"4 images need labels \(4,\), int64; got \(3,\)"):
        cutmix(images, labels[:3], 10)
    with pytest.raises(ValueError, match="got .*torch.int32"):
        cutmix(images, labels.int(), 10)
    with pytest.raises(ValueError, match="labels 0..3, but num_classes is 3"):
        cutmix(images, labels, 3)
    with pytest.raises(ValueError, match="probability is 1.5"):
        cutmix(images, labels, 10, probability=1.5)
    with pytest.raises(ValueError, match="alpha is 0"):
        cutmix(images, labels, 10, alpha=0)
    with pytest.raises(ValueError, match="rows 0 to 2 of 6 part two partners"):
        cutmix(images[:3], labels[:3], 10, shard=(0, 6))
    with pytest.raises(ValueError, match="rows 3 to 6 of 8 part two partners"):
        cutmix(images, labels, 10, shard=(3, 8))
