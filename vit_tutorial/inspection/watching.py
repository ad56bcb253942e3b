"""Watch the modules of a model during one call: which compute attention, and what they compute."""

import contextlib
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .attention_calls import AttentionCall, WatchAttention, multihead_call


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that seem to compute attention, by name, in the order of named_modules().

    The innermost ones whose class name contains Attention; where there is none, those that have a
    number of heads. Pooling by attention does not count: one query reads all tokens there.
    """
    parts = {
        name: part
        for name, part in model.named_modules()
        if "pool" not in type(part).__name__.lower()
    }
    named = {name: part for name, part in parts.items() if _called_attention(part)}
    found = named or {name: part for name, part in parts.items() if _has_heads(part)}
    around = {id(part) for part in found.values()}
    return {
        name: part
        for name, part in found.items()
        if not any(id(other) in around for other in part.modules() if other is not part)
    }


def _called_attention(part: nn.Module) -> bool:
    return re.search("attention|attn", type(part).__name__.lower()) is not None


def _has_heads(part: nn.Module) -> bool:
    heads = (getattr(part, name, None) for name in ("num_heads", "heads", "n_heads", "n_head"))
    return any(type(number) is int for number in heads)


class WatchedModel:
    """What the modules of one model do during one call."""

    def __init__(self, model, found, chosen, heads, gradients, device):
        self.parts, self.found, self.chosen = dict(model.named_modules()), found, chosen
        self.heads, self.gradients, self.device = heads, gradients, device
        self.read: dict[str, tuple] = {}  # layer -> the shape that went into its attention
        self.weights: dict[str, list[Tensor]] = {name: [] for name in chosen}
        self.calls: dict[str, list[AttentionCall]] = {name: [] for name in chosen}
        self.tokens: dict[str, Tensor] = {}
        self.entering: Tensor | None = None

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Watch the modules' calls. Afterwards they are what they were, errors or not."""
        with contextlib.ExitStack() as stack:
            if any(_compiled(part) for part in self.parts.values()):
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            for name in self.chosen:
                stack.enter_context(_around(self.found[name], self._attention, name))
                block, watcher = self._block(name)
                if block is not None:
                    stack.enter_context(_around(block, watcher, name))
            first = next(iter(self.found))
            block, watcher = self._block(first)
            into = block if watcher == self._leave_block else self.found[first]
            stack.enter_context(_around(into, self._enter, first))
            yield

    def _block(self, name: str):
        """(the module whose call ends the layer, what watches it), or (None, None).

        A block is the largest module around one attention module that is not the whole model. In
        vit-pytorch a block is a list [attention, MLP], which is never called: x = mlp(x) + x.
        """
        above = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
        pair = self.parts[above[0]] if above else None
        if isinstance(pair, nn.ModuleList) and len(pair) == 2 and pair[0] is self.found[name]:
            return pair[1], self._leave_mlp
        around = [
            self.parts[path]
            for path in (name, *above)
            if sum(other == path or other.startswith(f"{path}.") for other in self.found) == 1
        ]
        blocks = [part for part in around if "block" in type(part).__name__.lower()]
        if len(self.found) == 1:  # the whole encoder is around it as well
            around = [part for part in around if not isinstance(part, nn.Sequential)][:2]
        block = (blocks or around)[-1]
        if isinstance(block, nn.ModuleList) or (block is self.found[name] and not blocks):
            return None, None
        return block, self._leave_block

    def _attention(self, name, forward, *args, **kwargs):
        part = self.found[name]
        self.read[name] = tuple(_tokens_of(args, kwargs).shape)
        if isinstance(part, nn.MultiheadAttention):
            output = forward(*args, **kwargs)
            if _reads_itself(*args, **kwargs):
                tokens = _tokens_of(args, kwargs)
                self._keep(name, [multihead_call(part, tokens, output[0], self.heads)])
            return output
        with WatchAttention(self.heads) as seen:
            output = forward(*args, **kwargs)
        self._keep(name, seen.calls)
        return output

    def _keep(self, name: str, calls: list[AttentionCall]) -> None:
        self.weights[name] += [
            call.weights.to(self.device or call.weights.device) for call in calls
        ]
        if self.gradients:
            self.calls[name] += calls

    def _enter(self, name, forward, *args, **kwargs):
        self.entering = self._copy(_tokens_of(args, kwargs))
        return forward(*args, **kwargs)

    def _leave_block(self, name, forward, *args, **kwargs):
        output = forward(*args, **kwargs)
        tokens = output[0] if isinstance(output, tuple) else output
        if isinstance(tokens, Tensor) and tokens.ndim == 3:
            self.tokens[name] = self._copy(tokens)
        block, part = self._block(name)[0], self.found[name]
        if isinstance(block, nn.TransformerEncoderLayer) and name not in self.read:
            # torch ran the whole layer in one kernel, and never called its attention.
            x = _tokens_of(args, kwargs)
            x = block.norm1(x) if block.norm_first else x
            self.read[name] = tuple(x.shape)
            self._keep(name, [multihead_call(part, x, output, self.heads)])
        return output

    def _leave_mlp(self, name, forward, *args, **kwargs):
        output = forward(*args, **kwargs)
        self.tokens[name] = self._copy(output + _tokens_of(args, kwargs))
        return output

    def _copy(self, x: Tensor) -> Tensor:
        """A copy, as the model may go on to change x in place."""
        return x.detach().to(self.device or x.device, copy=True)

    def checked_weights(self, B: int) -> dict[str, Tensor]:
        """The weights of each chosen layer, or a ValueError that says why there are none."""
        problems = {}
        for name in self.chosen:
            if problem := self._problem(name, B):
                problems.setdefault((type(self.found[name]).__name__, problem), []).append(name)
        if problems:
            (kind, problem), names = next(iter(problems.items()))
            kinds = class_names(self.found.values())
            raise ValueError(
                f"no attention of every token to every token in {kinds}: "
                f"{kind} {names[0]} {problem} (layers: {sum(map(len, problems.values()))} of "
                f"{len(self.chosen)})"
            )
        return {name: self.weights[name][0] for name in self.chosen}

    def _problem(self, name: str, B: int) -> str:
        if (read := self.read.get(name)) is None:
            return "was not called"
        kept = self.weights[name]
        part = self.found[name]
        if len(read) == 3 and not getattr(part, "batch_first", True):
            read = read[1], read[0], read[2]
        if len(read) != 3 or read[0] != B:
            return (
                f"reads {read}, not (B, T, D) with B = {B}: it works within windows, on maps of "
                "features, or on several images at once"
            )
        if not kept:
            return (
                "computes no softmax over its tokens that is multiplied by their values, in one "
                "of torch's own functions: it is linear, mixes heads, or reads other tokens"
            )
        if len(kept) > 1:
            return f"computes attention {len(kept)} times"
        if kept[0].shape[0] != B or kept[0].shape[-1] != read[1]:
            return f"has weights {tuple(kept[0].shape)} for tokens {read}"
        return ""


@contextlib.contextmanager
def _around(part: nn.Module, watcher, name: str) -> Iterator[None]:
    """Let watcher(name, forward, *inputs) run the module's forward, and take it away again.

    Hooks would do, but nn.TransformerEncoderLayer computes in another way where it has some.
    """
    own = part.__dict__.get("forward")
    forward = part.forward
    part.forward = lambda *args, **kwargs: watcher(name, forward, *args, **kwargs)
    try:
        yield
    finally:
        if own is None:
            del part.forward
        else:
            part.forward = own


def _tokens_of(args, kwargs) -> Tensor:
    """The first input of a module."""
    return args[0] if args else next(iter(kwargs.values()))


def _reads_itself(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, **_):
    """Whether a call of nn.MultiheadAttention is self-attention without a mask."""
    return query is key is value and key_padding_mask is None and attn_mask is None


def _compiled(part: nn.Module) -> bool:
    return hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None


def class_names(parts) -> str:
    """The names of the classes of `parts`, each once, with its library."""
    names = {
        f"{re.match('[^.]*', type(part).__module__)[0]}'s {type(part).__name__}" for part in parts
    }
    return ", ".join(sorted(names))
