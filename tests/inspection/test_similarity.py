"""Where a model keeps its positions, and the command that draws how similar they are."""

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.cli.main import main
from vit_tutorial.inspection import TokenLayout, plots
from vit_tutorial.inspection.analysis import cosine_similarity
from vit_tutorial.inspection.models import load_by_name
from vit_tutorial.inspection.position_tables import all_positions, position_table
from vit_tutorial.inspection.similarity import neighbour_cosine
from vit_tutorial.model import make_position, sinusoidal_2d
from vit_tutorial.training import save_model

timm = pytest.importorskip("timm")
WIDE = dict(image_size=(8, 20), patch_size=4, dim=16, depth=2, num_heads=2)


@pytest.mark.parametrize(
    ("changes", "extra"),
    [
        (dict(), 1),
        (dict(class_token="last"), -1),
        (dict(pool="mean"), 0),
        (dict(position_class_token=False), 0),
        (dict(position="learned_2d"), 1),
        (dict(position="sinusoidal_2d"), 1),
        (dict(position_site="every_layer"), 1),
    ],
)
def test_tables_of_our_models(changes, extra):
    model = VisionTransformer(ViTConfig(**WIDE | changes))
    found = position_table(model)
    assert found.layout == TokenLayout((2, 5), prefix=max(extra, 0), suffix=max(-extra, 0))
    position = model.position if hasattr(model.position, "table") else model.encoder.positions[0]
    expected = position.table[0, :10] if extra <= 0 else position.table[0, extra:]
    torch.testing.assert_close(found.patches, expected.detach())


def test_positions_that_act_inside_attention():
    model = VisionTransformer(ViTConfig(**WIDE, position="relative", position_site="every_layer"))
    found = all_positions(model)
    assert len(found) == 2 and found[0].layout == TokenLayout((2, 5), prefix=1)
    for mine, module in zip(found, model.encoder.positions):
        torch.testing.assert_close(mine.bias, module(torch.zeros(1), torch.zeros(1))[2].detach())
    model = VisionTransformer(
        ViTConfig(**WIDE, position="rotary", position_site="every_layer", class_token="last")
    )
    (first, *_) = all_positions(model)
    assert first.layout == TokenLayout((2, 5), suffix=1)
    torch.testing.assert_close(first.cos, model.encoder.positions[0].cos)
    torch.testing.assert_close(first.sin, model.encoder.positions[0].sin)


def test_a_position_embedding_alone_and_a_tensor():
    position = make_position(ViTConfig(**WIDE))
    assert position_table(position, (2, 5)).layout == TokenLayout((2, 5), prefix=1)
    torch.testing.assert_close(position_table(position, (2, 5)).table, position.table[0].detach())
    assert position_table(torch.zeros(9, 4)).layout == TokenLayout((3, 3))
    layout = TokenLayout((2, 3), prefix=2, suffix=1)
    table = torch.arange(9.0)[:, None]
    assert position_table(table, layout).patches.flatten().tolist() == [2, 3, 4, 5, 6, 7]


def test_a_model_refuses_another_layout_than_its_own():
    model = VisionTransformer(ViTConfig(**WIDE))
    assert position_table(model, (2, 5)).layout == position_table(model).layout
    for other in ((5, 2), TokenLayout((2, 5))):
        with pytest.raises(ValueError, match="the model has 2x5 patches, 1 before and 0 behind"):
            position_table(model, other)


@pytest.mark.parametrize("kind", ["none", "relative", "rotary"])
def test_a_model_without_a_table_is_refused(kind):
    with pytest.raises(ValueError, match=f"its position is '{kind}'"):
        position_table(VisionTransformer(ViTConfig(**WIDE | dict(position=kind))))


@pytest.mark.parametrize(
    ("name", "changes", "extra", "grid"),
    [
        ("vit_tiny_patch16_224", dict(img_size=(32, 64)), 1, (2, 4)),
        ("deit_tiny_distilled_patch16_224", dict(img_size=32), 2, (2, 2)),
        (
            "vit_small_patch14_reg4_dinov2",
            dict(img_size=28, depth=1),
            0,
            (2, 2),
        ),  # registers without positions
        (
            "vit_tiny_patch16_224",
            dict(img_size=32, class_token=False, global_pool="avg"),
            0,
            (2, 2),
        ),
        ("vit_tiny_patch16_224", dict(img_size=32, reg_tokens=3), 4, (2, 2)),
    ],
)
def test_tables_of_timm(name, changes, extra, grid):
    model = timm.create_model(name, pretrained=False, **changes)
    with torch.no_grad():  # make the patches' rows known: sinusoids
        patches = sinusoidal_2d(grid, model.embed_dim)
        model.pos_embed[0, -len(patches) :] = patches
    found = position_table(model)
    assert found.layout == TokenLayout(grid, prefix=extra)
    torch.testing.assert_close(found.patches, patches)
    maps = plots.position_similarity(model).axes[0].get_images()
    cosine = cosine_similarity(patches)
    assert len(maps) == len(patches)
    for drawn, expected in zip(maps, cosine):
        np.testing.assert_allclose(drawn.get_array(), expected.view(grid).numpy(), atol=1e-6)


