"""What must hold for every size and every number: patches, positions, attention, data."""

import pytest
import torch

pytest.importorskip("hypothesis", reason='the property tests need pip install -e ".[dev]"')
import hypothesis.strategies as st
from hypothesis import given, settings

from vit_tutorial import MultiHeadSelfAttention, ViTConfig, patchify, unpatchify
from vit_tutorial.data import augment, make_shapes, split_validation
from vit_tutorial.model import attention, fast_attention, make_position, sinusoidal_2d

# No time limit for an example: the machine may be busy. The same examples each time.
tried = settings(max_examples=40, deadline=None, derandomize=True)
small = st.integers(1, 4)
seeds = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- patches -------------------------------------------------------------------------------------

sizes = dict(B=st.integers(0, 3), C=small, rows=small, columns=small, P=small, seed=seeds)


@tried
@given(**sizes)
def test_unpatchify_undoes_patchify_bit_for_bit(B, C, rows, columns, P, seed):
    images = draw(seed, B, C, rows * P, columns * P)
    patches = patchify(images, P)
    assert patches.shape == (B, rows * columns, P * P * C)
    assert torch.equal(unpatchify(patches, P, (rows * P, columns * P)), images)


@tried
@given(**sizes)
def test_each_number_of_a_patch_is_the_pixel_that_the_paper_says(B, C, rows, columns, P, seed):
    """Number (y P + x) C + c of patch r * columns + k is pixel (r P + y, k P + x), channel c."""
    images = draw(seed, max(1, B), C, rows * P, columns * P)
    patches = patchify(images, P)
    pick = torch.Generator().manual_seed(seed)
    r, k, y, x, c = (int(torch.randint(n, (1,), generator=pick)) for n in (rows, columns, P, P, C))
    number = patches[0, r * columns + k, (y * P + x) * C + c]
    assert number == images[0, c, r * P + y, k * P + x]


@tried
@given(H=st.integers(1, 20), W=st.integers(1, 20), P=st.integers(1, 20))
def test_patchify_works_or_says_a_size_that_works(H, W, P):
    images = torch.zeros(1, 1, H, W)
    if H % P == 0 and W % P == 0:
        assert patchify(images, P).shape == (1, H // P * (W // P), P * P)
        return
    with pytest.raises(ValueError, match=f"{P}x{P}.*{H}x{W}") as caught:
        patchify(images, P)
    up = str(caught.value).partition("Resize the image to ")[2].partition(",")[0]
    height, width = map(int, up.split("x"))
    assert height % P == width % P == 0 and height - H < P and width - W < P


# --- positions -----------------------------------------------------------------------------------


@tried
@given(rows=small, columns=small, quarter=small)
def test_sinusoidal_rows_are_distinct_bounded_and_of_one_length(rows, columns, quarter):
    table = sinusoidal_2d((rows, columns), 4 * quarter)
    assert table.shape == (rows * columns, 4 * quarter)
    assert table.abs().max() <= 1
    assert torch.allclose(table.norm(dim=1), torch.tensor((2 * quarter) ** 0.5), atol=1e-4)
    if len(table) > 1:
        apart = torch.cdist(table, table) + 10 * torch.eye(len(table))
        assert apart.min() > 1e-3


@tried
@given(rows=small, columns=small, seed=seeds, down=st.integers(-3, 3), right=st.integers(-3, 3))
def test_a_rotary_score_depends_on_the_offset_alone(rows, columns, seed, down, right):
    config = ViTConfig(
        image_size=(4 * rows, 4 * columns), patch_size=4, dim=8, num_heads=1, position="rotary",
        pool="mean",
    )  # fmt: skip
    rotary = make_position(config)
    q, k = draw(seed, 1, 1, 1, 8), draw(seed + 1, 1, 1, 1, 8)
    T = rows * columns
    turned_q, turned_k, _ = rotary(q.expand(1, 1, T, 8), k.expand(1, 1, T, 8))
    scores = (turned_q @ turned_k.mT)[0, 0]
    pairs = [
        (r * columns + c, (r + down) * columns + c + right)
        for r in range(rows)
        for c in range(columns)
        if 0 <= r + down < rows and 0 <= c + right < columns
    ]
    found = torch.stack([scores[i, j] for i, j in pairs]) if pairs else torch.zeros(1)
    assert torch.allclose(found, found[:1].expand_as(found), atol=1e-4)


# --- attention -----------------------------------------------------------------------------------

shapes = dict(B=small, h=small, T=st.integers(1, 6), S=st.integers(1, 6), d=small, seed=seeds)


@tried
@given(**shapes)
def test_weights_sum_to_one_and_the_output_lies_between_the_values(B, h, T, S, d, seed):
    q, k, v = draw(seed, B, h, T, d), draw(seed + 1, B, h, S, d), draw(seed + 2, B, h, S, d)
    output, weights = attention(q, k, v)
    assert weights.shape == (B, h, T, S) and (weights >= 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(B, h, T), atol=1e-5)
    low, high = v.amin(-2, keepdim=True) - 1e-5, v.amax(-2, keepdim=True) + 1e-5
    assert ((low <= output) & (output <= high)).all()
    for fused in (True, False):
        assert torch.allclose(fast_attention(q, k, v, fused=fused), output, atol=1e-5)


@tried
@given(B=small, h=small, T=st.integers(1, 6), d=small, seed=seeds)
def test_shuffled_tokens_give_the_shuffled_output(B, h, T, d, seed):
    torch.manual_seed(seed)
    layer = MultiHeadSelfAttention(h * d, h).eval()
    x, order = draw(seed, B, T, h * d), torch.randperm(T)
    with torch.no_grad():
        assert torch.allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-5)


