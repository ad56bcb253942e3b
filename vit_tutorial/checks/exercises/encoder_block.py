"""check_encoder_block: the pre-norm encoder block from its four parts."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes
from .inputs import random_module


def encoder_block(x, norm1, attention, norm2, mlp):
    """(B, T, D) -> (B, T, D): equations 2 and 3 of Dosovitskiy et al. 2021."""
    x = x + attention(norm1(x))
    return x + mlp(norm2(x))


def encoder_block_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, batch 1, one token, float64, gradients; the two norms differ."""

    def case(about, B, T, D, h, dtype=torch.float32, **more):
        inputs = {
            "x": (2 * numbers(generator, B, T, D, dtype=torch.float64) + 0.5).to(dtype),
            "norm1": random_module("LayerNorm", generator, dtype, normalized_shape=D),
            "attention": random_module(
                "MultiHeadSelfAttention", generator, dtype, dim=D, num_heads=h
            ),
            "norm2": random_module("LayerNorm", generator, dtype, normalized_shape=D),
            "mlp": random_module("MLP", generator, dtype, dim=D, mlp_dim=2 * D),
        }
        return Case(about, inputs, **more)

    T = choice(generator, 5, 6, 7)
    return [
        case("", 2, T, 12, 3),
        case("batch of 1", 1, T, 8, 2),
        case("one token", 3, 1, 12, 2),
        case("as many tokens as entries", 2, 8, 8, 1),
        case("float64", 2, T, 12, 3, torch.float64),
        case("with gradient", 2, T, 8, 2, grad=True),
        case("another device", 2, T, 8, 2, device="meta"),
    ]


MISTAKES = (
    Mistake(
        name="post_norm",
        explanation=(
            "Your norms come after the sums, as in the block of 2017 (post-norm). In a ViT they "
            "come before attention and MLP."
        ),
        hint="Follow the residual path from x to the end. Should there be anything on it?",
        # Vaswani et al. 2017; nn.TransformerEncoderLayer unless norm_first=True
        buggy=lambda x, n1, a, n2, m: n2((z := n1(x + a(x))) + m(z)),
    ),
    Mistake(
        name="norm_after_the_part",
        explanation=(
            "Your norms come after attention and MLP, before the sum. They belong before attention "
            "and MLP."
        ),
        hint="What should attention read: the tokens as they are, or normalised?",
        # norm1(attention(x)) + x
        buggy=lambda x, n1, a, n2, m: (z := x + n1(a(x))) + n2(m(z)),
    ),
    Mistake(
        name="residuals_forgotten",
        explanation="Neither attention nor MLP has a path around it: x itself is lost.",
        hint=(
            "What does a gradient do on its way back through many blocks like this one? What "
            "leads around each part?"
        ),
        buggy=lambda x, n1, a, n2, m: m(n2(a(n1(x)))),
    ),
    Mistake(
        name="first_residual_forgotten",
        explanation=(
            "Attention has no path around it: x is missing from what leaves the first half."
        ),
        hint=(
            "Count the sums in your block. How many are there in equation 2, and how many in "
            "equation 3?"
        ),
        buggy=lambda x, n1, a, n2, m: (z := a(n1(x))) + m(n2(z)),
    ),
    Mistake(
        name="second_residual_forgotten",
        explanation="The MLP has no path around it.",
        hint=(
            "Count the sums in your block. How many are there in equation 2, and how many in "
            "equation 3?"
        ),
        buggy=lambda x, n1, a, n2, m: m(n2(x + a(n1(x)))),
    ),
    Mistake(
        name="residual_doubled",
        explanation="x was added twice in the first half.",
        hint="Does your attention step add x, and then the next line again?",
        # x = x + attention(...), and then x + x around it
        buggy=lambda x, n1, a, n2, m: (z := 2 * x + a(n1(x))) + m(n2(z)),
    ),
    Mistake(
        name="second_residual_doubled",
        explanation="What enters the second half was added twice.",
        hint="How many times does equation 3 add z'?",
        buggy=lambda x, n1, a, n2, m: 2 * (z := x + a(n1(x))) + m(n2(z)),
    ),
    Mistake(
        name="residual_from_the_start",
        explanation="The second sum adds the block's input x instead of what the first half gave.",
        hint="Which of your variables does the second path start from?",
        # one `residual = x` for both halves
        buggy=lambda x, n1, a, n2, m: x + m(n2(x + a(n1(x)))),
    ),
    Mistake(
        name="residual_of_the_normed",
        explanation=(
            "The path around each part starts after the norm, so the normalised tokens are added "
            "instead of the tokens."
        ),
        hint="At which point does the path leave: before the norm, or after it?",
        # x = norm(x); x = x + attention(x)
        buggy=lambda x, n1, a, n2, m: (w := n2((y := n1(x)) + a(y))) + m(w),
    ),
    Mistake(
        name="norm_shared",
        explanation=(
            "norm1 was used twice. Each half has a norm of its own, with weights of its own."
        ),
        hint="Which of your inputs is never used?",
        # one self.norm for both halves
        buggy=lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(n1(z)),
    ),
    Mistake(
        name="norms_exchanged",
        explanation="norm2 comes before attention and norm1 before the MLP.",
        hint="Which norm belongs to which half?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n2(x))) + m(n1(z)),
    ),
    Mistake(
        name="first_norm_missing",
        explanation="Attention reads x as it is: norm1 was not used.",
        hint="Which of your inputs is never used?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(x)) + m(n2(z)),
    ),
    Mistake(
        name="second_norm_missing",
        explanation="The MLP reads its tokens as they are: norm2 was not used.",
        hint="Which of your inputs is never used?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(z),
    ),
    Mistake(
        name="norms_missing",
        explanation="Neither norm was used.",
        hint="Which of your inputs are never used?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(x)) + m(z),
    ),
    Mistake(
        name="mlp_before_attention",
        explanation="The MLP comes first and attention second.",
        hint=(
            "Which of the two lets tokens read from each other, and which comes first in the "
            "paper's figure 1?"
        ),
        buggy=lambda x, n1, a, n2, m: (z := x + m(n2(x))) + a(n1(z)),
        variants=(lambda x, n1, a, n2, m: (z := x + m(n1(x))) + a(n2(z)),),
    ),
    Mistake(
        name="mlp_beside_attention",
        explanation="Attention and MLP both read x: the MLP does not see what attention found.",
        hint="What does the MLP's norm get in equation 3: z or z'?",
        # the parallel block of some large models, such as ViT-22B
        buggy=lambda x, n1, a, n2, m: x + a(n1(x)) + m(n2(x)),
    ),
    Mistake(
        name="mlp_forgotten",
        explanation="Your block ends after attention.",
        hint="Which of your inputs are never used?",
        buggy=lambda x, n1, a, n2, m: x + a(n1(x)),
    ),
    Mistake(
        name="attention_forgotten",
        explanation="Your block has no attention: no token reads from another.",
        hint="Which of your inputs are never used?",
        buggy=lambda x, n1, a, n2, m: x + m(n2(x)),
    ),
)


check_encoder_block = Check(
    name="check_encoder_block",
    signature=(
        "fn(x (B, T, D), norm1, attention, norm2, mlp) -> (B, T, D): z = attention(norm1(x)) + x, "
        "then mlp(norm2(z)) + z"
    ),
    cases=encoder_block_cases,
    reference=encoder_block,
    mistakes=MISTAKES + general_mistakes(encoder_block, without=()),
)
