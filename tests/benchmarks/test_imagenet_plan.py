"""docs/imagenet.md: its tables are what the script computes, its FLOPs those of the model."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from script_common import script
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import VisionTransformer
from vit_tutorial.cli.main import parser

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plan():
    return script("benchmarks/imagenet_plan.py")


def test_the_tables_are_what_the_script_prints(plan):
    page = plan.PAGE.read_text(encoding="utf-8")
    assert len(plan.tables().splitlines()) > 40 and plan.tables() in page, (
        "run: python benchmarks/imagenet_plan.py --write"
    )
    assert plan.with_tables(page.replace("22.05 M", "21 M")) == page


def test_flops_are_those_of_the_model(plan):
    config = plan.config()
    with torch.device("meta"):
        model, image = VisionTransformer(config), torch.zeros(1, 3, plan.SIDE, plan.SIDE)
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert counter.get_total_flops() == 2 * sum(plan.macs(config).values())


def test_the_command_is_one_that_the_command_line_takes(plan):
    page = plan.PAGE.read_text(encoding="utf-8")
    line = re.search(r"<!-- command -->\n```\n(.*)\n```", page)[1]
    words = shlex.split(line)
    start = words.index("vit_tutorial") + 1
    assert words[:start] == [
        "accelerate",
        "launch",
        "--num_processes",
        str(plan.GPUS),
        "-m",
        "vit_tutorial",
    ]
    args = parser().parse_args(words[start:])
    assert (
        args.batch_size == plan.BATCH
        and args.image_size == plan.SIDE
        and args.epochs in plan.EPOCHS
    )
    assert args.model == "ViT-S/16"


def test_rates_of_reading_are_those_of_the_committed_table(plan):
    rate = plan.reading()
    assert 0 < rate["full"] < rate["small"] < rate["check"]
    assert f"/ {rate['full']:.0f} (measured" in plan.tables()
