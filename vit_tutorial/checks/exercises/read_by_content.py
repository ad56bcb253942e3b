"""check_read_by_content: a memory read by similarity, as in the Neural Turing Machine."""

import torch
import torch.nn.functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def read_by_content(keys, memory, strength):
    """keys (R, D), memory (N, D), strength (R) -> reads (R, D).

    Row r is the average of the memory's rows by softmax(strength[r] * cosine similarity).
    """
    return by_cosine(keys, memory, strength)


def cosine(keys, memory):
    return F.normalize(keys, dim=-1, eps=0) @ F.normalize(memory, dim=-1, eps=0).T  # (R, N)


def by_cosine(keys, memory, strength, similar=cosine, weigh=None, read=None):
    scores = strength[:, None] * similar(keys, memory)
    weights = weigh(scores) if weigh else scores.softmax(dim=-1)
    return weights @ (memory if read is None else read(memory))


def read_by_content_cases(generator: torch.Generator) -> list[Case]:
    """One reader, one place, strengths weak and strong, keys of all lengths; gradients."""

    def case(about, R, N, D, dtype=torch.float32, **more):
        keys = numbers(generator, R, D, dtype=torch.float64)
        keys *= torch.linspace(0.5, 3, R, dtype=torch.float64)[:, None]
        memory = numbers(generator, N, D, dtype=torch.float64)
        memory *= torch.linspace(2, 0.7, N, dtype=torch.float64)[:, None]
        strength = 0.5 + 6 * torch.rand(R, generator=generator, dtype=torch.float64)
        inputs = {"keys": keys, "memory": memory, "strength": strength}
        return Case(about, {name: value.to(dtype) for name, value in inputs.items()}, **more)

    N = choice(generator, 5, 6, 7)
    return [
        case("", 3, N, 8),
        case("one reader", 1, N, 8),
        case("as many readers as places", 4, 4, 3),
        case("as many places as entries", 2, 5, 5),
        case("one place", 3, 1, 4),
        case("float64", 3, N, 8, torch.float64),
        case("with gradient", 3, N, 8, grad=True),
        case("another device", 3, N, 8, device="meta"),
    ]


def changed(**part):
    return lambda keys, memory, strength: by_cosine(keys, memory, strength, **part)


def nearest(scores):
    return F.one_hot(scores.argmax(-1), scores.shape[1]) + 0 * scores


def only(normalised):
    """Only one of the two has the length 1."""

    def similar(keys, memory):
        unit = lambda x, name: F.normalize(x, dim=-1, eps=0) if name == normalised else x
        return unit(keys, "keys") @ unit(memory, "memory").T

    return similar


def by_distance(keys, memory, strength):
    return by_cosine(keys, memory, strength, similar=lambda k, m: -torch.cdist(k, m))


