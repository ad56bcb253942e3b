"""check_add_rows: add the first rows of a table that is made for longer sequences, too."""

from collections.abc import Callable
from dataclasses import replace

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.named_tokens import which_row
from . import added_positions
from .general import general_mistakes


def add_rows(tokens: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """(B, T, D) and (1, L, D) with L >= T -> (B, T, D)."""
    return tokens + table[:, : tokens.shape[1]]


def add_rows_cases(generator: torch.Generator) -> list[Case]:
    """Tables as long as the sequence, one row longer, and much longer, with unrelated rows."""

    def case(about, B, T, D, L, dtype=torch.float32, **more):
        tokens = numbers(generator, B, T, D, dtype=dtype)
        table = numbers(generator, 1, L, D, dtype=dtype)
        return Case(about, {"tokens": tokens, "table": table}, **more)

    T, D = choice(generator, 4, 5, 6), choice(generator, 7, 8, 9)
    return [
        case("the table is longer", 2, T, D, 2 * T),
        case("the table is as long as the sequence", 2, T, D, T),
        case("one row more than tokens", 2, T, D, T + 1),
        case("batch of 1", 1, T, D, 2 * T),
        case("as many tokens as entries", 3, 6, 6, 10),
        case("as many images as tokens", 4, 4, D, 9),
        case("one token for each image", 3, 1, D, 5),
        case("float64", 2, T, D, 2 * T, torch.float64),
        case("with gradient", 2, T, D, 2 * T, grad=True),
        case("another device", 2, T, D, 2 * T, device="meta"),
    ]


def rows_by_name(inputs: dict) -> dict[str, torch.Tensor]:
    """Each row of the table, and none."""
    table = inputs["table"]
    rows = {f"the token plus row {r} of the table": row for r, row in enumerate(table[0])}
    return {**rows, "the token alone": torch.zeros_like(table[0, 0])}


def shape(e: Evidence, name: str) -> tuple:
    return tuple(e.inputs[name].shape)


def longer(case: Case) -> bool:
    return case.inputs["table"].shape[1] > case.inputs["tokens"].shape[1]


def first_rows(mistake: Mistake) -> Mistake:
    """A mistake with tokens and as many rows, made with the first T rows of the table."""

    def cut(fn: Callable) -> Callable:
        return lambda tokens, table: fn(tokens, table[:, : tokens.shape[1]])

    def seen(of: Callable) -> Callable:
        def on_cut(e: Evidence):
            cases = []
            for case in e.cases:
                tokens, table = case.inputs["tokens"], case.inputs["table"]
                inputs = {"tokens": tokens, "position": table[:, : tokens.shape[1]]}
                cases.append(replace(case, inputs=inputs))
            return of(Evidence(cases, e.actual, e.expected))

        return on_cut

    explanation = mistake.explanation
    return replace(
        mistake,
        buggy=cut(mistake.buggy),
        variants=tuple(map(cut, mistake.variants)),
        detect=seen(mistake.detect) if mistake.detect else None,
        explanation=explanation if isinstance(explanation, str) else seen(explanation),
    )


def table_gets_no_gradient(e: Evidence) -> bool:
    unreached = any("table" in actual.facts.get("no_gradient", []) for actual in e.actual)
    return e.all_values_right() and unreached


def from_one_where_there_is_one(tokens, table):
    start = int(table.shape[1] > tokens.shape[1])
    return tokens + table[:, start : start + tokens.shape[1]]


def last_token_without(tokens, table):
    """A slice that ends one row too early, on both sides of the sum."""
    T = tokens.shape[1]
    return torch.cat([tokens[:, : T - 1] + table[:, : T - 1], tokens[:, T - 1 :]], dim=1)


def spread_out(tokens, table):
    """As many rows as tokens, from the first row of the table to the last."""
    return torch.linspace(0, table.shape[1] - 1, tokens.shape[1]).long().to(table.device)


def equal(got, row) -> bool:
    """Each of the rows (B, D) is this one."""
    return torch.allclose(got.double(), row.double().expand_as(got), atol=1e-4)


def rows_taken(e: Evidence) -> tuple[int, int] | None:
    """(a token, another row than its own that it got); None unless each token got some row."""
    found = None
    for case, actual, _ in e.compared():
        tokens, table = case.inputs["tokens"], case.inputs["table"][0]
        if actual.output is None or actual.output.shape != tokens.shape:
            return None
        for t, got in enumerate((actual.output - tokens).unbind(1)):
            near = [r for r, row in enumerate(table) if equal(got, row)]
            if not near:
                return None
            if near[0] != t:
                found = found or (t, near[0])
    return found


OWN = (
    Mistake(
        name="last_token_without_a_row",
        explanation="The last token got no row of the table; all others are right.",
        hint="Which index is the last one in x[:, : T - 1]?",
        buggy=last_token_without,
    ),
    Mistake(
        name="whole_table",
        explanation=lambda e: (
            "Where the table is as long as the sequence, everything is right. Here the tokens are "
            f"{shape(e, 'tokens')} and the table is {shape(e, 'table')}: it has more rows than "
            "there are tokens."
        ),
        hint="How many rows of the table do you need, and which size of `tokens` is that number?",
        buggy=lambda tokens, table: tokens + table,
        detect=lambda e: e.wrong_exactly_where(longer) and e.observation.error is not None,
    ),
    Mistake(
        name="last_rows",
        explanation=lambda e: (
            f"Token 0 got row {shape(e, 'table')[1] - shape(e, 'tokens')[1]} of the table: your "
            "slice takes the last rows. Token t must get row t, however long the table is."
        ),
        hint="At which row does your slice begin, and from which end does it count?",
        # a negative index
        buggy=lambda tokens, table: tokens + table[:, -tokens.shape[1] :],
    ),
    Mistake(
        name="rows_from_one",
        explanation=(
            "Token t got row t + 1, and row 0 was left out. Token 0 is a token like the others."
        ),
        hint="Where does your slice begin?",
        # a class token that is thought to have no position
        buggy=lambda tokens, table: tokens + table[:, 1 : tokens.shape[1] + 1],
        variants=(from_one_where_there_is_one,),
    ),
    Mistake(
        name="position_by_image",
        explanation=(
            "Each image got one row of the table, added to all of its tokens. The row must follow "
            "the token, not the image."
        ),
        hint=(
            "Write the two shapes one below the other. Which axis does your slice count, images or "
            "tokens?"
        ),
        # table[: tokens.size(0)] from code whose tokens are (T, B, D)
        buggy=lambda tokens, table: tokens + table[0, : len(tokens), None],
        variants=(lambda x, table: x + table[0, : x.shape[1], None][: len(x)],),
    ),
    Mistake(
        name="position_detached",
        explanation=(
            "The values are right, and the tokens get their gradient. The table gets none, so "
            "it would never be learned."
        ),
        hint=(
            "Which call keeps the numbers but drops the gradient: .data, .detach(), "
            "torch.tensor(...), .numpy()?"
        ),
        buggy=lambda tokens, table: add_rows(tokens, table.detach()),
        detect=table_gets_no_gradient,
    ),
)
OTHER = (
    Mistake(
        name="other_rows",
        explanation=lambda e: (
            f"Each token got a row of the table, but not its own: token {rows_taken(e)[0]} got row "
            f"{rows_taken(e)[1]}."
        ),
        hint="Which numbers does your index hold for a table that is longer than the sequence?",
        # table[:, T:], linspace over the whole table, F.interpolate
        buggy=lambda tokens, table: tokens + table[:, spread_out(tokens, table)],
        detect=lambda e: rows_taken(e) is not None,
    ),
)
SHARED = tuple(map(first_rows, added_positions.MISTAKES))


check_add_rows = Check(
    name="check_add_rows",
    signature=(
        "fn(tokens (B, T, D), table (1, L, D) with L >= T) -> (B, T, D), token t plus row t of "
        "the table, the same rows for each image"
    ),
    cases=add_rows_cases,
    reference=add_rows,
    mistakes=OWN + SHARED + OTHER + general_mistakes(add_rows, without=()),
    place=which_row(rows_by_name, less="tokens"),
)
