"""Masks of attention patterns: by hand on small grids, their reach, and a ViT that obeys them."""

import pytest
import torch
import torch.nn.functional as F

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.model import attention
from vit_tutorial.relatives import attention_patterns as patterns

GRID = (3, 4)


def read(mask: torch.Tensor, token: int) -> list[int]:
    return mask[token].nonzero().flatten().tolist()


def test_masks_by_hand():
    """A grid of 3 rows and 4 columns; token 6 is in row 1, column 2."""
    assert read(patterns.raster(GRID), 6) == [0, 1, 2, 3, 4, 5, 6]
    assert read(patterns.local(GRID, 1), 6) == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert read(patterns.local(GRID, 1), 0) == [0, 1, 4, 5]
    assert read(patterns.rows(GRID), 6) == [4, 5, 6, 7]
    assert read(patterns.columns(GRID), 6) == [2, 6, 10]
    assert read(patterns.blocks(GRID, (3, 2)), 6) == [2, 3, 6, 7, 10, 11]
    assert read(patterns.strided(GRID), 9) == [1, 5, 6, 7, 8, 9]
    assert read(patterns.fixed(GRID), 9) == [3, 7, 8, 9]
    assert patterns.full(GRID).sum() == 144


def test_shifted_blocks_do_not_wrap_round():
    shifted = patterns.blocks((4, 4), (2, 2), (1, 1))
    assert read(shifted, 0) == [0]  # the corner is cut off
    assert read(shifted, 1) == [1, 2]
    assert read(shifted, 5) == [5, 6, 9, 10]
    assert read(shifted, 15) == [15]


@pytest.mark.parametrize("grid", [(1, 1), (1, 5), (4, 1), (3, 4), (5, 5)])
def test_every_pattern_is_symmetric_or_causal_and_reads_itself(grid):
    both = [patterns.full(grid), patterns.local(grid, 1), patterns.rows(grid)]
    both += [patterns.columns(grid), patterns.blocks(grid, (1, 1)), patterns.blocks(grid, grid)]
    causal = [patterns.raster(grid), patterns.strided(grid), patterns.fixed(grid)]
    for mask in both:
        assert torch.equal(mask, mask.T)
    for mask in causal:
        assert not mask.triu(1).any()
    assert all(mask.diagonal().all() and mask.dtype == torch.bool for mask in both + causal)


def test_reach_is_what_a_breadth_first_search_finds():
    torch.manual_seed(0)
    masks = [torch.rand(9, 9) < 0.2 for _ in range(3)]
    for token in range(9):
        known = {token}
        for mask in reversed(masks):  # from the last layer down to the input
            known = {j for i in known for j in read(mask, i)}
        assert read(patterns.reach(masks), token) == sorted(known)


def test_layers_until_all_is_known():
    grid = (8, 8)
    full = lambda masks: bool(patterns.reach(masks).all())
    axial = [patterns.rows(grid), patterns.columns(grid)]
    assert full(axial) and not full(axial[:1])
    near = patterns.local(grid, 2)
    assert full([near] * 4) and not full([near] * 3)  # 7 steps of at most 2
    block, moved = patterns.blocks(grid, (4, 4)), patterns.blocks(grid, (4, 4), (2, 2))
    assert not full([block] * 20) and full([block, moved] * 2)
    strided = patterns.reach([patterns.strided(grid)] * 2)
    assert torch.equal(strided, patterns.raster(grid))  # all that is earlier, after two layers


def test_pattern_is_the_mask_of_torch():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 12, 8)
    mask = patterns.strided(GRID)
    _, _, scores = patterns.Pattern(mask)(q, k)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(attention(q, k, v, scores)[0], expected)
    short = patterns.Pattern(mask)(q[..., :5, :], k)[2]
    assert torch.equal(short == 0, mask[:5, :5])


def small_vit(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    size = dict(image_size=8, patch_size=2, dim=8, depth=3, num_heads=2, pool="mean")
    return VisionTransformer(ViTConfig(**size | changes)).eval()


def test_a_restricted_vit_reads_what_its_masks_allow():
    grid = (4, 4)
    masks = [patterns.rows(grid), patterns.local(grid, 1)]
    model = patterns.restrict(small_vit(), masks)
    tokens = torch.randn(1, 16, 8, requires_grad=True)
    allowed = patterns.reach([masks[0], masks[1], masks[0]])
    for token in (0, 6, 15):
        (gradient,) = torch.autograd.grad(model.encoder(tokens)[0, token, 0], tokens)
        assert torch.equal((gradient[0] != 0).any(dim=1), allowed[token])


@torch.no_grad()
def test_a_full_mask_changes_nothing_and_keeps_the_weights():
    images, model = torch.randn(2, 3, 8, 8), small_vit()
    expected, names = model(images), list(model.state_dict())
    patterns.restrict(model, [patterns.full((4, 4))])
    torch.testing.assert_close(model(images), expected)
    assert list(model.state_dict()) == names  # so weights can be loaded before or after


def test_flex_attention_gives_the_same_values():
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 64, 16)
    near = lambda b, h, i, j: ((i // 8 - j // 8).abs() <= 1) & ((i % 8 - j % 8).abs() <= 1)
    try:
        mask = flex.create_block_mask(near, None, None, 64, 64, device="cpu")
        found = flex.flex_attention(q, k, v, block_mask=mask)
    except (NotImplementedError, RuntimeError) as error:
        pytest.skip(f"flex_attention does not run here: {error}")
    allowed = patterns.local((8, 8), 1)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v, attn_mask=allowed))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: patterns.full((0, 4)), "a side of the grid is 0"),
        (lambda: patterns.raster((3, 2.5)), "a side of the grid is 2.5"),
        (lambda: patterns.local(GRID, -1), "radius is -1"),
        (lambda: patterns.blocks(GRID, (2, 2)), "blocks of 2 do not divide a side of 3"),
        (lambda: patterns.blocks(GRID, (3, 2), (0, 2)), "the shift is 2: it must be at most 1"),
        (lambda: patterns.strided((3, 0)), "a side of the grid is 0"),
        (lambda: patterns.Pattern(torch.ones(3, 3).bool().tril(-1)), "1 tokens read nothing, of 3"),
        (lambda: patterns.restrict(small_vit(), [patterns.full(GRID)]), r"\(12, 12\) for 16"),
        (lambda: patterns.restrict(small_vit(), []), "at least one mask"),
        (
            lambda: patterns.restrict(small_vit(position="relative"), [patterns.full((4, 4))]),
            "every_layer",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers(make, said):
    with pytest.raises(ValueError, match=said):
        make()
