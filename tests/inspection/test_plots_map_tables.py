"""Tables of maps, curves with intervals and clouds of points draw the numbers they are given."""

import pytest
import torch
from matplotlib.colors import to_hex

from vit_tutorial.inspection import plots
from vit_tutorial.inspection.plots.base import SERIES


def drawn(figure):
    figure.canvas.draw()  # a picture that cannot be drawn fails here
    return figure


def test_a_map_has_its_own_scale_and_a_signed_one_is_white_at_zero():
    picture, weights = torch.rand(3, 32, 32), torch.rand(8, 8) / 100 + 0.01
    signed = torch.tensor([[-1.0, 0.0], [2.0, 1.0]])
    rows = {"one": [picture, weights], "two": [picture, signed]}
    figure = drawn(plots.map_table(rows, ["image", "map"], title="maps"))
    assert [axes.get_title() for axes in figure.axes[:2]] == ["image", "map"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["one", "two"]
    one, two = figure.axes[1].images[0], figure.axes[3].images[0]
    assert one.get_clim() == pytest.approx((weights.min().item(), weights.max().item()))
    assert two.get_clim() == (-2, 2)
    assert two.cmap(two.norm(0.0))[:3] == pytest.approx((0.969, 0.969, 0.969), abs=0.02)
    torch.testing.assert_close(torch.as_tensor(one.get_array()), weights)


def test_a_row_with_too_few_cells_is_named():
    with pytest.raises(ValueError, match="1 cells in row 'a' for 2 columns"):
        plots.map_table({"a": [torch.rand(2, 2)]}, ["x", "y"], title="")


def test_lines_draw_means_and_bands_and_labels_do_not_overlap():
    curves = {
        "first": ([0, 1, 2], [1.0, 0.5, 0.2], ([1.0, 0.4, 0.1], [1.0, 0.6, 0.3])),
        "second": ([0, 1, 2], [1.0, 0.6, 0.2], ([1.0, 0.5, 0.2], [1.0, 0.7, 0.2])),
        "third": ([0, 1, 2], [1.0, 0.9, 0.8], ([1.0, 0.9, 0.8], [1.0, 0.9, 0.8])),
    }
    figure = drawn(plots.lines(curves, title="t", x="covered", y="accuracy"))
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [c[1] for c in curves.values()]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.1) and band.max() == pytest.approx(1.0)
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert {text.get_text() for text in axes.texts} == set(curves)
    assert all(low.y1 <= high.y0 for low, high in zip(boxes, boxes[1:]))


def test_clouds_have_a_colour_and_a_marker_for_each_class():
    points, labels = torch.randn(60, 2), torch.arange(60) % 6
    panels = {"before": points, "after": 2 * points}
    names = dict(colors=["disc", "ring", "cross"], markers=["upper", "lower"])
    figure = drawn(plots.clouds(panels, labels, **names, title="t"))
    before, after = figure.axes
    assert len(before.collections) == 6
    for number, cloud in enumerate(before.collections):
        torch.testing.assert_close(
            torch.as_tensor(cloud.get_offsets()).float(), points[labels == number]
        )
        assert to_hex(cloud.get_facecolor()[0]) == SERIES[number // 2].lower()
    same = [cloud.get_paths()[0].vertices.tolist() for cloud in before.collections]
    assert same[0] == same[2] == same[4] != same[1]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["disc", "ring", "cross", "upper", "lower"]


def test_too_many_kinds_are_named():
    with pytest.raises(ValueError, match="7 colours and 2 markers"):
        plots.clouds({}, torch.zeros(0), ["c"] * 7, ["a", "b"], title="")
