"""Who carries the first patch's colour to the end: RNN, LSTM, a memory, attention (lesson 12).

    python benchmarks/long_range.py train
    python benchmarks/long_range.py cost

train: every model of relatives/sequence.py, about 9,800 parameters each, learns to name the first
    patch's colour from 4 to 1,024 patches. A run may see --examples sequences; one that answers 10
    batches in a row without a mistake stops early. The accuracy is that on 2,000 new sequences;
    chance is 1/8. The learning rate and the patches' contrast were chosen in a few runs, mostly of
    attention. Both may favour it: the committed rows hold no other learning rate (--lr) for the
    recurrent models.
cost: processor seconds of a training step by length, measured in turns.

Writes into data/results/ (or --out DIR), for which a run that is there already is not made again:
    long_range.csv       a row for each run
    long_range_cost.csv  a row for each model and length
"""

import argparse
import itertools
import time

import common
import measured
import torch
import torch.nn.functional as F
from comparison import count

from vit_tutorial.common import machine
from vit_tutorial.relatives.sequence import (
    COLOURS,
    SEQUENCE_MODELS,
    Attention,
    first_colour,
    sequence_model,
)

LENGTHS = (4, 16, 64, 256, 1024)
RUN = ("model", "length", "seed", "most_examples", "lr")  # what tells two runs apart
BATCH, CLIP = 64, 1.0
SOLVED = 10  # batches in a row without a mistake
TEST, TEST_SEED = 2_000, 10_000
COST_BATCH = 16  # so that all rows of the longest attention tables fit into memory
ALL_ASK = "attention, all tokens ask"


def step(model: torch.nn.Module, optimizer, tokens, colours) -> torch.Tensor:
    """One training step; the logits (B, 8) before it."""
    logits = model(tokens)
    optimizer.zero_grad()
    F.cross_entropy(logits, colours).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)  # usual for recurrent networks
    optimizer.step()
    return logits


def train(name: str, length: int, seed: int, examples: int, lr: float) -> dict:
    """The row of one run."""
    start = time.process_time()
    model = sequence_model(name, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    draw = torch.Generator().manual_seed(seed)
    seen = right = 0  # right: batches in a row
    while seen < examples and right < SOLVED:
        tokens, colours = first_colour(BATCH, length, draw)
        logits = step(model, optimizer, tokens, colours)
        right = right + 1 if torch.equal(logits.argmax(dim=1), colours) else 0
        seen += BATCH
    found = accuracy(model, length)
    print(f"{name}, {length} tokens, seed {seed}: {found:.3f} after {seen:,}", flush=True)
    return dict(zip(RUN, (name, length, seed, examples, lr))) | dict(
        accuracy=found,
        chance=1 / COLOURS,
        examples=seen,
        parameters=count(model),
        batch_size=BATCH,
        cpu_seconds=round(time.process_time() - start, 1),
        **common.provenance("long_range.py", machine.hardware(torch.device("cpu"))),
    )


@torch.inference_mode()
def accuracy(model: torch.nn.Module, length: int) -> float:
    """The share of right answers on sequences that no run has learned from."""
    draw, right = torch.Generator().manual_seed(TEST_SEED), 0
    for size in [100] * (TEST // 100):
        tokens, colours = first_colour(size, length, draw)
        right += (model(tokens).argmax(dim=1) == colours).sum().item()
    return right / TEST


def cost(rounds: int, lengths=LENGTHS) -> list[dict]:
    """A row for each model and length; "attention" lets the last token ask alone."""
    models = {name: sequence_model(name, 0) for name in SEQUENCE_MODELS}
    models |= {ALL_ASK: Attention(all_ask=True)}
    optimizers = {name: torch.optim.Adam(m.parameters()) for name, m in models.items()}
    draw = torch.Generator().manual_seed(0)
    inputs = {length: first_colour(COST_BATCH, length, draw) for length in lengths}
    pairs = [(name, length) for name in models for length in lengths]
    seconds: dict[tuple, list[float]] = {pair: [] for pair in pairs}
    for name, length in measured.in_turns(pairs, rounds + 1):
        start = time.process_time()  # not the clock's: others may use this machine
        step(models[name], optimizers[name], *inputs[length])
        seconds[name, length].append(time.process_time() - start)
    kept = {pair: values[1:] for pair, values in seconds.items()}  # the first one warms up
    rows = []
    for name, length in pairs:
        ratios = measured.ratios(kept[name, length], kept[name, lengths[0]])
        rows.append(
            dict(model=name, length=length, parameters=count(models[name]))
            | dict(batch_size=COST_BATCH, rounds=rounds)
            | measured.spread("step_ms", [1000 * value for value in kept[name, length]], 2)
            | measured.spread(f"ratio_to_{lengths[0]}", ratios, 2)
            | common.provenance("long_range.py", machine.hardware(torch.device("cpu")))
        )
        print(name, length, rows[-1]["step_ms"], rows[-1][f"ratio_to_{lengths[0]}"], flush=True)
    return rows


def plan(args: argparse.Namespace) -> list[tuple]:
    """The RUN columns of every run, the short ones first."""
    every = itertools.product(args.lengths, args.seeds, args.models)
    return [(name, length, seed, args.examples, args.lr) for length, seed, name in every]


def arguments() -> argparse.Namespace:
    folder = common.run_options(common.RESULTS, "folder for the tables (default: data/results)")
    parser = common.make_parser(__doc__, folder)
    parser.set_defaults(seeds=[0, 1, 2, 3, 4])
    parser.add_argument("task", choices=("train", "cost"))
    names = list(SEQUENCE_MODELS)
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--examples", type=int, default=64_000, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=3e-3, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=10, help="of cost (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)  # small work: a second thread would wait
    sizes = {name: count(sequence_model(name, 0)) for name in SEQUENCE_MODELS}
    print(", ".join(f"{name}: {size:,} parameters" for name, size in sizes.items()))
    if args.task == "cost":
        common.write_table(args.out / "long_range_cost.csv", cost(args.rounds, args.lengths))
        return
    table = common.SharedTable(args.out / "long_range.csv")
    for run in plan(args):
        if not table.find(**dict(zip(RUN, run))):
            table.add(train(*run), instead_of=RUN)
    order = {name: place for place, name in enumerate(SEQUENCE_MODELS)}
    table.sort(lambda row: (order[row["model"]], *(float(row[name]) for name in RUN[1:])))


if __name__ == "__main__":
    main()
