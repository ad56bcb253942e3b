"""Known mistakes in adding the position to the tokens."""

from collections.abc import Callable

import torch

from ..check import Evidence, Mistake
from .general import values_all_right


def add_position_mistakes() -> tuple[Mistake, ...]:
    """For fn(tokens (B, T, D), position (1, T, D)) -> (B, T, D)."""
    return (
        Mistake(
            "patches_only",
            "Row 0, the class token's, came out as it went in. Its row of the position is part of the table, too.",
            "T counts the class token. From which row on do you add?",
            "source 003's table: the position is added before the class token is joined",
            lambda tokens, position: torch.cat([tokens[:, :1], (tokens + position)[:, 1:]], dim=1),
        ),
        Mistake(
            "shifted_by_one",
            "Each token got the row of a neighbour: the rows of the position are shifted by one.",
            "Which row of the position belongs to token 0?",
            "first drafts: an index that starts at 1; a class token moved to the other end while the table stayed",
            lambda tokens, position: tokens + position.roll(1, 1),
            lambda e: everywhere(
                e,
                lambda x, p, y: (
                    any(near(y, x + p.roll(by, 1)) for by in (1, -1)) or x.shape[1] == 1
                ),
            ),
        ),
        Mistake(
            "reversed_order",
            "The rows of the position were added in reverse order: the last row to the first token.",
            "Which row of the position belongs to token 0?",
            "first drafts",
            lambda tokens, position: tokens + position.flip(1),
        ),
        Mistake(
            "position_transposed",
            "The position was turned: what belongs to token t went to entry t of every token. "
            "Where there are as many tokens as entries, nothing complains; elsewhere the shapes do not fit.",
            "Which axis of the position counts tokens, and which axis of the tokens does?",
            "first drafts: a transpose to make shapes fit",
            lambda tokens, position: tokens + position.mT,
            also=(entry_by_entry,),
        ),
        Mistake(
            "position_by_image",
            "Each image got one row of the position, added to all of its tokens. The row must follow the token, not the image.",
            "Write the two shapes below each other. Along which axis should the position be the same?",
            "first drafts: x[i] + position[0, i] in a loop over the batch",
            lambda tokens, position: tokens + position[0, : len(tokens), None],
        ),
        Mistake(
            "first_image_only",
            "Image 0 got its positions, the other images came out as they went in.",
            "Your line must hold for each image of the batch. Which index names only the first?",
            "first drafts that were tried on a single image",
            first_image_only,
        ),
        Mistake(
            "multiplied",
            "The tokens were multiplied with the position. Asked for is a sum.",
            "What would a position near 0, as it is before training, do to the tokens in each case?",
            "first drafts",
            lambda tokens, position: tokens * position,
        ),
        Mistake(
            "joined_not_added",
            lambda e: (
                f"The position was joined to the tokens: from {shape_in(e)} to {shape_out(e)}. Adding keeps the shape."
            ),
            "The tokens must stay as many, and as wide. Which operation leaves both alone?",
            "first drafts: torch.cat, as for the class token",
            lambda tokens, position: torch.cat([tokens, position.expand_as(tokens)], dim=2),
            joined,
        ),
        Mistake(
            "position_forgotten",
            "The tokens came back as they went in: no position was added.",
            "Does your function use its second argument? Is what you compute also what you return?",
            "first drafts: x + position without an assignment; attention alone cannot tell the order",
            lambda tokens, position: tokens * 1,
        ),
        Mistake(
            "added_twice",
            "The position was added twice.",
            "How many of your lines add it? Does a line in place run before the one that returns?",
            "first drafts: += and then a sum in the return",
            lambda tokens, position: tokens + position + position,
            lambda e: everywhere(e, lambda x, p, y: near(y, x + 2 * p)),
        ),
        Mistake(
            "one_position_for_all",
            "Every token got the same vector. So the tokens still cannot tell where they stand.",
            "Which axis of the position did you average over, or pick one entry from?",
            "first drafts: position.mean(1) or position[:, 0]",
            lambda tokens, position: tokens + position.mean(1, keepdim=True),
            lambda e: everywhere(
                e, lambda x, p, y: near(y - x, (y - x)[:1, :1].expand_as(y)) and not near(y, x)
            ),
        ),
        Mistake(
            "position_scaled",
            lambda e: f"Your result is tokens + {factor(e):.4g} × position.",
            "Does the text ask for a factor? What would it change, if the position is learned?",
            "first drafts: * 0.02, which belongs to the first draw of the table and not to each forward pass",
            lambda tokens, position: tokens + 0.02 * position,
            lambda e: everywhere(
                e, lambda x, p, y: near(y - x, fit(y - x, p.expand_as(x)) * p.expand_as(x))
            ),
        ),
        Mistake(
            "tokens_scaled",
            lambda e: f"Your result is {token_factor(e):.4g} × tokens + position.{root(e)}",
            "Does the text ask for a factor? Which model multiplies its embeddings, and does ViT?",
            "Vaswani et al. 2017, section 3.4, multiply word embeddings by the square root of the width; ViT does not",
            lambda tokens, position: tokens * tokens.shape[2] ** 0.5 + position,
            lambda e: everywhere(
                e, lambda x, p, y: near(y - p, fit(y - p, x) * x) and abs(fit(y - p, x)) > 1e-3
            ),
        ),
        Mistake(
            "position_detached",
            "The values are right, and the tokens get their gradient. The position gets none: it would stay as it was drawn.",
            "Which call takes the numbers without their history: .data, .detach(), torch.tensor(...), .numpy()?",
            "first drafts: position.data; right only for a fixed table",
            lambda tokens, position: tokens + position.detach(),
            lambda e: (
                values_all_right(e)
                and any("position" in seen.facts.get("no_gradient", []) for seen in e.seen)
            ),
        ),
    )


