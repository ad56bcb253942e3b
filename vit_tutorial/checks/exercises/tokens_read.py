"""check_tokens_read: find out by experiment which tokens an answer is read from."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import TENSORS, type_name
from .general import general_mistakes
from .inputs import random_module


def tokens_read(read_out, z: torch.Tensor) -> torch.Tensor:
    """A function (B, T, D) -> (B, K) and tokens (B, T, D) -> truth values (T,)."""
    before = read_out(z)
    read = torch.zeros(z.shape[1], dtype=torch.bool)
    for t in range(z.shape[1]):
        changed = z.clone()
        changed[:, t] = torch.randn_like(changed[:, t])
        read[t] = not torch.allclose(read_out(changed), before)
    return read


def record_truth(value, inputs) -> tuple[dict, dict]:
    """Truth values as one tensor: from a bool tensor, or from a list or tuple of truth values."""
    facts = {"types": {"output": type_name(value)}, "form": "T booleans, one for each token"}
    if isinstance(value, (list, tuple)) and value:
        single = [x.item() if type(x) in TENSORS and x.numel() == 1 else x for x in value]
        if all(type(x) is bool for x in single):
            return {"output": torch.tensor(single)}, facts
    is_tensor = type(value) in TENSORS and not value.is_sparse
    return ({"output": value.detach()} if is_tensor else {}), facts


def tokens_read_cases(generator: torch.Generator) -> list[Case]:
    """A class token in front, at the end and in the middle; means with and without it."""

    def case(about, B, T, reads, dtype=torch.float32):
        D = 12
        settings = {"dim": D, "classes": 5, "reads": tuple(reads)}
        read_out = random_module("ReadOut", generator, dtype, **settings)
        return Case(about, {"read_out": read_out, "z": numbers(generator, B, T, D, dtype=dtype)})

    T = choice(generator, 6, 7, 8)
    return [
        case("reads the first token", 3, T, [0]),
        case("reads the last token", 3, T, [T - 1]),
        case("reads a token in the middle", 2, T, [2]),
        case("reads the mean of all but the first", 2, T, range(1, T)),
        case("reads the mean of all", 2, T, range(T)),
        case("reads two of the tokens", 2, T, [1, T - 2]),
        case("batch of 1", 1, T, [0]),
        case("more images than tokens", 9, 4, [3]),
        case("float64", 2, T, [T - 1], torch.float64),
    ]


def outputs(e: Evidence) -> list[tuple]:
    """(mine, right) of each case as truth values; none where something else came back."""
    pairs = [(actual.output, expected.output) for _, actual, expected in e.compared()]
    if any(mine is None or mine.shape != right.shape for mine, right in pairs):
        return []
    return [(mine.bool(), right) for mine, right in pairs]


def indices_returned(e: Evidence) -> bool:
    """In every case: the indices of the right tokens, as whole numbers."""
    pairs = [(actual.output, expected.output) for _, actual, expected in e.compared()]
    return all(
        mine is not None
        and not mine.is_floating_point()
        and mine.dtype != torch.bool
        and mine.flatten().tolist() == right.nonzero().flatten().tolist()
        for mine, right in pairs
    )


def never_put_back(read_out, z):
    """The changed tokens stay changed: from the first one that is read on, the logits differ."""
    before, changed, found = read_out(z), z.clone(), []
    for t in range(z.shape[1]):
        changed[:, t] = torch.randn_like(changed[:, t])
        found.append(not torch.allclose(read_out(changed), before))
    return torch.tensor(found)


def never_put_back_in_place(read_out, z):
    """As never_put_back, written into the caller's tokens."""
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        z[:, t] = torch.randn_like(z[:, t])
        found.append(not torch.allclose(read_out(z), before))
    return torch.tensor(found)


def compared_with_the_one_before(read_out, z):
    found, before = [], read_out(z)
    for t in range(z.shape[1]):
        changed = z.clone()
        changed[:, t] = torch.randn_like(changed[:, t])
        now = read_out(changed)
        found.append(not torch.allclose(now, before))
        before = now
    return torch.tensor(found)


def exchanged(read_out, z, by=1):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        order = list(range(z.shape[1]))
        other = (t + by) % z.shape[1]
        order[t], order[other] = order[other], order[t]
        found.append(not torch.allclose(read_out(z[:, order]), before))
    return torch.tensor(found)


def only_that_token(read_out, z):
    """All tokens but one are changed."""
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        changed = torch.randn_like(z)
        changed[:, t] = z[:, t]
        found.append(not torch.allclose(read_out(changed), before))
    return torch.tensor(found)


def tried_with(read_out, z, change):
    """The right experiment with another change of the token."""
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        changed = z.clone()
        changed[:, t] = change(changed[:, t])
        found.append(not torch.allclose(read_out(changed), before))
    return torch.tensor(found)


def zeros_elsewhere(read_out, z):
    """All tokens but one are set to zero."""
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        changed = torch.zeros_like(z)
        changed[:, t] = z[:, t]
        found.append(not torch.allclose(read_out(changed), before))
    return torch.tensor(found)


def of_images(read_out, z):
    """Image t is changed, where token t should be."""
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        changed = z.clone()
        changed[t] = torch.randn_like(changed[t])
        found.append(not torch.allclose(read_out(changed), before))
    return torch.tensor(found)


def by_argmax(read_out, z):
    before, found = read_out(z).argmax(dim=-1), []
    for t in range(z.shape[1]):
        changed = z.clone()
        changed[:, t] = torch.randn_like(changed[:, t])
        found.append(not torch.equal(read_out(changed).argmax(dim=-1), before))
    return torch.tensor(found)


