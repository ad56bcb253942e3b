"""check_rnn: the states of a recurrent network, one for each token."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def rnn(x, w, u, b):
    """x (B, T, D) -> states (B, T, H): h_t = tanh(w x_t + u h_(t-1) + b), with h_(-1) = 0."""
    return states(x, w, u, b)


def states(x, w, u, b, step=None, start=None, order=None, kept=None):
    """The right states, or others where one of the parts is replaced."""
    B, T, _ = x.shape
    h = x.new_zeros(B, len(b)) if start is None else start(x, b)
    seen = []
    for t in order(T) if order else range(T):
        before = h
        h = (step or one_step)(x[:, t], h, w, u, b)
        seen.append(kept(before, h) if kept else h)
    return torch.stack(seen, dim=1)


def one_step(x, h, w, u, b):
    return torch.tanh(x @ w.T + h @ u.T + b)


def rnn_cases(generator: torch.Generator) -> list[Case]:
    """One token, batch 1, a wide state; sizes that hide an exchanged axis; gradients."""

    def case(about, B, T, D, H, dtype=torch.float32, **more):
        shapes = {"x": (B, T, D), "w": (H, D), "u": (H, H), "b": (H,)}
        inputs = {
            name: numbers(generator, *shape, dtype=torch.float64) for name, shape in shapes.items()
        }
        inputs["w"] /= D**0.5
        inputs["u"] /= H**0.5
        return Case(about, {name: value.to(dtype) for name, value in inputs.items()}, **more)

    T = choice(generator, 5, 6, 7)
    return [
        case("", 2, T, 4, 3),
        case("batch of 1", 1, T, 3, 8),
        case("as many images as tokens", 4, 4, 3, 5),
        case("tokens as wide as the state", 3, T, 6, 6),
        case("one token", 2, 1, 4, 3),
        case("float64", 2, T, 4, 3, torch.float64),
        case("with gradient", 1, T, 4, 3, grad=True),
        case("another device", 2, T, 4, 3, device="meta"),
    ]


def changed(**part):
    return lambda x, w, u, b: states(x, w, u, b, **part)


def swapped_axes(x, w, u, b):
    return rnn(x.transpose(0, 1), w, u, b).transpose(0, 1)


def one_state_only(e: Evidence) -> bool:
    """The right last state alone, (B, H) or (B, 1, H)."""
    for _, actual, expected in e.compared():
        if actual.output is None:
            return False
        mine, last = actual.output, expected.output[:, -1]
        if mine.numel() != last.numel() or not torch.allclose(
            mine.reshape(last.shape).double(), last.double(), atol=1e-4
        ):
            return False
    return True


MISTAKES = (
    Mistake(
        name="last_state_only",
        explanation="You return only the last state. Return the states of all tokens.",
        hint="Where do you keep the states of the earlier tokens?",
        buggy=lambda x, w, u, b: rnn(x, w, u, b)[:, -1],
        detect=one_state_only,
    ),
    Mistake(
        name="state_not_carried",
        explanation=(
            "Each state depends on its own token alone: the state before it is not used, or it is "
            "0 at every step."
        ),
        hint="Which line takes the state from one step to the next?",
        # h is set to zeros inside the loop, or u is never used
        buggy=changed(step=lambda x, h, w, u, b: one_step(x, 0 * h, w, u, b)),
    ),
    Mistake(
        name="tanh_forgotten",
        explanation="Your states are sums without tanh: they grow above 1.",
        hint="What keeps every entry of a state between -1 and 1?",
        buggy=changed(step=lambda x, h, w, u, b: x @ w.T + h @ u.T + b),
    ),
    Mistake(
        name="tanh_on_the_old_state",
        explanation=(
            "tanh is applied to a part of the formula, and not to the whole sum that becomes the "
            "new state."
        ),
        hint="What is inside tanh in the formula?",
        buggy=changed(step=lambda x, h, w, u, b: x @ w.T + torch.tanh(h) @ u.T + b),
        variants=(
            changed(step=lambda x, h, w, u, b: x @ w.T + torch.tanh(h @ u.T) + b),
            changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T + b) + h @ u.T),
            changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T) + h @ u.T + b),
            changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T) + torch.tanh(h @ u.T) + b),
            changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T) + torch.tanh(h @ u.T + b)),
        ),
    ),
    Mistake(
        name="other_activation",
        explanation="The states went through a function other than tanh.",
        hint="Which function does the formula name, and what is its range?",
        buggy=changed(step=lambda x, h, w, u, b: (x @ w.T + h @ u.T + b).relu()),
        variants=(
            changed(step=lambda x, h, w, u, b: (x @ w.T + h @ u.T + b).sigmoid()),
            changed(
                step=lambda x, h, w, u, b: torch.nn.functional.gelu(x @ w.T + h @ u.T + b),
            ),
        ),
    ),
    Mistake(
        name="reads_backwards",
        explanation="The tokens were read from the last one to the first.",
        hint="Which token should the first state have seen?",
        buggy=changed(order=lambda T: reversed(range(T))),
        variants=(lambda x, w, u, b: rnn(x.flip(1), w, u, b).flip(1),),
    ),
    Mistake(
        name="u_not_transposed",
        explanation="u was applied as h @ u. The formula applies it as h @ u.T.",
        hint="A linear layer keeps its weight as (out, in). Square matrices hide the difference.",
        buggy=changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u + b)),
    ),
    Mistake(
        name="bias_forgotten",
        explanation="Everything is right except b: it was not added.",
        hint="Which input of the function does your code never read?",
        buggy=changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u.T)),
    ),
    Mistake(
        name="bias_twice",
        explanation="b was added twice in each step.",
        hint="PyTorch's nn.RNN has two biases. How many does this formula have?",
        # F.linear(x, w, b) + F.linear(h, u, b)
        buggy=changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u.T + 2 * b)),
    ),
    Mistake(
        name="states_one_step_late",
        explanation="State t was stored before token t was read: the first is the initial state.",
        hint="In your loop, what comes first: storing the state or updating it?",
        buggy=changed(kept=lambda before, after: before),
    ),
    Mistake(
        name="starts_elsewhere",
        explanation="The state before the first token is not 0.",
        hint="What has the network read before the first token?",
        buggy=changed(start=lambda x, b: x.new_ones(len(x), len(b))),
        variants=(changed(start=lambda x, b: b.expand(len(x), -1)),),
    ),
    Mistake(
        name="state_added",
        explanation="The old state was added to the new one. In this formula it is replaced.",
        hint="What happens to h itself, apart from its product with u?",
        buggy=changed(step=lambda x, h, w, u, b: h + one_step(x, h, w, u, b)),
    ),
    Mistake(
        name="runs_over_the_batch",
        explanation=(
            "Your steps run over the images of the batch instead of the tokens: image 1 starts "
            "from what image 0 left behind."
        ),
        hint="x has the axes (B, T, D). Which of them is the sequence?",
        # nn.RNN without batch_first
        buggy=swapped_axes,
    ),
    Mistake(
        name="first_token_at_every_step",
        explanation="Every step reads the first token: the number of the token does not grow.",
        hint="Which index of x depends on the step?",
        buggy=lambda x, w, u, b: rnn(x[:, :1].expand_as(x), w, u, b),
    ),
    Mistake(
        name="bias_outside_of_tanh",
        explanation="b is added after tanh. In the formula it is inside.",
        hint="Which bracket closes behind b in the formula?",
        buggy=changed(step=lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u.T) + b),
    ),
    Mistake(
        name="token_not_read",
        explanation="The states do not depend on the tokens: w or x is not used.",
        hint="Which input of the function does your code never read?",
        buggy=changed(step=lambda x, h, w, u, b: torch.tanh(h @ u.T + b)),
    ),
    Mistake(
        name="initial_state_included",
        explanation="Your result starts with the state before the first token: T + 1 states.",
        hint="How many states are there for T tokens?",
        buggy=lambda x, w, u, b: torch.cat([x.new_zeros(len(x), 1, len(b)), rnn(x, w, u, b)], 1),
    ),
    Mistake(
        name="tanh_twice",
        explanation="tanh is applied twice.",
        hint="How often does the formula name tanh?",
        buggy=lambda x, w, u, b: rnn(x, w, u, b).tanh(),
        variants=(changed(step=lambda x, h, w, u, b: torch.tanh(one_step(x, h, w, u, b))),),
    ),
)


check_rnn = Check(
    name="check_rnn",
    signature=(
        "fn(x (B, T, D), w (H, D), u (H, H), b (H)) -> states (B, T, H), "
        "h_t = tanh(w x_t + u h_(t-1) + b), the state before the first token is 0"
    ),
    cases=rnn_cases,
    reference=rnn,
    mistakes=MISTAKES + general_mistakes(rnn, without=()),
)
