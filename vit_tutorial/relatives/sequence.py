"""What came before attention, and attention, of one size: who remembers the first patch's colour?

Every model reads tokens (B, T, 48), patches of 4 x 4 pixels with their positions added, and answers
at the last of them: logits (B, 8).
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.validation import require_choice, require_int
from ..model.attention import attention
from ..model.positions import sinusoidal_1d

WIDTH = 48  # of a token: the values of one patch, 4 * 4 * 3
COLOURS = 8  # the corners of the colour cube, from black to white


def first_colour(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (count, length, 48) of plain patches, and the first one's colour (count), 0 to 7.

    Each patch has one of 8 colours at random, its channels 0 or 1 less their mean. Fixed sinusoidal
    positions are added, which need no parameters at any length. Chance is 1/8. Raises ValueError
    for a count or a length below 1.
    """
    require_int("count", count)
    require_int("length", length)
    colours = torch.randint(COLOURS, (count, length), generator=generator)
    bits = torch.tensor([4, 2, 1])
    channels = (colours[..., None] & bits).sign() - 0.5  # (count, length, 3)
    tokens = channels.repeat(1, 1, WIDTH // 3) + sinusoidal_1d(length, WIDTH)
    return tokens, colours[:, 0]


class Recurrent(nn.Module):
    """Tokens (B, T, 48) -> logits (B, 8): an RNN or an LSTM, and a linear layer on its last state.

    forget_bias: with it the layer is an LSTM whose forget gate starts at sigmoid(forget_bias).
    """

    def __init__(self, width: int, forget_bias: float | None = None):
        super().__init__()
        make = nn.RNN if forget_bias is None else nn.LSTM
        self.layer = make(WIDTH, width, batch_first=True)
        self.head = nn.Linear(width, COLOURS)
        if forget_bias is not None:
            with torch.no_grad():  # PyTorch's order of the gates: input, forget, cell, output
                self.layer.bias_ih_l0[width : 2 * width] = forget_bias
                self.layer.bias_hh_l0[width : 2 * width] = 0

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(tokens)[0][:, -1])


class RecurrentWithMemory(nn.Module):
    """Tokens (B, T, 48) -> logits (B, 8): an RNN that keeps all its states and reads them once.

    The last state emits a key and a strength, and what is read stands beside it before the last
    layer. The reading by content is that of the Neural Turing Machine (Graves et al. 2014, section
    3.3.1); the memory that only grows is that of Bahdanau et al. 2014.
    """

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.RNN(WIDTH, width, batch_first=True)
        self.key = nn.Linear(width, width)
        self.strength = nn.Linear(width, 1)
        self.head = nn.Linear(2 * width, COLOURS)

    def forward(self, tokens: Tensor) -> Tensor:
        memory = self.layer(tokens)[0]  # (B, T, H)
        last = memory[:, -1]  # (B, H)
        similarity = F.cosine_similarity(self.key(last)[:, None], memory, dim=-1)  # (B, T)
        weights = (F.softplus(self.strength(last)) * similarity).softmax(dim=-1)
        read = (weights[:, None] @ memory)[:, 0]  # (B, H)
        return self.head(torch.cat([last, read], dim=-1))


class Attention(nn.Module):
    """Tokens (B, T, 48) -> logits (B, 8): one layer of attention, read at the last token.

    all_ask: False computes the one row of the attention table that is read. True computes all T of
    them, as a layer of a ViT must, whose next layer reads every token. Same logits, T times as many
    scores.
    """

    def __init__(self, all_ask: bool = False):
        super().__init__()
        self.all_ask = all_ask
        self.query, self.key, self.value, self.projection = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )
        self.head = nn.Linear(WIDTH, COLOURS)

    def forward(self, tokens: Tensor) -> Tensor:
        asking = tokens if self.all_ask else tokens[:, -1:]
        read, _ = attention(self.query(asking), self.key(tokens), self.value(tokens))
        return self.head(self.projection(read[:, -1]))


# Widths that give each model about 9,800 parameters.
SEQUENCE_MODELS: dict[str, Callable[[], nn.Module]] = {
    "RNN": functools.partial(Recurrent, 74),
    "LSTM, forget bias 0": functools.partial(Recurrent, 30, 0.0),
    "LSTM, forget bias 1": functools.partial(Recurrent, 30, 1.0),
    "LSTM, forget bias 5": functools.partial(Recurrent, 30, 5.0),
    "RNN with memory": functools.partial(RecurrentWithMemory, 55),
    "attention": Attention,
}


def sequence_model(name: str, seed: int) -> nn.Module:
    """A fresh model of SEQUENCE_MODELS. Raises ValueError for another name."""
    require_choice("sequence model", name, SEQUENCE_MODELS)
    torch.manual_seed(seed)
    return SEQUENCE_MODELS[name]()
