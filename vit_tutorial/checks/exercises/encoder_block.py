"""check_encoder_block: the pre-norm encoder block from its four parts."""

import torch
from torch import nn

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


def halves(read=None, path=None, read_on=None, path_on=None, last=None):
    """The block, with what each half reads or what goes around it replaced.

    read(x, n1, n2) and path(x, n1) belong to attention, read_on(z, x, n1, n2) and path_on(z, x, n2,
    a) to the MLP, where z is what left the first half and a what attention gave. last: the end.
    """

    def block(x, n1, a, n2, m):
        found = a(read(x, n1, n2) if read else n1(x))
        z = found + (path(x, n1) if path else x)
        seen = m(read_on(z, x, n1, n2) if read_on else n2(z))
        end = seen + (path_on(z, x, n2, found) if path_on else z)
        return last(end, x, n1, n2) if last else end

    return block


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
        variants=(
            lambda x, n1, a, n2, m: (z := x + m(n1(x))) + a(n2(z)),
            lambda x, n1, a, n2, m: x + a(n1(m(n2(x)))),
        ),
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
    Mistake(
        name="first_path_of_the_normed",
        explanation="Around attention goes norm1(x), where x itself should go. The MLP is right.",
        hint="Does a name of yours hold the normalised tokens when the sum is made?",
        # x = norm1(x); x = x + attention(x)
        buggy=halves(path=lambda x, n1: n1(x)),
    ),
    Mistake(
        name="second_path_of_the_normed",
        explanation=(
            "Around the MLP go the tokens after norm2; they should go around it as they left the "
            "first half. Attention is right."
        ),
        hint="Does a name of yours hold the normalised tokens when the sum is made?",
        buggy=halves(path_on=lambda z, x, n2, found: n2(z)),
    ),
    Mistake(
        name="block_input_added_again",
        explanation="At the end the block's input x is added once more.",
        hint="Equation 3 has one sum. Which two things does it add?",
        buggy=halves(last=lambda end, x, n1, n2: end + x),
        variants=(halves(last=lambda end, x, n1, n2: end + n1(x)),),
    ),
    Mistake(
        name="path_of_what_attention_gave",
        explanation=(
            "Around the MLP goes what attention gave, without the x that was added to it in the "
            "first half."
        ),
        hint="Which of your names holds the sum of the first half?",
        buggy=halves(path_on=lambda z, x, n2, found: found),
    ),
    Mistake(
        name="mlp_reads_what_attention_gave",
        explanation="The MLP reads what attention gave, without the x that was added to it.",
        hint="What does norm2 get in equation 3: attention's result alone, or the sum?",
        buggy=lambda x, n1, a, n2, m: x + (found := a(n1(x))) + m(n2(found)),
    ),
    Mistake(
        name="first_norm_after_attention",
        explanation=(
            "norm1 comes after attention, and should come before it. The second half is right."
        ),
        hint="What should attention read: the tokens as they are, or normalised?",
        buggy=lambda x, n1, a, n2, m: (z := x + n1(a(x))) + m(n2(z)),
        variants=(lambda x, n1, a, n2, m: (z := n1(x + a(x))) + m(n2(z)),),
    ),
    Mistake(
        name="second_norm_after_mlp",
        explanation="norm2 comes after the MLP and should come before it. The first half is right.",
        hint="What should the MLP read: the tokens as they are, or normalised?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n1(x))) + n2(m(z)),
        variants=(lambda x, n1, a, n2, m: n2((z := x + a(n1(x))) + m(z)),),
    ),
    Mistake(
        name="norm_at_the_end",
        explanation="Everything is right up to a norm at the end, which is one too many.",
        hint="Where does the last LayerNorm of a ViT stand: in each block, or once after all?",
        buggy=halves(last=lambda end, x, n1, n2: n2(end)),
        variants=(halves(last=lambda end, x, n1, n2: n1(end)),),
    ),
    Mistake(
        name="attention_twice",
        explanation="Attention stands in both halves: the MLP is never called.",
        hint="Which part does equation 3 call?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n1(x))) + a(n2(z)),
    ),
    Mistake(
        name="mlp_twice",
        explanation="The MLP stands in both halves: attention is never called.",
        hint="Which part does equation 2 call?",
        buggy=lambda x, n1, a, n2, m: (z := x + m(n1(x))) + m(n2(z)),
    ),
    Mistake(
        name="multiplied_in_the_path",
        explanation="A part's result is multiplied by its input, where the two should be added.",
        hint="What does the + of a residual path do to a gradient, and what would a * do?",
        buggy=lambda x, n1, a, n2, m: (z := x * a(n1(x))) * m(n2(z)),
        variants=(
            lambda x, n1, a, n2, m: (z := x * a(n1(x))) + m(n2(z)),
            lambda x, n1, a, n2, m: (z := x + a(n1(x))) * m(n2(z)),
        ),
    ),
    Mistake(
        name="parts_in_a_row",
        explanation="Attention and the MLP follow one another, and x is added around both at once.",
        hint="Count the sums: how many are there in equations 2 and 3 together?",
        buggy=lambda x, n1, a, n2, m: x + m(n2(a(n1(x)))),
    ),
    Mistake(
        name="norms_one_after_the_other",
        explanation="Both norms are applied to the same tokens, one right after the other.",
        hint="In front of which part does each of the two norms stand?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n2(n1(x)))) + m(z),
        variants=(
            lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(n2(n1(z))),
            lambda x, n1, a, n2, m: (z := x + a(n2(n1(x)))) + m(n2(z)),
            lambda x, n1, a, n2, m: (z := x + a(x)) + m(n2(n1(z))),
        ),
    ),
    Mistake(
        name="subtracted_in_the_path",
        explanation="A part's result is subtracted. It should be added.",
        hint="Which sign do equations 2 and 3 have?",
        buggy=lambda x, n1, a, n2, m: (z := x - a(n1(x))) - m(n2(z)),
        variants=(
            lambda x, n1, a, n2, m: (z := x - a(n1(x))) + m(n2(z)),
            lambda x, n1, a, n2, m: (z := x + a(n1(x))) - m(n2(z)),
            lambda x, n1, a, n2, m: (z := a(n1(x)) - x) + m(n2(z)),
            lambda x, n1, a, n2, m: m(n2(z := x + a(n1(x)))) - z,
        ),
    ),
    Mistake(
        name="halved",
        explanation="A sum is divided by two or by its root, as a mean. It should be a sum.",
        hint="Which number stands in equations 2 and 3 beside the sums?",
        buggy=lambda x, n1, a, n2, m: ((z := (x + a(n1(x))) / 2) + m(n2(z))) / 2,
        variants=(
            lambda x, n1, a, n2, m: (z := (x + a(n1(x))) / 2) + m(n2(z)),
            lambda x, n1, a, n2, m: ((z := x + a(n1(x))) + m(n2(z))) / 2,
            lambda x, n1, a, n2, m: (z := (x + a(n1(x))) / 2**0.5) + m(n2(z)),
        ),
    ),
    Mistake(
        name="activation_too_many",
        explanation="What the MLP gave went through one more activation.",
        hint="Where is the activation of an MLP: in it, or behind it?",
        buggy=lambda x, n1, a, n2, m: (z := x + a(n1(x))) + torch.relu(m(n2(z))),
        variants=(lambda x, n1, a, n2, m: (z := x + a(n1(x))) + nn.functional.gelu(m(n2(z))),),
    ),
    Mistake(
        name="normed_path_of_the_start",
        explanation="Around the MLP goes norm1(x), where the sum of the first half should go.",
        hint="Which of your names holds the sum of the first half?",
        buggy=lambda x, n1, a, n2, m: n1(x) + m(n2(x + a(n1(x)))),
    ),
    Mistake(
        name="post_norm_with_another_sum",
        explanation="The first norm comes after the first sum, as in the block of 2017.",
        hint="What should attention read: the tokens as they are, or normalised?",
        buggy=lambda x, n1, a, n2, m: (z := n1(x + a(x))) + n2(m(z)),
        variants=(lambda x, n1, a, n2, m: (z := n1(x + a(x))) + m(n2(n1(z))),),
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
