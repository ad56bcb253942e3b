"""What each kind of position costs (inspection/cost.py) and what its picture shows."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection import TokenLayout, analysis, plots
from vit_tutorial.inspection.cost import position_cost
from vit_tutorial.model import make_position
from vit_tutorial.model.config import IN_ATTENTION, POSITION_SITES, POSITIONS

WIDE = dict(
    image_size=(8, 12), patch_size=4, dim=16, depth=3, num_heads=2
)  # 2 x 3 patches, heads of width 8
PLACES = [(kind, place) for kind, place in itertools.product(POSITIONS[1:], POSITION_SITES)]
PLACES = [(kind, place) for kind, place in PLACES if not (kind in IN_ATTENTION and place == "stem")]


def module(kind, **changes):
    return make_position(ViTConfig(**WIDE | dict(position=kind, position_std=1.0) | changes))


# cost


class Elementwise(TorchDispatchMode):
    """Counts the elementwise additions and multiplications that PyTorch really does.

    Matrix products are left out.
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        aten = torch.ops.aten
        if function.overloadpacket in (
            aten.add,
            aten.sub,
            aten.mul,
            aten.add_,
            aten.sub_,
            aten.mul_,
        ):
            self.count += result.numel()
        return result


def counted(config):
    """Elementwise operations of one image's forward pass, with attention spelled out."""
    with torch.device("meta"):
        model, image = (
            VisionTransformer(config).eval(),
            torch.empty(1, config.channels, *config.image_size),
        )
    for block in model.encoder.blocks:
        # the fused form adds a relative bias inside a kernel, where nobody can count it
        block.attention.fused = False
    with Elementwise() as found, torch.no_grad():
        model(image)
    return found.count


@pytest.mark.parametrize("kind, place", PLACES)
@pytest.mark.parametrize("token", ("first", "last", "none"))
def test_flops_are_those_that_pytorch_does(kind, place, token):
    settings = WIDE | dict(class_token=token, pool="mean")
    config = ViTConfig(**settings, position=kind, position_site=place)
    assert position_cost(config)["flops"] == counted(config) - counted(
        ViTConfig(**settings, position="none")
    )


def test_flops_where_the_class_token_joins_later():
    settings = WIDE | dict(position_class_token=False)
    for kind in ("learned_1d", "learned_2d", "sinusoidal_2d"):
        config = ViTConfig(**settings, position=kind)
        assert (
            position_cost(config)["flops"]
            == counted(config) - counted(ViTConfig(**settings, position="none"))
            == 6 * 16
        )


def test_costs_of_vit_base_by_hand():
    def cost(**changes):
        return position_cost(ViTConfig.named("ViT-B/16", **changes))

    assert cost(position="none") == dict(parameters=0, flops=0)
    assert cost() == dict(parameters=197 * 768, flops=197 * 768)
    assert cost(position_site="every_layer") == dict(
        parameters=12 * 197 * 768, flops=12 * 197 * 768
    )
    assert cost(position_site="every_layer_shared") == dict(
        parameters=197 * 768, flops=12 * 197 * 768
    )
    assert cost(position="learned_2d") == dict(parameters=28 * 384 + 768, flops=197 * 768)
    assert cost(position="sinusoidal_2d") == dict(parameters=0, flops=197 * 768)
    assert cost(position="relative") == dict(
        parameters=12 * 12 * (27 * 27 + 3), flops=12 * 12 * 197**2
    )
    assert cost(position="rotary") == dict(parameters=0, flops=12 * 6 * 197 * 768)
    assert cost(position_class_token=False) == dict(parameters=196 * 768, flops=196 * 768)
    assert cost(position_frozen=True) == dict(parameters=0, flops=197 * 768)
    assert (
        counted(ViTConfig.named("ViT-B/16", position="rotary"))
        - counted(ViTConfig.named("ViT-B/16", position="none"))
        == (cost(position="rotary")["flops"])
    )


def test_cost_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    position_cost(ViTConfig(**WIDE, position="relative", position_init="truncated_normal"))
    assert torch.get_rng_state().equal(state)


def test_cost_wants_a_config():
    with pytest.raises(
        ValueError, match="from a ViTConfig, such as model.config, not from a VisionTransformer"
    ):
        position_cost(VisionTransformer(ViTConfig(**WIDE)))


# picture


def drawn(figure):
    """The arrays of a figure's maps, content and effect in turn; the colour bars have none."""
    return [
        np.asarray(image.get_array())
        for panel in panels(figure)
        for axes in panel.axes
        for image in axes.get_images()
    ]


def panels(figure):
    """Row by row: matplotlib 3.8 lists its panels in another order than later versions."""
    return sorted(figure.subfigs, key=lambda panel: (-panel.bbox.y1, panel.bbox.x0))