MISTAKES = (
    Mistake(
        name="dot_product",
        explanation="Keys and memory were compared by dot products: a long row counts more.",
        hint="The cosine depends on the directions alone. What must you divide both vectors by?",
        buggy=changed(similar=lambda keys, memory: keys @ memory.T),
        variants=(changed(similar=lambda keys, memory: keys @ memory.T / keys.shape[1] ** 0.5),),
    ),
    Mistake(
        name="keys_not_normalised",
        explanation="The memory's rows have length 1, but the keys do not.",
        hint="The cosine divides by two lengths. Which one is missing?",
        buggy=changed(similar=only("memory")),
    ),
    Mistake(
        name="memory_not_normalised",
        explanation="The keys have length 1, but the memory's rows do not.",
        hint="The cosine divides by two lengths. Which one is missing?",
        buggy=changed(similar=only("keys")),
    ),
    Mistake(
        name="normalised_over_rows",
        explanation="The lengths were computed down the columns, across different vectors.",
        hint="Along which axis does one vector lie?",
        # F.normalize(x) takes dim=1, (x / x.norm(dim=0)) does not
        buggy=changed(
            similar=lambda keys, memory: (
                F.normalize(keys, dim=0, eps=0) @ F.normalize(memory, dim=0, eps=0).T
            )
        ),
    ),
    Mistake(
        name="strength_forgotten",
        explanation="The similarities went into softmax as they are: the strength was not used.",
        hint="Which input of the function does your code never read?",
        buggy=lambda keys, memory, strength: by_cosine(keys, memory, torch.ones_like(strength)),
    ),
    Mistake(
        name="divided_by_strength",
        explanation="The similarities were divided by the strength: a strong reader reads evenly.",
        hint="Should a larger strength make the weights sharper or more even?",
        buggy=lambda keys, memory, strength: by_cosine(keys, memory, 1 / strength),
    ),
    Mistake(
        name="strength_after_softmax",
        explanation="The weights were multiplied by the strength: a row no longer adds to 1.",
        hint="Which step makes a row add to 1, and what must not come after it?",
        buggy=lambda keys, memory, strength: (
            strength[:, None] * (cosine(keys, memory).softmax(-1) @ memory)
        ),
    ),
    Mistake(
        name="softmax_over_readers",
        explanation="The weights add to 1 over the readers: softmax ran over axis 0.",
        hint="Each reader shares its weight among all places. Along which axis do they lie?",
        buggy=changed(weigh=lambda scores: scores.softmax(dim=0)),
    ),
    Mistake(
        name="softmax_forgotten",
        explanation="The weights are the similarities themselves: they do not add to 1.",
        hint="What turns any row of numbers into positive numbers that add to 1?",
        buggy=changed(weigh=lambda scores: scores),
    ),
    Mistake(
        name="nearest_only",
        explanation="Each reader takes only the most similar row. It should take some of each.",
        hint="Could a gradient flow through the choice of one row?",
        # memory[similarity.argmax(-1)]
        buggy=changed(
            weigh=lambda scores: F.one_hot(scores.argmax(-1), scores.shape[1]) + 0 * scores
        ),
    ),
    Mistake(
        name="normalised_memory_read",
        explanation="The weights are right, but the rows that are read were scaled to length 1.",
        hint="Which memory is compared, and which one is read?",
        # memory = F.normalize(memory) at the top of the function
        buggy=changed(read=lambda memory: F.normalize(memory, dim=-1, eps=0)),
    ),
    Mistake(
        name="weights_returned",
        explanation="You return the weights (R, N). The exercise asks for what is read, (R, D).",
        hint="Which product comes after softmax?",
        buggy=lambda keys, memory, strength: (strength[:, None] * cosine(keys, memory)).softmax(
            dim=-1
        ),
    ),
    Mistake(
        name="distance_for_cosine",
        explanation="The places are weighed by their distance from the key, not by the cosine.",
        hint="Which of the two does not change when a key becomes twice as long?",
        buggy=by_distance,
        variants=(
            lambda keys, memory, strength: by_cosine(
                keys, memory, strength, similar=lambda k, m: -torch.cdist(k, m).square()
            ),
        ),
    ),
    Mistake(
        name="places_returned",
        explanation="You return the number of the place for each key, not what stands there.",
        hint="How wide is a row of the result?",
        buggy=lambda keys, memory, strength: cosine(keys, memory).argmax(dim=-1),
        variants=(
            lambda keys, memory, strength: (strength[:, None] * cosine(keys, memory)).argmax(-1),
        ),
    ),
    Mistake(
        name="root_of_the_width",
        explanation=(
            "The cosines are multiplied or divided by the root of D, as in attention. Here each "
            "reader has its own strength in that place."
        ),
        hint="Which input says how sharply a reader reads?",
        buggy=lambda keys, memory, strength: by_cosine(
            keys, memory, torch.full_like(strength, keys.shape[1] ** 0.5)
        ),
        variants=(
            lambda keys, memory, strength: by_cosine(keys, memory, strength / keys.shape[1] ** 0.5),
            lambda keys, memory, strength: by_cosine(keys, memory, strength * keys.shape[1] ** 0.5),
            lambda keys, memory, strength: by_cosine(
                keys, memory, torch.full_like(strength, keys.shape[1] ** -0.5)
            ),
        ),
    ),
)


check_read_by_content = Check(
    name="check_read_by_content",
    signature=(
        "fn(keys (R, D), memory (N, D), strength (R)) -> reads (R, D), "
        "row r is softmax(strength[r] * cosine similarity) @ memory"
    ),
    cases=read_by_content_cases,
    reference=read_by_content,
    mistakes=MISTAKES + general_mistakes(read_by_content, without=()),
)
