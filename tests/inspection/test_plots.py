"""inspection/plots and analysis: the figures show what was given; bad input is named."""

import math
import subprocess
import sys
import types

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig, patchify
from vit_tutorial.inspection import TokenLayout, analysis, plots
from vit_tutorial.inspection.plots.base import number_cells


@pytest.fixture
def image():
    return torch.randint(
        0, 256, (3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.fixture
def table():
    return torch.randn(
        1, 13, 20, generator=torch.Generator().manual_seed(0)
    )  # a class token and 3 x 4 patches


def texts(axes):
    return [text.get_text() for text in axes.texts]


def arrays(axes):
    return [np.asarray(image.get_array()) for image in axes.get_images()]


ROWS = [
    dict(
        step=0,
        epochs=0,
        minutes=0,
        lr=0,
        train_loss=None,
        validation_loss=2.3,
        validation_accuracy=0.1,
    ),
    dict(
        step=5,
        epochs=1,
        minutes=0.5,
        lr=1e-3,
        train_loss=1.5,
        validation_loss=1.4,
        validation_accuracy=0.5,
    ),
    dict(
        step=10,
        epochs=2,
        minutes=1,
        lr=0,
        train_loss=1.0,
        validation_loss=1.1,
        validation_accuracy=0.75,
    ),
]


# analysis


def test_cosine_similarity_is_the_dot_product_over_the_lengths(table):
    cosine = analysis.cosine_similarity(table)
    for i, j in ((0, 1), (3, 7), (12, 12)):
        a, b = table[0, i], table[0, j]
        torch.testing.assert_close(cosine[i, j], a @ b / (a.norm() * b.norm()))
    torch.testing.assert_close(
        cosine, analysis.cosine_similarity(1e-6 * table[0])
    )  # the scale does not matter
    assert analysis.cosine_similarity(torch.zeros(2, 4)).eq(0).all()


def test_grid_distance_counts_patches():
    distance = analysis.grid_distance((3, 4))
    assert (
        distance.shape == (12, 12)
        and distance.diagonal().eq(0).all()
        and distance.equal(distance.T)
    )
    assert (
        distance[0, 3] == 3
        and distance[0, 8] == 2
        and distance[0, 5] == pytest.approx(math.sqrt(2))
    )


def test_confusion_matrix_has_true_rows_and_predicted_columns():
    matrix = analysis.confusion_matrix(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2, 1, 1]), 3)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analysis.cosine_similarity(torch.zeros(2, 3, 4)), r"\(2, 3, 4\)"),
        (lambda: analysis.cosine_similarity([1, 2]), "list"),
        (lambda: analysis.patch_rows(torch.zeros(13, 4)), "13 positions, 13 and 12 .* no square"),
        (
            lambda: analysis.patch_rows(torch.zeros(13, 4), (3, 3)),
            "13 positions do not fit a grid of 3x3 = 9 patches",
        ),
        (
            lambda: analysis.patch_rows(torch.zeros(9, 4), (3, 4)),
            "9 positions do not fit a grid of 3x4 = 12",
        ),
        (
            lambda: analysis.patch_rows(torch.zeros(9, 4), TokenLayout((3, 3), prefix=1)),
            "9 positions do not fit .* 9 patches with 1 tokens before and 0 behind .* makes 10",
        ),
        (lambda: TokenLayout((3, 3), suffix=-1), "suffix is -1"),
        (lambda: analysis.grid_distance(4), "grid is 4"),
        (lambda: analysis.grid_distance((0, 4)), "rows of the grid is 0"),
        (
            lambda: analysis.confusion_matrix(torch.tensor([0]), torch.tensor([3]), 3),
            "predicted .* 3 to 3: with 3 classes",
        ),
        (
            lambda: analysis.confusion_matrix(torch.tensor([0, 1]), torch.tensor([0]), 3),
            r"\(2,\) and \(1,\)",
        ),
        (lambda: analysis.confusion_matrix(torch.tensor([0.0]), torch.tensor([0]), 3), "argmax"),
    ],
)
def test_analysis_names_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# patches