def test_tables_of_torchvision():
    from torchvision.models import VisionTransformer as Theirs

    model = Theirs(
        image_size=16, patch_size=4, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16
    )
    found = position_table(model)
    assert found.layout == TokenLayout((4, 4), prefix=1)
    torch.testing.assert_close(found.table, model.encoder.pos_embedding[0].detach())


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_tables_of_vit_pytorch(pool):
    vit_pytorch = pytest.importorskip("vit_pytorch")
    size = dict(num_classes=3, dim=16, depth=1, heads=2, mlp_dim=16)
    model = vit_pytorch.ViT(image_size=(8, 12), patch_size=4, pool=pool, **size)
    found = position_table(model, (2, 3))
    rows = model.pos_embedding.detach().reshape(-1, 16)
    prefix = len(rows) - 6  # the class token's row; older versions keep it without a class token
    assert found.layout == TokenLayout((2, 3), prefix=prefix)
    torch.testing.assert_close(found.patches, rows[prefix:])
    square = vit_pytorch.SimpleViT(image_size=12, patch_size=4, **size)
    found = position_table(square)
    assert found.layout == TokenLayout((3, 3))
    torch.testing.assert_close(found.table, square.pos_embedding)


def test_unknown_models_are_refused():
    with pytest.raises(
        ValueError, match="no table of positions found in a torch.nn.modules.linear.Linear"
    ):
        position_table(torch.nn.Linear(2, 2))
    model = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32, pos_embed="none"
    )
    with pytest.raises(ValueError, match="pos_embed is None"):
        position_table(model)


def test_similarity_command(tmp_path, capsys):
    model = VisionTransformer(ViTConfig(**WIDE))
    save_model(tmp_path / "model.safetensors", model)
    assert main(["similarity", str(tmp_path), "--out", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert (
        "2x5 position embeddings, width 16" in out and "shuffled" in out and "rows_recovered" in out
    )
    with Image.open(tmp_path / "s.png") as picture:  # what is in it: the next test
        expected = plots.position_similarity(model).get_size_inches() * 100
        assert picture.format == "PNG" and picture.size == tuple(expected.astype(int))
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10  # drawn, not blank
    assert main(["similarity", "timm:vit_tiny_patch16_24"]) == 2
    assert "did you mean vit_tiny_patch16_224" in capsys.readouterr().err
    assert main(["similarity", str(tmp_path / "no.safetensors")]) == 2
    assert main(["similarity", "torchvision:vit_b_1"]) == 2


def test_similarity_command_draws_the_models_own_cosines(tmp_path, monkeypatch):
    model = VisionTransformer(ViTConfig(**WIDE))
    save_model(tmp_path / "model.safetensors", model)
    saved = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: saved.update({path: figure}))
    assert main(["similarity", str(tmp_path), "--out", str(tmp_path / "s.png")]) == 0
    maps = saved[tmp_path / "s.png"].axes[0].get_images()
    expected = cosine_similarity(model.position.table[0, 1:])
    assert len(maps) == 10
    for drawn, cosines in zip(maps, expected):
        np.testing.assert_allclose(drawn.get_array(), cosines.view(2, 5).numpy(), atol=1e-6)


def test_random_weights_need_no_network(tmp_path, capsys):
    assert (
        main(
            [
                "similarity",
                "timm:vit_tiny_patch16_224",
                "--untrained",
                "--out",
                str(tmp_path / "s.png"),
            ]
        )
        == 0
    )
    assert "14x14" in capsys.readouterr().out


def test_weights_that_cannot_be_fetched(monkeypatch):
    def fails(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", fails)
    with pytest.raises(ValueError, match="could not be downloaded .no route to host.: --untrained"):
        load_by_name("timm:vit_tiny_patch16_224")


def test_direct_neighbours_share_an_edge():
    table = torch.randn(12, 7, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(table, dim=-1)
    pairs = [(r * 4 + c, r * 4 + c + 1) for r in range(3) for c in range(3)]
    pairs += [(r * 4 + c, r * 4 + c + 4) for r in range(2) for c in range(4)]
    assert len(pairs) == 17
    expected = sum(float(unit[i] @ unit[j]) for i, j in pairs) / 17
    assert neighbour_cosine(table, (3, 4)) == pytest.approx(expected, abs=1e-6)
    with_token = torch.cat([torch.randn(1, 7), table])
    assert neighbour_cosine(with_token, (3, 4)) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="1 patch has no neighbours"):
        neighbour_cosine(table[:1], (1, 1))


def test_similarity_blocks_draw_one_block_for_each_table():
    model = VisionTransformer(ViTConfig(**WIDE))
    tables = {"model": model, "shuffled": torch.randn(10, 16), "third": torch.randn(1, 10, 16)}
    figure = plots.similarity_blocks(tables, (2, 5), columns=2, title="two rows")
    blocks = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in blocks] == list(tables)
    (image,) = blocks[1].get_images()
    cosine = cosine_similarity(tables["shuffled"])
    drawn = np.asarray(image.get_array()).reshape(2, 2, 5, 5)  # row, other's row, column, ...
    assert image.get_clim() == (-1, 1)
    for patch in range(10):
        small = drawn[patch // 5, :, patch % 5]
        np.testing.assert_allclose(small, cosine[patch].view(2, 5).numpy(), atol=1e-6)
    figure.canvas.draw()
    with pytest.raises(ValueError, match="0 tables to draw"):
        plots.similarity_blocks({})
