"""check_prepend_class_token: put the class token in front of the patches."""

import re

import torch
import torch.nn.functional as F

from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.named_tokens import which_row
from .general import general_mistakes
from .inputs import token_cases


def prepend(tokens: torch.Tensor, class_token: torch.Tensor) -> torch.Tensor:
    """(B, N, D) and (1, 1, D) -> (B, N+1, D)."""
    return torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)


def rows_by_name(inputs: dict) -> dict[str, torch.Tensor]:
    """The class token, and each patch of each image."""
    tokens = inputs["tokens"]
    patches = {
        f"patch {n} of image {b}": row
        for b, image in enumerate(tokens)
        for n, row in enumerate(image)
    }
    return {"the class token": inputs["class_token"][0, 0], **patches}


def batch(e: Evidence) -> int:
    return len(e.inputs["tokens"])


def tokens_of(e: Evidence) -> int:
    return e.inputs["tokens"].shape[1]


def rows(e: Evidence) -> int:
    return e.observation.output.shape[1] - 1


def token_unused(e: Evidence) -> bool:
    """No gradient reaches class_token: it was not used, or its numbers without their history."""
    return any("class_token" in actual.facts.get("no_gradient", []) for actual in e.actual)


def patches_right(e: Evidence) -> bool:
    """In every case the shape is right, and the rows behind the first are the tokens."""
    for _, actual, expected in e.compared():
        mine, right = actual.output, expected.output
        if mine is None or mine.shape != right.shape:
            return False
        if not torch.allclose(mine[:, 1:].double(), right[:, 1:].double(), rtol=1e-3, atol=1e-4):
            return False
    return True


def first_row_differs(e: Evidence) -> bool:
    """In some case, row 0 of one image is not that of another."""
    outputs = [actual.output for actual in e.actual if actual.output is not None]
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


def written_over(tokens, cls):
    with torch.no_grad():
        tokens[:, 0] = cls[0, 0]
    return tokens


def fixed_batch(count):
    return lambda tokens, cls: torch.cat([cls.expand(count, -1, -1), tokens], dim=1)


def expects_another_batch(e: Evidence) -> bool:
    """Each case stops because one batch size meets another, always the same one."""
    found = set()
    for actual in e.with_values():
        error = actual.error or ""
        match = re.search(r"Expected size (\d+) but got size (\d+)", error)
        if match is None:
            continue
        found.add(match[1])
    return (
        len(found) == 1
        and found != {"1"}
        and not any(
            actual.output is not None and not e.values_right(i) for i, actual in enumerate(e.actual)
        )
    )


def front(make):
    """make(tokens, class token) -> what stands in front, (B, 1, D)."""
    return lambda tokens, cls: torch.cat([make(tokens, cls).expand(len(tokens), -1, -1), tokens], 1)


def flat_cat(tokens, cls):
    """All class tokens, then all patches, poured into (B, N + 1, D)."""
    B, N, D = tokens.shape
    return torch.cat([spread(tokens, cls).flatten(), tokens.flatten()]).reshape(B, N + 1, D)


def of_the_mean(e: Evidence) -> bool:
    """Row 0 is other than class_token by the mean of the tokens, and the patches are right."""
    return patches_right(e) and all(
        torch.allclose(
            (actual.output[:, 0] - expected.output[:, 0]).double(),
            case.inputs["tokens"].double().mean(dim=1),
            atol=1e-4,
        )
        for case, actual, expected in e.compared()
    )