def test_patches_draws_the_image_the_patch_the_sequence_and_the_token(image):
    whole, patch, sequence, token = plots.patches(image, 8, zoom=4).axes
    pixels = image.permute(1, 2, 0).numpy()
    assert np.array_equal(arrays(whole)[0], pixels)
    assert texts(whole) == ["0", "1", "2", "3", "4", "5"]
    assert np.array_equal(
        arrays(patch)[0], pixels[8:16, 8:16]
    )  # patch 4 of 2 x 3 is in row 1, column 1
    flat = patchify(image[None], 8)[0]
    assert [array.reshape(-1).tolist() for array in arrays(sequence)] == flat.tolist()
    names = "RGBRGBRGBRGB"
    assert texts(token)[:12] == [f"{name} {value}" for name, value in zip(names, flat[4].tolist())]


@pytest.mark.parametrize(("channels", "shown"), [(1, ["0.50", "0.25"]), (4, ["R 0.50", "G 0.25"])])
def test_patches_of_one_and_four_channels(channels, shown):
    image = torch.full((channels, 4, 4), 0.25)
    image[0, 0, 0] = 0.5
    figure = plots.patches(image, 2)
    assert texts(figure.axes[3])[:2] == shown
    if channels == 1:
        same = plots.patches(image[0], 2)  # (H, W)
        assert np.array_equal(arrays(same.axes[0])[0], arrays(figure.axes[0])[0])


def test_patches_enlarges_the_most_varied_patch():
    image = torch.zeros(1, 8, 8)
    image[0, 4, 4:6] = 1
    assert "patch 3 " in plots.patches(image, 4).axes[1].get_title()


def test_a_path_a_pil_image_and_a_tensor_draw_the_same(image, tmp_path):
    pil = Image.fromarray(image.permute(1, 2, 0).numpy())
    pil.save(tmp_path / "image.png")
    for picture in (pil, tmp_path / "image.png", str(tmp_path / "image.png"), image / 255):
        drawn = arrays(plots.patches(picture, 8).axes[0])[0]
        drawn = drawn if drawn.dtype == np.uint8 else (255 * drawn).round()
        assert np.array_equal(drawn, image.permute(1, 2, 0).numpy())
    assert "·1 =" in plots.patches(pil.convert("L"), 8).axes[3].get_title(loc="left")


def test_a_long_sequence_shows_its_start_its_end_and_the_enlarged_patch():
    sequence = plots.patches(torch.rand(3, 56, 56), 4, zoom=100).axes[2]
    shown = [int(label.get_text()) for label in sequence.get_xticklabels()]
    assert shown == sorted(set(shown)) and len(shown) <= 16
    assert {0, 1, 99, 100, 101, 194, 195} <= set(shown)
    assert texts(sequence) == ["…", "…"]


def test_numbers_are_thinned_out_and_can_be_left_out():
    image = torch.rand(3, 56, 56)
    assert len(texts(plots.patches(image, 4).axes[0])) == 196
    many = texts(plots.patches(image, 1).axes[0])
    assert 0 < len(many) < 3136 / 4 and many[0] == "0"
    assert texts(plots.patches(image, 4, numbers=False).axes[0]) == []
    axes = plots.base.new_figure(2, 2).add_subplot()
    number_cells(axes, 30, 30, 1, 0.1)
    assert all(text.get_fontsize() >= 7 for text in axes.texts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: plots.patches(i, 5), "5x5 do not tile an image of 16x24"),
        (
            lambda i: plots.patches(i, 8, zoom=6),
            "zoom is 6: the 6 patches are numbered from 0 to 5",
        ),
        (lambda i: plots.patches(i[None], 8), r"\(1, 3, 16, 24\).*images\[0\]"),
        (lambda i: plots.patches(i[:2], 8), r"\(2, 16, 24\)"),
        (lambda i: plots.patches(i.float(), 8), "from 0 to 255"),
        (lambda i: plots.patches(torch.full((3, 8, 8), math.nan), 8), "nan"),
        (lambda i: plots.patches(i.long(), 8), "int64"),
        (lambda i: plots.patches(i.numpy(), 8), "ndarray.*permute"),
    ],
)
def test_patches_names_bad_input(image, call, message):
    with pytest.raises(ValueError, match=message):
        call(image)


