"""Known mistakes in joining the class token."""

import torch

from ..check import Evidence, Mistake
from .general import values_all_right
from .positions_added import add_position_mistakes  # noqa: F401  the other half of the same check module


def prepend_class_token_mistakes() -> tuple[Mistake, ...]:
    """For fn(tokens (B, N, D), class_token (1, 1, D)) -> (B, N+1, D)."""
    return (
        Mistake(
            "appended",
            lambda e: (
                f"The class token stands last, in row {rows(e)}. Asked for is row 0, before the patches."
            ),
            "In which order do you hand the two parts to the function that joins them? Who reads row 0 later?",
            "source 000: its table says cat([cls_token, x]), its code cat([x, cls_token])",
            lambda tokens, cls: torch.cat([tokens, spread(tokens, cls)], dim=1),
        ),
        Mistake(
            "not_expanded",
            lambda e: (
                f"With a batch of 1 all is right. Here are {batch(e)} images, and class_token is made for 1."
            ),
            "Joining along the tokens needs the same batch size in both parts. How does one token serve many images?",
            "first drafts that were tried on a single image",
            lambda tokens, cls: torch.cat([cls, tokens], dim=1),
            lambda e: (
                e.wrong_exactly_where(lambda case: len(case.inputs["tokens"]) != 1)
                and e.seen[e.first_wrong()].error is not None
            ),
        ),
        Mistake(
            "first_image_only",
            "Image 0 has the class token in row 0. In all other images row 0 is zero.",
            "Which of your lines writes the token? For how many images?",
            "first drafts: x[0, 0] = class_token on a tensor of zeros",
            first_image_only,
        ),
        Mistake(
            "batch_flattened",
            lambda e: (
                f"The tokens of all {batch(e)} images stand in one sequence now, with one class token before them all."
            ),
            "Each image is a sequence of its own. Which axis did your reshape take away?",
            "first drafts: view(1, -1, D), to make the batch sizes agree",
            lambda tokens, cls: torch.cat([cls, tokens.reshape(1, -1, tokens.shape[2])], dim=1),
        ),
        Mistake(
            "joined_along_batch",
            "The class token has become an image of its own: the batch grew by one, the sequences did not.",
            "Of the axes batch, tokens and width, along which one does the new token lie?",
            "torch.cat without dim joins along axis 0",
            lambda tokens, cls: torch.cat([cls.expand(1, *tokens.shape[1:]), tokens], dim=0),
        ),
        Mistake(
            "joined_along_width",
            "Each token became twice as wide: the class token was joined to every patch, along the last axis.",
            "Of the axes batch, tokens and width, along which one does the new token lie?",
            "first drafts: dim=-1 in torch.cat",
            lambda tokens, cls: torch.cat([cls.expand_as(tokens), tokens], dim=2),
        ),
        Mistake(
            "one_for_each_patch",
            lambda e: (
                f"There are {tokens_of(e)} class tokens in front of {tokens_of(e)} patches. One is enough."
            ),
            "How many class tokens has a sequence? Which of the sizes in your expand or repeat is too large?",
            "first drafts: class_token.expand_as(tokens), because then the shapes fit",
            lambda tokens, cls: torch.cat([cls.expand_as(tokens), tokens], dim=1),
        ),
        Mistake(
            "first_patch_overwritten",
            "The class token took the place of patch 0, which is lost. The sequence must become one longer.",
            "How many rows does each image have before, and how many should it have after?",
            "first drafts: x[:, 0] = class_token",
            lambda tokens, cls: torch.cat([spread(tokens, cls), tokens[:, 1:]], dim=1),
        ),
        Mistake(
            "last_patch_lost",
            "The class token stands in front, and the last patch fell off the end. The sequence must become one longer.",
            "How many rows does each image have before, and how many should it have after?",
            "first drafts that keep the shape, so that nothing after them complains",
            lambda tokens, cls: torch.cat([spread(tokens, cls), tokens[:, :-1]], dim=1),
        ),
        Mistake(
            "added_not_joined",
            "The class token was added to every patch. It is a token of its own, not a part of the others.",
            "Should the number of tokens change? What does + do to it?",
            "first drafts: mixed up with the position, which is added",
            lambda tokens, cls: tokens + cls,
        ),
        Mistake(
            "class_token_sized_by_batch",
            "Row 0 differs from image to image: your class token has one row for each place in the batch. "
            "There is one token, and every image gets the same.",
            "Could such a token serve a batch of another size? What does class_token hold already?",
            "mrdbourke's lesson 08 first shows it so: nn.Parameter(torch.ones(batch_size, 1, embedding_dimension))",
            lambda tokens, cls: torch.cat([torch.randn_like(tokens[:, :1]), tokens], dim=1),
            lambda e: patches_right(e) and first_row_differs(e) and token_unused(e),
        ),
        Mistake(
            "fresh_token",
            "The patches stand in their places. Row 0 is the same for each image, but it is not the class token you were given.",
            "A token that is made inside the function is never learned. Where does the learned one come from?",
            "first drafts: torch.zeros or torch.randn inside forward",
            lambda tokens, cls: torch.cat([spread(tokens, torch.randn_like(cls)), tokens], dim=1),
            lambda e: (
                patches_right(e)
                and not first_row_differs(e)
                and not values_all_right(e)
                and token_unused(e)
            ),
        ),
        Mistake(
            "class_token_detached",
            "The values are right, and the patches get their gradient. The class token gets none: it would stay as it was drawn.",
            "Which call takes the token's numbers without its history: .data, .detach(), torch.tensor(...), .numpy()?",
            "first drafts: class_token.data.expand(...)",
            lambda tokens, cls: prepend_detached(tokens, cls),
            lambda e: values_all_right(e) and token_unused(e),
        ),
    )


def batch(e: Evidence) -> int:
    return len(e.cases[e.first_wrong()].inputs["tokens"])


def tokens_of(e: Evidence) -> int:
    return e.cases[e.first_wrong()].inputs["tokens"].shape[1]


def rows(e: Evidence) -> int:
    return e.seen[e.first_wrong()].tensors["output"].shape[1] - 1


def token_unused(e: Evidence) -> bool:
    """No gradient reaches class_token: its numbers were not used, or were taken without their history."""
    return any("class_token" in seen.facts.get("no_gradient", []) for seen in e.seen)


def patches_right(e: Evidence) -> bool:
    """In every case the shape is right, and the rows behind the first are the tokens."""
    for case, seen, wanted in zip(e.cases, e.seen, e.wanted):
        if case.device == "meta":
            continue
        mine, right = seen.tensors.get("output"), wanted.tensors["output"]
        if mine is None or mine.shape != right.shape:
            return False
        if not torch.allclose(mine[:, 1:].double(), right[:, 1:].double(), rtol=1e-3, atol=1e-4):
            return False
    return True


def first_row_differs(e: Evidence) -> bool:
    """In some case, row 0 of one image is not that of another."""
    outputs = [seen.tensors["output"] for seen in e.seen if "output" in seen.tensors]
    return any(
        not torch.allclose(x[:, 0], x[:1, 0].expand_as(x[:, 0]), equal_nan=True) for x in outputs
    )


def spread(tokens, cls):
    return cls.expand(len(tokens), -1, -1)


def first_image_only(tokens, cls):
    result = tokens.new_zeros(len(tokens), tokens.shape[1] + 1, tokens.shape[2])
    result[0, 0], result[:, 1:] = cls[0, 0], tokens
    return result


def prepend_detached(tokens, cls):
    return torch.cat([spread(tokens, cls.detach()), tokens], dim=1)
