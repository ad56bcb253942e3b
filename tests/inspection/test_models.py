"""Models by name: what timm takes is taken, what has no table of positions says so."""

import pytest
import torch

from vit_tutorial import interop
from vit_tutorial.cli.main import main
from vit_tutorial.inspection.models import load_by_name
from vit_tutorial.inspection.position_tables import position_table

timm = pytest.importorskip("timm")


def test_a_name_with_a_tag_is_taken():
    model = load_by_name("timm:vit_tiny_patch16_224.augreg_in21k", pretrained=False)
    assert model.num_classes == 21843


def test_a_name_on_the_hub_goes_to_timm(monkeypatch):
    asked = []
    make = lambda name, pretrained: asked.append(name) or torch.nn.Identity()
    monkeypatch.setattr(timm, "create_model", make)
    load_by_name("timm:hf_hub:owner/model", pretrained=False)
    load_by_name("timm:hf-hub:owner/model", pretrained=False)
    assert asked == ["hf_hub:owner/model", "hf-hub:owner/model"]
    with pytest.raises(ValueError, match="did you mean"):
        load_by_name("timm:vit_tinny_patch16_224.augreg_in21k", pretrained=False)


# One of each family whose positions are not one row for each token.
FAMILIES = ["pit_ti_224", "xcit_nano_12_p16_224", "hiera_tiny_224", "swin_tiny_patch4_window7_224"]
FAMILIES += ["convnext_atto", "mvitv2_tiny", "levit_128s", "coat_tiny", "beit_base_patch16_224"]
FAMILIES += ["cait_xxs24_224", "maxvit_pico_rw_256", "mobilevit_xxs", "crossvit_9_240", "pvt_v2_b0"]
FAMILIES += ["twins_pcpvt_small", "tnt_s_patch16_224", "volo_d1_224", "efficientformer_l1"]


@pytest.mark.parametrize("name", [name for name in FAMILIES if timm.is_model(name)])
def test_a_model_of_another_family_has_a_table_or_says_that_it_has_none(name, tmp_path, capsys):
    picture = str(tmp_path / "out.png")
    status = main(["similarity", f"timm:{name}", "--untrained", "--out", picture])
    said = capsys.readouterr()
    if status == 0:
        assert "position embeddings, width" in said.out
    else:
        assert status == 2 and said.err.startswith("vit_tutorial: ") and said.err.count("\n") == 1


def test_the_whole_row_of_positions_of_pit_is_not_read_as_a_table():
    with pytest.raises(ValueError, match="not one row for each token|no table"):
        position_table(timm.create_model("pit_ti_224"))


@pytest.mark.parametrize("attribute", ["num_heads", "scale"])
def test_blocks_that_differ_in_what_no_shape_shows_are_refused(attribute):
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=3).eval()
    interop.load_from(model)
    attention = model.blocks[1].attn
    setattr(attention, attribute, getattr(attention, attribute) * 2)
    with pytest.raises(ValueError, match=f"blocks that differ in {attribute}.*blocks.1.attn has"):
        interop.load_from(model)