# grids of images and mistakes


def test_image_grid_draws_each_image_under_its_title(image):
    figure = plots.image_grid([image, image / 255, image[0]], ["a", "b", "c"], columns=2)
    used = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in used] == ["a", "b", "c"]
    assert np.array_equal(arrays(used[0])[0], image.permute(1, 2, 0).numpy())
    assert np.array_equal(arrays(used[2])[0], image[0].numpy())
    assert len(plots.image_grid(torch.rand(5, 8, 8)).axes) == 5
    with pytest.raises(ValueError, match="1 titles for 2"):
        plots.image_grid([image, image], ["a"])
    with pytest.raises(ValueError, match="0 were given"):
        plots.image_grid([])


def test_mistakes_are_the_surest_wrong_ones_first(image):
    images = torch.stack([image] * 5)
    images[:, 0, 0, 0] = torch.arange(5)
    true, predicted = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 0, 1, 0, 1])
    figure = plots.most_confident_errors(
        images, true, predicted, torch.tensor([0.99, 0.6, 0.9, 0.7, 0.8]), ["cat", "dog"], count=3
    )
    assert [int(arrays(axes)[0][0, 0, 0]) for axes in figure.axes] == [2, 4, 3]
    assert [axes.get_title() for axes in figure.axes] == [
        "dog (90%)\nis: cat",
        "dog (80%)\nis: cat",
        "cat (70%)\nis: dog",
    ]
    assert "3 surest of 4 mistakes among 5" in figure.get_suptitle()
    assert (
        "No mistakes among 5"
        in plots.most_confident_errors(images, true, true, torch.ones(5), ["cat", "dog"])
        .texts[0]
        .get_text()
    )


@pytest.mark.parametrize(
    ("true", "predicted", "confidence", "message"),
    [
        ([0, 1], [1], [0.5, 0.5], r"2 images.*\(1,\)"),
        ([0, 2], [1, 0], [0.5, 0.5], "up to 2, but there are 2 class names"),
        ([0, 1], [1, 0], [0.5, 7.5], "from 0.5 to 7.5.*softmax"),
    ],
)
def test_mistakes_names_bad_input(true, predicted, confidence, message):
    with pytest.raises(ValueError, match=message):
        plots.most_confident_errors(
            torch.rand(2, 3, 8, 8),
            torch.tensor(true),
            torch.tensor(predicted),
            torch.tensor(confidence),
            ["a", "b"],
        )


# curves and confusion


def test_curves_draw_the_rows(image):
    loss, accuracy, rate = plots.curves(ROWS, x="minutes").axes
    train, validation = loss.get_lines()
    assert train.get_xydata().tolist() == [
        [0.5, 1.5],
        [1, 1],
    ]  # the row without a training loss is left out
    assert validation.get_xydata().tolist() == [[0, 2.3], [0.5, 1.4], [1, 1.1]]
    assert accuracy.get_lines()[0].get_ydata().tolist() == [10, 50, 75]
    assert rate.get_lines()[0].get_ydata().tolist() == [0, 1e-3, 0]
    assert loss.get_xlabel() == "minutes"