def close(found, expected):
    np.testing.assert_allclose(found, torch.as_tensor(expected).detach().numpy(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ("learned_1d", "learned_2d", "sinusoidal_1d", "sinusoidal_2d"))
@pytest.mark.parametrize("token", ("first", "last"))
def test_a_table_and_its_cosines(kind, token):
    config = ViTConfig(**WIDE, class_token=token, pool="mean", position=kind, position_std=1.0)
    model = VisionTransformer(config)
    content, effect = drawn(plots.position_kinds({kind: model}, patch=4))
    rows = model.position.table[0, 1:] if token == "first" else model.position.table[0, :-1]
    close(content, rows)
    close(effect, analysis.cosine_similarity(rows)[4].view(2, 3))
    assert effect[1, 1] == pytest.approx(1)


def test_a_table_alone_and_where_its_class_token_stands():
    table = torch.randn(1, 7, 8, generator=torch.Generator().manual_seed(0))
    close(drawn(plots.position_kinds(table, (2, 3)))[0], table[0, 1:])
    layout = TokenLayout((2, 3), suffix=1)
    close(drawn(plots.position_kinds(table, layout))[0], table[0, :-1])
    close(
        drawn(plots.position_kinds(table[0, :4]))[0], table[0, :4]
    )  # a square grid need not be given


@pytest.mark.parametrize("token", ("first", "last", "none"))
def test_relative_positions_by_offset(token):
    position = module("relative", class_token=token, pool="mean")
    layout = TokenLayout((2, 3), prefix=int(token == "first"), suffix=int(token == "last"))
    content, effect = drawn(plots.position_kinds(position, layout, patch=(1, 0), head=1))
    first = int(token == "first")
    bias = position(torch.zeros(1), torch.zeros(1))[2][1][
        first : first + 6, first : first + 6
    ]  # (6, 6), head 1
    assert content.shape == (3, 5)
    for query, key in itertools.product(range(6), repeat=2):
        down, right = key // 3 - query // 3, key % 3 - query % 3
        assert content[down + 1, right + 2] == pytest.approx(bias[query, key].item())
    close(effect, bias[3].view(2, 3))
    assert len(np.unique(content)) == 15  # every offset has a number of its own


@pytest.mark.parametrize("token", ("first", "none"))
def test_rotary_positions_by_their_scores(token):
    position = module("rotary", class_token=token, pool="mean")
    content, effect = drawn(plots.position_kinds(position, (2, 3), patch=2))
    query = torch.ones(1, 1, position.cos.shape[0], 8)  # each pair as long as the others
    q, k, _ = position(query, query)
    first = int(token == "first")
    scores = (q @ k.mT)[0, 0][first:, first:] / 8  # 8 is the largest: a query with its own copy
    close(effect, scores[2].view(2, 3))
    close(content, position.cos[first:])
    assert effect[0, 2] == pytest.approx(1) and abs(effect).max() <= 1 + 1e-6


def test_every_map_has_zero_in_the_middle_and_a_bar_of_its_own():
    kinds = {kind: module(kind, pool="mean") for kind in POSITIONS[1:]}
    figure = plots.position_kinds(kinds, (2, 3), title="six kinds")
    assert [panel.get_suptitle() for panel in panels(figure)] == list(
        kinds
    ) and figure.get_suptitle() == "six kinds"
    assert len(drawn(figure)) == 2 * len(kinds)
    for panel in panels(figure):
        for axes in panel.axes[:2]:
            (image,) = axes.get_images()
            low, high = image.get_clim()
            assert low == -high and high > 0 and axes.get_xlabel() and axes.get_ylabel()
            assert image.colorbar.ax.get_ylabel()
        assert len(panel.axes[1].patches) == 1  # the chosen patch
    figure.canvas.draw()


def test_models_show_the_first_of_their_layers():
    model = VisionTransformer(ViTConfig(**WIDE, position="learned_1d", position_site="every_layer"))
    close(drawn(plots.position_kinds(model))[0], model.encoder.positions[0].table[0, 1:])
    model = VisionTransformer(ViTConfig(**WIDE, position="learned_1d", position_class_token=False))
    close(drawn(plots.position_kinds(model))[0], model.position.table[0])


def test_a_start_from_zeros_can_be_drawn():
    for kind in ("learned_1d", "relative"):
        figure = plots.position_kinds(module(kind, position_std=0.0), (2, 3))
        figure.canvas.draw()
        assert all(math.isfinite(number) for array in drawn(figure) for number in array.flat)


def test_bad_input_is_named():
    table = torch.randn(6, 8)
    with pytest.raises(ValueError, match="0 positions to draw"):
        plots.position_kinds({})
    with pytest.raises(ValueError, match="no positions: its position is 'none'"):
        plots.position_kinds(VisionTransformer(ViTConfig(**WIDE, position="none")))
    with pytest.raises(ValueError, match="patch 6 is not on a grid of 2x3 patches: give 0 to 5"):
        plots.position_kinds(table, (2, 3), patch=6)
    with pytest.raises(ValueError, match="patch .0, 3. is not on a grid"):
        plots.position_kinds(table, (2, 3), patch=(0, 3))
    with pytest.raises(ValueError, match="head 2 is not one of the 2 heads: 0 to 1"):
        plots.position_kinds(module("relative"), (2, 3), head=2)
    with pytest.raises(ValueError, match="6 positions do not fit a grid of 3x3"):
        plots.position_kinds(table, (3, 3))
    with pytest.raises(ValueError, match="no table of positions found"):
        plots.position_kinds(torch.nn.Identity(), (2, 3))