MISTAKES = (
    Mistake(
        name="nothing_read",
        explanation=(
            "Your function says that no token is read. Either your change is one that a LayerNorm "
            "undoes (adding a constant to a whole token, or multiplying it by one), or the logits "
            "that you compare come from the same tokens."
        ),
        hint=(
            "What does LayerNorm do with the mean and the spread of a token? What else "
            "could you write into a token?"
        ),
        # z[:, t] += 1 on a copy
        buggy=lambda read_out, z: torch.zeros(z.shape[1], dtype=torch.bool),
        detect=lambda e: bool(outputs(e)) and not any(mine.any() for mine, _ in outputs(e)),
    ),
    Mistake(
        name="everything_read",
        explanation=(
            "Your function says that every token is read, whatever is really read. So the logits "
            "that it compares differ for some reason other than the one changed token."
        ),
        hint=(
            "What else differs between the two calls? And does your comparison give one answer for "
            "all entries of the logits together?"
        ),
        buggy=lambda read_out, z: torch.ones(z.shape[1], dtype=torch.bool),
        detect=lambda e: bool(outputs(e)) and all(mine.all() for mine, _ in outputs(e)),
    ),
    Mistake(
        name="not_put_back",
        explanation=(
            "Every token after the first one that is read counts as read too, because the tokens "
            "that you changed earlier are still changed."
        ),
        hint="Which tokens does the second round of your loop start from?",
        # the copy is made once, before the loop
        buggy=never_put_back,
        variants=(never_put_back_in_place,),
    ),
    Mistake(
        name="compared_with_the_one_before",
        explanation=(
            "You compare the logits of each round with those of the round before, so the token "
            "after one that is read counts as read too."
        ),
        hint="Which logits should every round be compared with?",
        buggy=compared_with_the_one_before,
    ),
    Mistake(
        name="inverted",
        explanation=(
            "Every boolean is the wrong way round: yours is True where the logits stay unchanged."
        ),
        hint="Is your comparison True when the logits are equal, or when they differ?",
        buggy=lambda read_out, z: ~tokens_read(read_out, z),
    ),
    Mistake(
        name="tokens_exchanged",
        explanation=(
            "Tokens change places in your experiment. Then two tokens change at once, and a mean "
            "does not change at all."
        ),
        hint="How can one token change while all the others stay as they are?",
        buggy=exchanged,
        variants=(lambda read_out, z: exchanged(read_out, z, by=-1),),
    ),
    Mistake(
        name="all_others_changed",
        explanation=(
            "Your experiment keeps token t and changes all the others. It gives True for a token "
            "that is not read, and for each part of a mean."
        ),
        hint="What has to stay the same, so that a difference can only come from token t?",
        buggy=only_that_token,
        variants=(zeros_elsewhere,),
    ),
    Mistake(
        name="one_image_only",
        explanation=(
            "Your change goes to image t of the batch, where it should go to token t of every "
            "image: z[t] is an image, z[:, t] a token of each."
        ),
        hint="Which axis of z (B, T, D) counts the tokens?",
        # z[t] in the place of z[:, t]
        buggy=of_images,
    ),
    Mistake(
        name="one_token_given",
        explanation=(
            "read_out was given a single token in place of a sequence, and looks for tokens that "
            "are not there."
        ),
        hint="How long is the sequence that read_out knows? What should stay in it beside token t?",
        # read_out(z[:, t : t + 1])
        buggy=lambda read_out, z: torch.stack(
            [read_out(z[:, t : t + 1]).abs().sum() > 0 for t in range(z.shape[1])]
        ),
        detect=lambda e: any(
            "IndexError" in (actual.error or "") and "size 1" in (actual.error or "")
            for actual in e.with_values()
        ),
    ),
    Mistake(
        name="indices_returned",
        explanation=(
            "You found the right tokens but returned their indices. The exercise asks for T "
            "booleans, True where a token is read."
        ),
        hint="How long should the result be for 17 tokens, of which one is read?",
        buggy=lambda read_out, z: tokens_read(read_out, z).nonzero().flatten(),
        detect=indices_returned,
    ),
    Mistake(
        name="reads_missed",
        explanation=(
            "Each token that you call read is read, and some that are read are missing. Either the "
            "change is too small behind a LayerNorm, which undoes a factor and a constant, or the "
            "comparison is too coarse: argmax sees only the winner, a wide tolerance little."
        ),
        hint=(
            "Write unrelated numbers into token t, and compare all logits. Which of the two does "
            "your function do otherwise?"
        ),
        # z[:, t] *= 2, read_out(z).argmax(-1), torch.allclose(..., atol=0.5)
        buggy=by_argmax,
        variants=(lambda read_out, z: tried_with(read_out, z, lambda token: 2 * token),),
        detect=lambda e: (
            bool(outputs(e))
            and all(not (mine & ~right).any() for mine, right in outputs(e))
            and any(mine.any() for mine, _ in outputs(e))
            and any((right & ~mine).any() for mine, right in outputs(e))
        ),
    ),
)


check_tokens_read = Check(
    name="check_tokens_read",
    signature=(
        "fn(read_out, z (B, T, D)) -> T booleans, True for each token that read_out(z) "
        "(B, K) depends on"
    ),
    cases=tokens_read_cases,
    reference=tokens_read,
    mistakes=MISTAKES
    + general_mistakes(tokens_read, without=("detached", "wrong_device", "wrong_dtype")),
    record=record_truth,
)