def test_curves_take_the_text_of_a_csv_and_other_runs():
    rows = [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in ROWS
    ]
    figure = plots.curves(rows, also={"other": ROWS[:1]}, label="mine")
    ours, other = figure.axes[1].get_lines()
    assert ours.get_ydata().tolist() == [10, 50, 75] and other.get_ydata().tolist() == [10]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "mine",
        "other",
    ]
    assert figure.axes[0].get_xlabel().startswith("epochs")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.curves([]), "0 rows"),
        (lambda: plots.curves(ROWS, x="hours"), "'hours': choose from epochs, minutes, step"),
        (lambda: plots.curves([dict(epoch=1)]), "has epoch"),
        (lambda: plots.curves([dict(step=1)]), "nothing to draw"),
        (lambda: plots.curves([dict(step="one")]), "'one' is not a number"),
        (lambda: plots.curves(ROWS, also={"this run": ROWS}), "two runs are called 'this run'"),
        (lambda: plots.confusion(torch.ones(2, 3), ["a", "b"]), r"\(2, 2\), not \(2, 3\)"),
        (lambda: plots.confusion(torch.tensor([[1, -1], [0, 1]]), ["a", "b"]), "from -1 to 1"),
        (lambda: plots.confusion(torch.tensor([[0.5, 0.5], [0, 1]]), ["a", "b"]), "counts"),
    ],
)
def test_learning_plots_name_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_confusion_writes_counts_and_colours_shares():
    matrix = torch.tensor([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    axes = plots.confusion(matrix, ["a", "b", "c"]).axes[0]
    assert texts(axes) == [str(count) for count in matrix.flatten().tolist()]
    assert arrays(axes)[0].tolist() == [
        [80, 20, 0],
        [25, 75, 0],
        [0, 0, 0],
    ]  # a class without images is 0, not nan
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_intervals_draw_means_and_bars():
    table = [
        dict(variant="a", mean=0.5, half=0.02, seeds=5),
        dict(variant="b", mean=0.6, half=math.nan, seeds=1),
    ]
    axes = plots.intervals(table, "two").axes[0]
    dots = [container.lines[0].get_xydata().tolist()[0] for container in axes.containers]
    assert dots == [[50, 0], [60, 1]]
    bars = [container.lines[2][0].get_segments()[0][:, 0] for container in axes.containers]
    np.testing.assert_allclose(bars, [[48, 52], [60, 60]])  # no bar for a single run
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert "over 1 to 5 seeds" in axes.get_xlabel()
    low, high = axes.get_ylim()
    assert high < low  # the first variant is on top
    with pytest.raises(ValueError, match="0 variants"):
        plots.intervals([])


# positions and attention


@pytest.mark.parametrize("place", [1, -1, 0])
def test_position_similarity_draws_the_computed_cosine(table, place):
    given = {1: table, -1: table.roll(-1, dims=1), 0: table[0, 1:]}[place]
    layout = TokenLayout((3, 4), prefix=int(place == 1), suffix=int(place == -1))
    axes = plots.position_similarity(given, layout).axes[0]
    cosine = analysis.cosine_similarity(table[0, 1:])
    assert len(axes.get_images()) == 12
    for n, drawn in enumerate(axes.get_images()):
        assert np.array_equal(drawn.get_array(), cosine[n].view(3, 4).numpy())
        assert drawn.get_clim() == (-1, 1)
        left, right, bottom, top = drawn.get_extent()
        assert (
            (int(top), int(left)) == divmod(n, 4) and bottom < top + 1 and right < left + 1
        )  # map n stands in place n
    bottom, top = axes.get_ylim()
    assert top < bottom  # row 0 is on top


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [dict(), dict(class_token="last"), dict(pool="mean"), dict(position_class_token=False)],
)
@pytest.mark.parametrize("position", ["learned_1d", "sinusoidal_2d"])
def test_position_similarity_finds_the_patches_of_a_model(position, changes):
    config = ViTConfig(
        image_size=(12, 16),
        patch_size=4,
        dim=16,
        depth=1,
        num_heads=2,
        position=position,
        **changes,
    )
    model = VisionTransformer(config)
    table = model.position.table.detach()[0]
    token = config.class_token if config.position_class_token else "none"
    rows = {"first": table[1:], "last": table[:-1], "none": table}[token]
    drawn = plots.position_similarity(model).axes[0].get_images()
    assert np.array_equal(
        drawn[5].get_array(), analysis.cosine_similarity(rows)[5].view(3, 4).numpy()
    )


def test_position_similarity_without_a_table():
    model = types.SimpleNamespace(
        position=torch.nn.Identity(), config=types.SimpleNamespace(position="none")
    )
    with pytest.raises(ValueError, match="no table of positions: its position is 'none'"):
        plots.position_similarity(model)
    with pytest.raises(ValueError, match="13 positions do not fit a grid of 5x5 = 25"):
        plots.position_similarity(torch.zeros(13, 4), (5, 5))


def test_attention_map_draws_the_weights_and_lights_the_image():
    weights = torch.arange(1.0, 8) / 28  # a class token, 2 x 3 patches
    image = torch.rand(3, 4, 6)
    whole, lit, drawn, _bar = plots.attention_map(weights, (2, 3), image=image).axes
    torch.testing.assert_close(torch.from_numpy(arrays(drawn)[0]), weights[1:].view(2, 3))
    assert np.array_equal(arrays(whole)[0], image.permute(1, 2, 0).numpy())
    torch.testing.assert_close(torch.from_numpy(arrays(lit)[0][0, 0]), image[:, 0, 0] * 2 / 7)
    assert "3.6%" in whole.figure.get_suptitle()  # 1 / 28 goes to the class token
    with pytest.raises(ValueError, match="from -0.5 to 1.5"):
        plots.attention_map(torch.tensor([-0.5, 1.5, 0, 0]))
    with pytest.raises(ValueError, match=r"got \(2, 4\)"):
        plots.attention_map(torch.ones(2, 4))


# figures as objects


def every_figure():
    noise = torch.randn(17, 8)
    return [
        plots.patches(torch.rand(3, 16, 16), 4),
        plots.image_grid(torch.rand(3, 3, 8, 8), title="three"),
        plots.curves(ROWS),
        plots.confusion(torch.eye(3), ["a", "b", "c"]),
        plots.most_confident_errors(
            torch.rand(2, 3, 8, 8),
            torch.tensor([0, 1]),
            torch.tensor([1, 1]),
            torch.rand(2),
            ["a", "b"],
        ),
        plots.position_similarity(noise),
        plots.attention_map(torch.ones(16) / 16, image=torch.rand(3, 16, 16)),
    ]


@pytest.mark.slow
def test_no_state_is_left_behind(tmp_path):
    import matplotlib.pyplot as plt

    before, open_figures = dict(matplotlib.rcParams), plt.get_fignums()
    for i, figure in enumerate(every_figure()):
        assert isinstance(figure, matplotlib.figure.Figure)
        plots.save(figure, tmp_path / f"{i}.png")
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == open_figures


def test_figures_have_titles_and_axes_have_labels():
    for figure in every_figure():
        assert figure.get_suptitle() or any(axes.get_title() for axes in figure.axes)
    noise = torch.randn(17, 8)
    charts = (
        plots.curves(ROWS),
        plots.confusion(torch.eye(2), "ab"),
        plots.position_similarity(noise),
    )
    for axes in (axes for figure in charts for axes in figure.axes):
        assert axes.get_ylabel() and (axes.get_xlabel() or axes.get_label() == "<colorbar>")


def test_a_figure_shows_itself_as_a_png(image):
    data, _ = plots.patches(image, 8)._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")


def test_save_writes_a_whole_file_or_none(tmp_path, image):
    figure = plots.patches(image, 8)
    path = plots.save(figure, tmp_path / "new folder" / "a.png")
    with Image.open(path) as saved:
        assert saved.size == tuple(int(figure.dpi * side) for side in figure.get_size_inches())
    before = path.read_bytes()
    figure.savefig = lambda file, **_: file.write(b"half") and 1 / 0
    with pytest.raises(ZeroDivisionError):
        plots.save(figure, path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["a.png"]
    with pytest.raises(ValueError, match="a.jpg"):
        plots.save(figure, tmp_path / "a.jpg")


@pytest.mark.slow
def test_plots_need_no_pyplot_and_the_package_no_plots():
    code = (
        "import sys, torch, vit_tutorial; assert 'matplotlib' not in sys.modules; "
        "import vit_tutorial.inspection; assert 'matplotlib' not in sys.modules; "
        "from vit_tutorial.inspection import plots; "
        "plots.patches(torch.rand(3, 8, 8), 4)._repr_mimebundle_(); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