MISTAKES = (
    Mistake(
        name="appended",
        explanation=lambda e: (
            f"The class token is last, in row {rows(e)}. It belongs in row 0, before the patches."
        ),
        hint=(
            "In which order do you pass the two parts to the function that joins them? What reads "
            "row 0 later?"
        ),
        # torch.cat([x, class_token]), as one public tutorial has it, against its own table
        buggy=lambda tokens, cls: torch.cat([tokens, spread(tokens, cls)], dim=1),
    ),
    Mistake(
        name="not_expanded",
        explanation=lambda e: (
            f"With a batch of 1 everything is right. Here there are {batch(e)} images, and "
            "class_token has a batch size of 1."
        ),
        hint=(
            "Joining along the tokens needs the same batch size in both parts. How does one "
            "token serve many images?"
        ),
        buggy=lambda tokens, cls: torch.cat([cls, tokens], dim=1),
        detect=lambda e: (
            e.wrong_exactly_where(lambda case: len(case.inputs["tokens"]) != 1)
            and e.observation.error is not None
        ),
    ),
    Mistake(
        name="batch_size_fixed",
        explanation=lambda e: (
            "Your class token is made for one size of the batch, the same in every case. Here "
            f"there are {batch(e)} images."
        ),
        hint="A batch has any size, and the last one of an epoch is smaller. Where is it read?",
        # expand(32, -1, -1), with the batch size of the notebook
        buggy=fixed_batch(32),
        detect=expects_another_batch,
    ),
    Mistake(
        name="first_image_only",
        explanation="Image 0 has the class token in row 0. In all other images row 0 is zero.",
        hint="Which of your lines writes the token? For how many images?",
        # x[0, 0] = class_token on a tensor of zeros
        buggy=first_image_only,
    ),
    Mistake(
        name="batch_flattened",
        explanation=lambda e: (
            f"The tokens of all {batch(e)} images are now in one sequence, with one class token "
            "before them all."
        ),
        hint="Each image is a sequence of its own. Which axis did your reshape remove?",
        # view(1, -1, D), to make the batch sizes agree
        buggy=lambda tokens, cls: torch.cat([cls, tokens.reshape(1, -1, tokens.shape[2])], dim=1),
    ),
    Mistake(
        name="joined_along_batch",
        explanation=(
            "The class token became a separate image: the batch grew by one, but the sequences did "
            "not grow."
        ),
        hint="Which of the axes batch, tokens and width should grow when a token is added?",
        # torch.cat without dim joins along axis 0
        buggy=lambda tokens, cls: torch.cat([cls.expand(1, *tokens.shape[1:]), tokens], dim=0),
    ),
    Mistake(
        name="joined_along_width",
        explanation=(
            "Each token became twice as wide: the class token was joined to every patch, along "
            "the last axis."
        ),
        hint="Which of the axes batch, tokens and width should grow when a token is added?",
        # dim=-1 in torch.cat
        buggy=lambda tokens, cls: torch.cat([cls.expand_as(tokens), tokens], dim=2),
    ),
    Mistake(
        name="one_for_each_patch",
        explanation=lambda e: (
            f"There are {tokens_of(e)} class tokens in front of {tokens_of(e)} patches. Each image "
            "needs one."
        ),
        hint=(
            "How many class tokens does a sequence have? Which size in your expand or repeat is "
            "too large?"
        ),
        # class_token.expand_as(tokens), because then the shapes fit
        buggy=lambda tokens, cls: torch.cat([cls.expand_as(tokens), tokens], dim=1),
    ),
    Mistake(
        name="first_patch_overwritten",
        explanation=(
            "The class token replaced patch 0, which is lost. The sequence must get one token "
            "longer."
        ),
        hint="How many rows does each image have before, and how many should it have afterwards?",
        # x[:, 0] = class_token
        buggy=lambda tokens, cls: torch.cat([spread(tokens, cls), tokens[:, 1:]], dim=1),
        variants=(written_over,),
    ),
    Mistake(
        name="last_patch_lost",
        explanation=(
            "The class token is in front, but the last patch is lost. The sequence must get one "
            "token longer."
        ),
        hint="How many rows does each image have before, and how many should it have afterwards?",
        # The shape stays, so nothing after it complains.
        buggy=lambda tokens, cls: torch.cat([spread(tokens, cls), tokens[:, :-1]], dim=1),
    ),
    Mistake(
        name="added_not_joined",
        explanation=(
            "The class token was added to every patch. It is a token of its own, not a part of "
            "the others."
        ),
        hint="Should the number of tokens change? What does + do to it?",
        # It is the position that is added.
        buggy=lambda tokens, cls: tokens + cls,
    ),
    Mistake(
        name="made_of_the_patches",
        explanation="The mean of the patches went into row 0, which is for the class token alone.",
        hint="Should the class token know anything of an image before the first block?",
        buggy=front(lambda tokens, cls: tokens.mean(dim=1, keepdim=True) + cls),
        variants=(front(lambda tokens, cls: tokens.mean(dim=1, keepdim=True)),),
        detect=of_the_mean,
    ),
    Mistake(
        name="class_token_sized_by_batch",
        explanation=(
            "Row 0 differs from image to image: your class token has one row for each image of the "
            "batch. There is one class token, the same for all images."
        ),
        hint=(
            "Could you use such a token for a batch of another size? What does class_token already "
            "hold?"
        ),
        # nn.Parameter(torch.ones(batch_size, 1, embedding_dimension)), seen in a public course
        buggy=lambda tokens, cls: torch.cat([torch.randn_like(tokens[:, :1]), tokens], dim=1),
        detect=lambda e: patches_right(e) and first_row_differs(e) and token_unused(e),
    ),
    Mistake(
        name="fresh_token",
        explanation=(
            "The patches are in the right places. Row 0 is the same for each image, but it is not "
            "the class token you were given."
        ),
        hint=(
            "A token that is made inside the function is never learned. Where does the learned "
            "one come from?"
        ),
        # torch.zeros or torch.randn inside forward
        buggy=lambda tokens, cls: torch.cat([spread(tokens, torch.randn_like(cls)), tokens], dim=1),
        detect=lambda e: (
            patches_right(e)
            and not first_row_differs(e)
            and not e.all_values_right()
            and token_unused(e)
        ),
    ),
    Mistake(
        name="class_token_detached",
        explanation=(
            "The values are right, and the patches get their gradient. The class token gets none, "
            "so it would never be learned."
        ),
        hint=(
            "Which call keeps the token's numbers but drops the gradient: .data, .detach(), "
            "torch.tensor(...), .numpy()?"
        ),
        # class_token.data.expand(...)
        buggy=lambda tokens, cls: prepend_detached(tokens, cls),
        detect=lambda e: e.all_values_right() and token_unused(e),
    ),
    Mistake(
        name="stacked_on_a_new_axis",
        explanation=(
            "Class token and patches were stacked along a new axis: your result has four axes, and "
            "each patch got a class token of its own."
        ),
        hint="Which function joins along an axis that is there, and which makes a new one?",
        buggy=lambda tokens, cls: torch.stack([cls.expand_as(tokens), tokens], dim=1),
        variants=tuple(
            lambda tokens, cls, dim=dim: torch.stack([cls.expand_as(tokens), tokens], dim=dim)
            for dim in (0, 2, 3)
        ),
    ),
    Mistake(
        name="joined_before_it_is_cut_into_images",
        explanation=(
            "All class tokens stand in front of all patches of the batch, and the row was cut into "
            "images then: the first image got the class tokens of the others."
        ),
        hint="Which axis does your cat join along, and is it there for each image?",
        buggy=flat_cat,
    ),
    Mistake(
        name="at_both_ends",
        explanation="The class token stands in front and at the end.",
        hint="How many rows should the result have for N patches?",
        buggy=lambda tokens, cls: torch.cat(
            [spread(tokens, cls), tokens, spread(tokens, cls)], dim=1
        ),
    ),
    Mistake(
        name="class_token_changed",
        explanation="Row 0 holds the class token times a factor, or with a softmax or norm on it.",
        hint="Which line changes the numbers of class_token? Joining only moves them.",
        buggy=front(lambda tokens, cls: 2 * cls),
        variants=(
            front(lambda tokens, cls: cls / 2),
            front(lambda tokens, cls: -cls),
            front(lambda tokens, cls: cls.softmax(dim=-1)),
            front(lambda tokens, cls: F.layer_norm(cls, cls.shape[-1:])),
            front(lambda tokens, cls: F.normalize(cls, dim=-1)),
            front(lambda tokens, cls: cls / len(tokens)),
            front(lambda tokens, cls: cls * cls.shape[-1] ** 0.5),
        ),
    ),
)


check_prepend_class_token = Check(
    name="check_prepend_class_token",
    signature=(
        "fn(tokens (B, N, D), class_token (1, 1, D)) -> (B, N+1, D), the one token in front, "
        "the same for each image"
    ),
    cases=lambda generator: token_cases(generator, "class_token", rows=1),
    reference=prepend,
    mistakes=MISTAKES + general_mistakes(prepend, without=()),
    place=which_row(rows_by_name),
)