# --- data ----------------------------------------------------------------------------------------


@tried
@given(counts=st.lists(st.integers(2, 30), min_size=2, max_size=5), seed=seeds)
def test_validation_takes_a_share_of_each_class_and_loses_no_image(counts, seed):
    labels = torch.cat([torch.full((n,), label) for label, n in enumerate(counts)])
    images = torch.arange(len(labels)).to(torch.uint8)[:, None, None, None]
    train, validation = split_validation(images, labels, 0.2, seed % 1000)
    together = torch.cat([train.images, validation.images]).flatten().sort().values
    assert torch.equal(together, images.flatten())
    for label, n in enumerate(counts):
        aside = int((validation.labels == label).sum())
        assert 1 <= aside < n and abs(aside - 0.2 * n) <= 1


@tried
@given(B=small, C=small, H=st.integers(3, 8), W=st.integers(3, 8), seed=seeds)
def test_flips_and_shifts_take_each_pixel_from_its_own_image(B, C, H, W, seed):
    images = torch.arange(B * C * H * W).view(B, C, H, W).float()
    generator = torch.Generator().manual_seed(seed)
    moved = augment.flip_and_shift(images, shift=2, generator=generator)
    assert moved.shape == images.shape
    for n in range(B):
        for c in range(C):
            assert set(moved[n, c].flatten().tolist()) <= set(images[n, c].flatten().tolist())


@tried
@given(B=small, classes=st.integers(2, 5), seed=seeds, alpha=st.floats(0.1, 5))
def test_cutmix_targets_are_shares_and_every_pixel_is_someones(B, classes, seed, alpha):
    images = torch.arange(B)[:, None, None, None].expand(B, 3, 8, 8).float()
    labels = torch.arange(B) % classes
    generator = torch.Generator().manual_seed(seed)
    mixed, targets = augment.cutmix(images, labels, classes, alpha=alpha, generator=generator)
    assert torch.allclose(targets.sum(1), torch.ones(B)) and (targets >= 0).all()
    for n in range(B):
        own = (mixed[n, 0] == n).float().mean()
        assert targets[n, labels[n]] >= own - 1e-5


@tried
@given(pairs=st.integers(1, 20), seed=st.integers(0, 1000), P=st.sampled_from([1, 2, 4, 8, 16]))
def test_the_two_images_of_a_pair_are_made_of_the_same_patches(pairs, seed, P):
    made = make_shapes(2 * pairs, seed)
    patches = patchify(made.images, P).long()
    key = (patches * torch.arange(1, patches.shape[-1] + 1)).sum(-1).sort(dim=1).values
    assert torch.equal(key[0::2], key[1::2])
    assert torch.equal(made.labels, torch.arange(2 * pairs) % 10)