def everywhere(e: Evidence, condition: Callable) -> bool:
    """condition(tokens, position, result) holds in every case, the result having the right shape; and something is wrong."""
    for case, seen in zip(e.cases, e.seen):
        if case.device == "meta":
            continue
        x, p = case.inputs["tokens"].double(), case.inputs["position"].double()
        y = seen.tensors.get("output")
        if y is None or y.shape != x.shape or not condition(x, p, y.double()):
            return False
    return not values_all_right(e)


def near(one: torch.Tensor, two: torch.Tensor) -> bool:
    return torch.allclose(one, two, rtol=1e-3, atol=1e-4)


def fit(values: torch.Tensor, of: torch.Tensor) -> float:
    """The factor by which `of` comes nearest to `values`."""
    return float((values * of).sum() / (of * of).sum())


def parts(e: Evidence) -> tuple:
    i = e.first_wrong()
    x, p = e.cases[i].inputs["tokens"].double(), e.cases[i].inputs["position"].double()
    return x, p.expand_as(x), e.seen[i].tensors["output"].double()


def factor(e: Evidence) -> float:
    x, p, y = parts(e)
    return fit(y - x, p)


def token_factor(e: Evidence) -> float:
    x, p, y = parts(e)
    return fit(y - p, x)


def root(e: Evidence) -> str:
    width = parts(e)[0].shape[2]
    return (
        f" {width**0.5:.4g} is √{width}, and {width} is the width."
        if abs(token_factor(e) - width**0.5) < 0.01
        else ""
    )


def shape_in(e: Evidence) -> tuple:
    return tuple(e.cases[e.first_wrong()].inputs["tokens"].shape)


def shape_out(e: Evidence) -> tuple:
    return tuple(e.seen[e.first_wrong()].tensors["output"].shape)


def joined(e: Evidence) -> bool:
    """In every case the result is twice as wide, or in every case twice as long."""
    sizes = [
        (seen.tensors.get("output", torch.empty(0)).shape, tuple(case.inputs["tokens"].shape))
        for case, seen in zip(e.cases, e.seen)
        if case.device != "meta"
    ]
    return all(mine == (B, T, 2 * D) for mine, (B, T, D) in sizes) or all(
        mine == (B, 2 * T, D) for mine, (B, T, D) in sizes
    )


def entry_by_entry(tokens, position):
    """With loops no wrong shape can arise: an index is too large where there are not as many tokens as entries."""
    T, D = tokens.shape[1:]
    return tokens + torch.stack(
        [torch.stack([position[0, i, t] for i in range(D)]) for t in range(T)]
    )


def first_image_only(tokens, position):
    result = tokens.clone()
    result[0] = result[0] + position[0]
    return result
