"""Similarity of learned positions for anyone's model: from the command line, and from the figure."""

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.cli.main import main
from vit_tutorial.cli.models import load_by_name
from vit_tutorial.inspection import plots
from vit_tutorial.inspection.analysis import patch_rows
from vit_tutorial.inspection.position_tables import position_table
from vit_tutorial.model import sinusoidal_2d
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
def test_our_models(changes, extra):
    model = VisionTransformer(ViTConfig(**WIDE | changes))
    table, grid, found = position_table(model)
    assert grid == (2, 5) and found == extra
    position = model.position if hasattr(model.position, "table") else model.encoder.positions[0]
    rows, _ = patch_rows(table, grid, found)
    expected = position.table[0, :10] if extra <= 0 else position.table[0, extra:]
    torch.testing.assert_close(rows, expected.detach())


@pytest.mark.parametrize("kind", ["none", "relative", "rotary"])
def test_no_table_is_said(kind):
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
def test_timm(name, changes, extra, grid):
    model = timm.create_model(name, pretrained=False, **changes)
    with torch.no_grad():  # make the patches' rows known: sinusoids
        patches = sinusoidal_2d(grid, model.embed_dim)
        model.pos_embed[0, -len(patches) :] = patches
    table, found_grid, found = position_table(model)
    assert (found_grid, found) == (grid, extra)
    torch.testing.assert_close(patch_rows(table, found_grid, found)[0], patches)
    assert plots.position_similarity(model).axes


def test_torchvision():
    from torchvision.models import VisionTransformer as Theirs

    model = Theirs(
        image_size=16, patch_size=4, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16
    )
    table, grid, extra = position_table(model)
    assert (grid, extra) == ((4, 4), 1)
    torch.testing.assert_close(table, model.encoder.pos_embedding[0].detach())


def test_other_models():
    with pytest.raises(
        ValueError, match="no table of positions found in a torch.nn.modules.linear.Linear"
    ):
        position_table(torch.nn.Linear(2, 2))
    model = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32, pos_embed="none"
    )
    with pytest.raises(ValueError, match="pos_embed is None"):
        position_table(model)


def test_command_line(tmp_path, capsys):
    model = VisionTransformer(ViTConfig(**WIDE))
    save_model(tmp_path / "model.safetensors", model)
    assert main(["similarity", str(tmp_path), "--out", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert (
        "2x5 position embeddings, width 16" in out and "shuffled" in out and "rows_recovered" in out
    )
    assert (tmp_path / "s.png").stat().st_size > 5000
    assert main(["similarity", "timm:vit_tiny_patch16_24"]) == 2
    assert "did you mean vit_tiny_patch16_224" in capsys.readouterr().err
    assert main(["similarity", str(tmp_path / "no.safetensors")]) == 2
    assert main(["similarity", "torchvision:vit_b_1"]) == 2


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
    with pytest.raises(ValueError, match="could not be fetched .no route to host.: --untrained"):
        load_by_name("timm:vit_tiny_patch16_224")
