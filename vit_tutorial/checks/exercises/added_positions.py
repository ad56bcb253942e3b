"""Mistakes with tokens and a table of positions, for check_add_rows: the table as long as they."""

from collections.abc import Callable

import torch

from ..engine.mistake import Evidence, Mistake


def everywhere(e: Evidence, condition: Callable) -> bool:
    """Something is wrong; all shapes are right, and condition(tokens, position, result) holds."""
    for case, actual, _ in e.compared():
        x, p = case.inputs["tokens"].double(), case.inputs["position"].double()
        y = actual.output
        if y is None or y.shape != x.shape or not condition(x, p, y.double()):
            return False
    return not e.all_values_right()


def near(one: torch.Tensor, two: torch.Tensor) -> bool:
    return torch.allclose(one, two, rtol=1e-3, atol=1e-4)


def fit(values: torch.Tensor, of: torch.Tensor) -> float:
    """The factor by which `of` comes nearest to `values`."""
    return float((values * of).sum() / (of * of).sum())


def parts(e: Evidence) -> tuple:
    """Tokens, position and result of the first wrong case, in one shape."""
    x, p = e.inputs["tokens"].double(), e.inputs["position"].double()
    return x, p.expand_as(x), e.observation.output.double()


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
    return tuple(e.inputs["tokens"].shape)


def shape_out(e: Evidence) -> tuple:
    return tuple(e.observation.output.shape)


def joined(e: Evidence) -> bool:
    """In every case the result is twice as wide, or in every case twice as long."""
    if any(actual.output is None for actual in e.with_values()):
        return False
    sizes = [(actual.output.shape, case.inputs["tokens"].shape) for case, actual, _ in e.compared()]
    return all(mine == (B, T, 2 * D) for mine, (B, T, D) in sizes) or all(
        mine == (B, 2 * T, D) for mine, (B, T, D) in sizes
    )


def entry_by_entry(tokens, position):
    """With loops: where there are fewer tokens than entries, an index is too large."""
    T, D = tokens.shape[1:]
    return tokens + torch.stack(
        [torch.stack([position[0, i, t] for i in range(D)]) for t in range(T)]
    )


def first_image_only(tokens, position):
    result = tokens.clone()
    result[0] = result[0] + position[0]
    return result


MISTAKES = (
    Mistake(
        name="patches_only",
        explanation=(
            "Row 0, the class token's, came out unchanged. Its row of the position belongs to the "
            "table, too."
        ),
        hint="T counts the class token. From which row on do you add?",
        # as if the position were added before the class token is joined
        buggy=lambda tokens, position: torch.cat(
            [tokens[:, :1], (tokens + position)[:, 1:]], dim=1
        ),
    ),
    Mistake(
        name="shifted_by_one",
        explanation=(
            "Each token got the row of a neighbour: the rows of the position are shifted by one."
        ),
        hint="Which row of the position belongs to token 0?",
        # an index that starts at 1, or a class token moved to the other end
        buggy=lambda tokens, position: tokens + position.roll(1, 1),
        detect=lambda e: everywhere(
            e,
            lambda x, p, y: any(near(y, x + p.roll(by, 1)) for by in (1, -1)) or x.shape[1] == 1,
        ),
    ),
    Mistake(
        name="reversed_order",
        explanation=(
            "The rows of the position were added in reverse order: the last row went to the first "
            "token."
        ),
        hint="Which row of the position belongs to token 0?",
        buggy=lambda tokens, position: tokens + position.flip(1),
    ),
    Mistake(
        name="position_transposed",
        explanation=(
            "The position was transposed: what belongs to token t went to entry t of every token. "
            "With as many tokens as entries nothing complains; otherwise the shapes do not fit."
        ),
        hint="Which axis of the position counts tokens, and which axis of the tokens does?",
        # a transpose to make shapes fit
        buggy=lambda tokens, position: tokens + position.mT,
        variants=(entry_by_entry,),
    ),
    Mistake(
        name="rows_counted_by_images",
        explanation=(
            "Your code takes as many rows of the position as there are images. It is right where "
            "that happens to be the number of tokens."
        ),
        hint="Which axis of the tokens (B, T, D) counts the tokens: 0 or 1?",
        # position[:, : tokens.size(0)]
        buggy=lambda tokens, position: tokens + position[:, : len(tokens)],
    ),
    Mistake(
        name="first_image_only",
        explanation="Image 0 got its positions; the other images came out unchanged.",
        hint="Your line must work for every image of the batch. Which index picks only the first?",
        buggy=first_image_only,
    ),
    Mistake(
        name="multiplied",
        explanation="The tokens were multiplied by the position. The exercise asks for a sum.",
        hint=(
            "What would a position near 0, as it is before training, do to the tokens in each case?"
        ),
        buggy=lambda tokens, position: tokens * position,
    ),
    Mistake(
        name="joined_not_added",
        explanation=lambda e: (
            f"The position was joined to the tokens: from {shape_in(e)} to {shape_out(e)}. "
            "Adding keeps the shape."
        ),
        hint="The number of tokens and their width must stay the same. Which operation keeps both?",
        # torch.cat, as for the class token
        buggy=lambda tokens, position: torch.cat([tokens, position.expand_as(tokens)], dim=2),
        detect=joined,
    ),
    Mistake(
        name="position_forgotten",
        explanation="The tokens came back unchanged: no position was added.",
        hint="Does your function use its second argument? Do you return what you compute?",
        # x + position without an assignment; attention alone cannot tell the order
        buggy=lambda tokens, position: tokens * 1,
    ),
    Mistake(
        name="added_twice",
        explanation="The position was added twice.",
        hint="How many of your lines add it? Is there a += before the line that returns the sum?",
        # += and then a sum in the return
        buggy=lambda tokens, position: tokens + position + position,
        detect=lambda e: everywhere(e, lambda x, p, y: near(y, x + 2 * p)),
    ),
    Mistake(
        name="one_position_for_all",
        explanation=(
            "Every token got the same vector. So the tokens still do not show where they are."
        ),
        hint="Which axis of the position did you average over, or pick one entry from?",
        # position.mean(1) or position[:, 0]
        buggy=lambda tokens, position: tokens + position.mean(1, keepdim=True),
        detect=lambda e: everywhere(
            e, lambda x, p, y: near(y - x, (y - x)[:1, :1].expand_as(y)) and not near(y, x)
        ),
    ),
    Mistake(
        name="position_scaled",
        explanation=lambda e: f"Your result is tokens + {factor(e):.4g} × position.",
        hint=(
            "Does the exercise ask for a factor? What would a factor change, when the position is "
            "learned?"
        ),
        # * 0.02, which belongs to the first draw of the table and not to each forward pass
        buggy=lambda tokens, position: tokens + 0.02 * position,
        detect=lambda e: everywhere(
            e, lambda x, p, y: near(y - x, fit(y - x, p.expand_as(x)) * p.expand_as(x))
        ),
    ),
    Mistake(
        name="tokens_scaled",
        explanation=lambda e: f"Your result is {token_factor(e):.4g} × tokens + position.{root(e)}",
        hint=(
            "Does the exercise ask for a factor? Which model multiplies its embeddings, and does "
            "ViT?"
        ),
        # Vaswani et al. 2017, section 3.4, multiply word embeddings by the square root of
        # the width; ViT does not
        buggy=lambda tokens, position: tokens * tokens.shape[2] ** 0.5 + position,
        detect=lambda e: everywhere(
            e, lambda x, p, y: near(y - p, fit(y - p, x) * x) and abs(fit(y - p, x)) > 1e-3
        ),
    ),
)
