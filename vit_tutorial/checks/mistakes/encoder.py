"""Known mistakes in the pre-norm encoder block."""

from ..check import Mistake


def block(x, norm1, attention, norm2, mlp):
    """(B, T, D) -> (B, T, D): equations 2 and 3 of Dosovitskiy et al. 2021."""
    x = x + attention(norm1(x))
    return x + mlp(norm2(x))


def encoder_block_mistakes() -> tuple[Mistake, ...]:
    """For fn(x, norm1, attention, norm2, mlp) -> x."""
    return (
        Mistake(
            "post_norm",
            "Your norms come after the sums: the block of 2017 (post-norm). In a ViT they stand in front of attention and MLP.",
            "Follow the residual path from x to the end. Should anything stand on it?",
            "Vaswani et al. 2017, and the nn.TransformerEncoderLayer of PyTorch unless norm_first=True",
            lambda x, n1, a, n2, m: n2((z := n1(x + a(x))) + m(z)),
        ),
        Mistake(
            "norm_after_the_part",
            "Your norms stand behind attention and MLP, in front of the sum. They belong in front of attention and MLP.",
            "What should attention read: the tokens as they are, or normalised?",
            "first drafts: norm1(attention(x)) + x",
            lambda x, n1, a, n2, m: (z := x + n1(a(x))) + n2(m(z)),
        ),
        Mistake(
            "residuals_forgotten",
            "Neither attention nor MLP has a path around it: x itself is lost.",
            "What does a gradient do on its way back through many blocks like this one? What leads around each part?",
            "first drafts",
            lambda x, n1, a, n2, m: m(n2(a(n1(x)))),
        ),
        Mistake(
            "first_residual_forgotten",
            "Attention has no path around it: what leaves the first half does not hold x.",
            "Count the sums in your block. How many has equation 2, and how many equation 3?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := a(n1(x))) + m(n2(z)),
        ),
        Mistake(
            "second_residual_forgotten",
            "The MLP has no path around it.",
            "Count the sums in your block. How many has equation 2, and how many equation 3?",
            "first drafts",
            lambda x, n1, a, n2, m: m(n2(x + a(n1(x)))),
        ),
        Mistake(
            "residual_doubled",
            "x was added twice in the first half.",
            "Does your attention step add x already when the next line adds it again?",
            "x = x + attention(...), and then x + x around it",
            lambda x, n1, a, n2, m: (z := 2 * x + a(n1(x))) + m(n2(z)),
        ),
        Mistake(
            "second_residual_doubled",
            "What enters the second half was added twice.",
            "How often does equation 3 add z'?",
            "first drafts",
            lambda x, n1, a, n2, m: 2 * (z := x + a(n1(x))) + m(n2(z)),
        ),
        Mistake(
            "residual_from_the_start",
            "The second sum adds the block's input x, and not what the first half gave.",
            "Which of your variables does the second path start from?",
            "first drafts that keep `residual = x` for both",
            lambda x, n1, a, n2, m: x + m(n2(x + a(n1(x)))),
        ),
        Mistake(
            "residual_of_the_normed",
            "The path around each part starts behind the norm: normalised tokens are added, and not the tokens.",
            "At which point does the path leave: before the norm, or after it?",
            "x = norm(x); x = x + attention(x)",
            lambda x, n1, a, n2, m: (w := n2((y := n1(x)) + a(y))) + m(w),
        ),
        Mistake(
            "norm_shared",
            "norm1 was used twice. Each half has a norm of its own, with weights of its own.",
            "Which of your inputs is never used?",
            "first drafts with one self.norm",
            lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(n1(z)),
        ),
        Mistake(
            "norms_exchanged",
            "norm2 stands in front of attention and norm1 in front of the MLP.",
            "Which norm belongs to which half?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := x + a(n2(x))) + m(n1(z)),
        ),
        Mistake(
            "first_norm_missing",
            "Attention reads x as it is: norm1 was not used.",
            "Which of your inputs is never used?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := x + a(x)) + m(n2(z)),
        ),
        Mistake(
            "second_norm_missing",
            "The MLP reads its tokens as they are: norm2 was not used.",
            "Which of your inputs is never used?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := x + a(n1(x))) + m(z),
        ),
        Mistake(
            "norms_missing",
            "Neither norm was used.",
            "Which of your inputs are never used?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := x + a(x)) + m(z),
        ),
        Mistake(
            "mlp_before_attention",
            "The MLP comes first and attention second.",
            "Which of the two lets tokens read from each other, and which comes first in the paper's figure 1?",
            "first drafts",
            lambda x, n1, a, n2, m: (z := x + m(n2(x))) + a(n1(z)),
            also=(lambda x, n1, a, n2, m: (z := x + m(n1(x))) + a(n2(z)),),
        ),
        Mistake(
            "mlp_beside_attention",
            "Attention and MLP both read x: the MLP does not see what attention found.",
            "What does the MLP's norm get in equation 3: z or z'?",
            "parallel blocks, as in some large models (ViT-22B); not this one",
            lambda x, n1, a, n2, m: x + a(n1(x)) + m(n2(x)),
        ),
        Mistake(
            "mlp_forgotten",
            "Your block ends after attention.",
            "Which of your inputs are never used?",
            "first drafts",
            lambda x, n1, a, n2, m: x + a(n1(x)),
        ),
        Mistake(
            "attention_forgotten",
            "Your block has no attention: no token reads from another.",
            "Which of your inputs are never used?",
            "first drafts",
            lambda x, n1, a, n2, m: x + m(n2(x)),
        ),
    )
