"""The pictures of attention say what their numbers say."""

import pytest
import torch
from matplotlib.colors import to_rgb

from vit_tutorial import data, patchify
from vit_tutorial.inspection import plots
from vit_tutorial.inspection.plots.base import GREEN, ORANGE

ICONS = patchify(data.landscape()[None], 4)[0].reshape(6, 4, 4, 3).permute(0, 3, 1, 2)


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def drawn(figure):
    figure.canvas.draw()  # a picture that cannot be drawn fails here
    return figure


def test_weight_tables_write_every_weight_and_draw_what_is_read():
    weights = torch.rand(6, 6).softmax(dim=-1)
    figure = drawn(plots.weight_tables({"one": torch.eye(6), "two": weights}, ICONS, title="both"))
    one, two = figure.axes
    assert texts(one).count("1.00") == 6 and texts(one).count("0.00") == 30
    assert [text for text in texts(two) if "." in text] == [f"{w:.2f}" for w in weights.flatten()]
    pictures = [artist.offsetbox.get_data() for artist in two.artists]
    assert len(pictures) == 18  # for each token: its column, its row, and its output
    expected = torch.einsum("ij,jchw->ihwc", weights, ICONS)
    for row, picture in enumerate(pictures[2::3]):
        torch.testing.assert_close(torch.as_tensor(picture), expected[row])


def test_reading_shows_the_scores_the_weights_and_the_output():
    q, k, v = torch.randn(16), torch.randn(6, 16), torch.randn(6, 16)
    scores = k @ q / 4
    weights = scores.softmax(0)
    parts = dict(query=q, keys=k, scores=scores, weights=weights, values=v, output=weights @ v)
    figure = drawn(plots.reading(ICONS, data.LANDSCAPE, 1, parts, title="the sun reads"))
    found = texts(figure.axes[0])
    assert "query of\nthe sun" in found
    for numbers in (scores, weights):
        assert all(f"{number:.2f}" in found for number in numbers)
    strips = [image.get_array() for image in figure.axes[0].images]
    assert len(strips) == 1 + 6 + 6 + 1
    torch.testing.assert_close(torch.as_tensor(strips[-1][0]), weights @ v)


def test_split_and_merge_labels_each_block_and_shows_what_a_bare_reshape_mixes():
    figure = drawn(plots.split_and_merge(6, 3, title="heads"))
    blocks = [text for text in texts(figure.axes[0]) if text.isdigit()]
    rows = "00 10 20 01 11 21 02 12 22 03 13 23 04 14 24 05 15 25".split()
    by_head = "00 01 02 03 04 05 10 11 12 13 14 15 20 21 22 23 24 25".split()
    assert blocks == [*rows, *by_head, *rows, *by_head]


def test_ring_marks_the_place_that_does_not_read_its_left_neighbour():
    weights = torch.eye(6).roll(-1, dims=1)  # place t reads t - 1
    weights[4] = torch.eye(6)[4]
    lengths = torch.tensor([19.0, 16.0, 11.0, 6.0, 25.0, 22.0])
    left, right = drawn(plots.ring(weights, lengths, title="a ring")).axes
    colours = [bar.get_facecolor() for bar in right.patches]
    assert [bar.get_height() for bar in right.patches] == [25, 22, 19, 16, 11, 6]
    assert colours[0] != colours[1] and len(set(colours)) == 2
    assert [label.get_text() for label in right.get_xticklabels()] == list("450123")
    assert len(left.patches) == 6 + 6 + 1  # places, arrows, and the arrow that is missing
    assert GREEN != ORANGE
    assert right.get_title() == "5 of 6 are shorter than their left neighbour's"


@pytest.mark.parametrize("top", [None, 0.5])
def test_map_rows_scale_each_map_by_itself_or_all_alike(top):
    maps = torch.rand(5, 8, 8) * torch.arange(1, 6)[:, None, None] / 10
    images = torch.rand(5, 3, 32, 32)
    figure = drawn(plots.map_rows(images, {"trained": (maps, top)}, title="what is read"))
    tops = [axes.images[0].norm.vmax for axes in figure.axes[5:]]
    assert tops == pytest.approx([float(m.max()) for m in maps] if top is None else [top] * 5)
    assert figure.axes[5].get_ylabel() == "trained"
    assert figure.axes[5].get_xlabel() == f"largest {float(maps[0].max()):.2f}"


def test_path_lengths_draw_a_chain_of_states_and_one_step():
    chain, fan = drawn(plots.path_lengths(ICONS, title="two ways")).axes
    assert chain.get_title().endswith("6 steps") and fan.get_title().endswith("1 step")
    arrows = lambda axes: [p for p in axes.patches if type(p).__name__ == "FancyArrowPatch"]
    lit = lambda axes: [p for p in arrows(axes) if p.get_edgecolor()[:3] == to_rgb(ORANGE)]
    assert (len(arrows(chain)), len(lit(chain))) == (11, 6)
    assert (len(arrows(fan)), len(lit(fan))) == (6, 1)
