"""A check: cases, the right function, the known mistakes; and the judging that compares what was observed."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from .case import Case, Maker, Observation
from .compare import close, shape_difference, value_difference
from .failure import Verdict
from .observe import call_once, observe, read_output


@dataclass(frozen=True)
class Evidence:
    """What the judge has at hand: for each case the inputs, what the learner's function gave, and what is right."""

    cases: list[Case]
    seen: list[Observation]
    wanted: list[Observation]

    def right(self, i: int) -> bool:
        """Case i came out right in every value and every fact."""
        return problem(self.cases[i], self.seen[i], self.wanted[i]) is None

    def values_right(self, i: int) -> bool:
        """Case i came out right in shape and values; dtype, gradients and side effects are not looked at."""
        return same_values(self.seen[i], self.wanted[i])

    def wrong_exactly_where(self, condition: Callable[[Case], bool]) -> bool:
        """Wrong (or an error) in every case that meets the condition, right in every other, and there are cases of both sorts."""
        plain = [i for i, case in enumerate(self.cases) if case.device != "meta"]
        meets = [condition(self.cases[i]) for i in plain]
        return (
            any(meets)
            and not all(meets)
            and all(self.right(i) != met for i, met in zip(plain, meets))
        )

    def first_wrong(self) -> int:
        """The first case that did not come out right."""
        return next(i for i in range(len(self.cases)) if not self.right(i))


@dataclass(frozen=True)
class Mistake:
    """A known mistake.

    name: short, in snake_case. says: what was seen, for the learner, as a sentence or a function of the evidence (for numbers).
    hint: a question or a place to look; never the solution. seen_in: where people made it. wrong: a function that makes it.
    detect: says whether the evidence shows it; without one, the values on all cases must equal those of `wrong`.
    also: other functions that make the same mistake, with other values.
    """

    name: str
    says: str | Callable[[Evidence], str]
    hint: str
    seen_in: str
    wrong: Callable
    detect: Callable[[Evidence], bool] | None = None
    also: tuple[Callable, ...] = ()


@dataclass(frozen=True)
class Check:
    """What is asked for, tried, and known to go wrong.

    name: "check_patchify". takes: the signature, for messages. cases(generator): the inputs. reference: the right function.
    read(value, inputs): what of a result is written down. call(fn, inputs): how fn is called on a case; once, unless given.
    """

    name: str
    takes: str
    cases: Maker
    reference: Callable
    mistakes: tuple[Mistake, ...]
    read: Callable = field(default=read_output)
    call: Callable = field(default=call_once)

    def draw(self, seed: int) -> list[Case]:
        """The cases for a seed; another seed gives other numbers, and partly other sizes."""
        return self.cases(torch.Generator().manual_seed(seed))

    def observe(self, fn: Callable, cases: list[Case]) -> list[Observation]:
        """What fn gives on each case."""
        return [self.observe_one(fn, case) for case in cases]

    def observe_one(self, fn: Callable, case: Case) -> Observation:
        """What fn gives on one case."""
        return observe(self.read, fn, case, self.call)

    def judge(self, cases: list[Case], seen: list[Observation]) -> Verdict:
        """Compare with the reference, and find the mistake's name. Works on observations alone: no learner's code runs here."""
        evidence = Evidence(cases, seen, self.observe(self.reference, cases))
        wrong = [i for i in range(len(cases)) if not evidence.right(i)]
        if not wrong:
            return Verdict(True, None, f"{self.name}: passed, {len(cases)} cases")
        mistake = self._known(evidence)
        return Verdict(
            False, mistake.name if mistake else None, self._message(evidence, mistake, wrong)
        )

    def _known(self, evidence: Evidence) -> Mistake | None:
        for mistake in self.mistakes:
            if mistake.detect is not None and mistake.detect(evidence):
                return mistake
            alike = mistake.also if mistake.detect is not None else (mistake.wrong, *mistake.also)
            if any(
                matches(evidence, functools.partial(self.observe_one, wrong)) for wrong in alike
            ):
                return mistake
        return None

    def _message(self, evidence: Evidence, mistake: Mistake | None, wrong: list[int]) -> str:
        i = wrong[0]
        case, seen, wanted = evidence.cases[i], evidence.seen[i], evidence.wanted[i]
        head, detail = problem(case, seen, wanted)
        if mistake and mistake.name == "not_written":
            return f"{self.name}: {mistake.says}\n    {mistake.hint}"
        lines = [f"{self.name}: {head}"]
        if mistake:
            lines.append(mistake.says if isinstance(mistake.says, str) else mistake.says(evidence))
        # What a known mistake does is said above; then the first wrong number adds only its place.
        lines.append(detail)
        about = f" ({case.about})" if case.about else ""
        verb = "is" if len(wrong) == 1 else "are"
        lines.append(
            f"Tried with {case}{about}; {len(wrong)} of {len(evidence.cases)} cases {verb} wrong."
        )
        if mistake:
            lines.append(f"Hint: {mistake.hint}")
        else:
            lines.append(f"Asked for: {self.takes}")
        return "\n    ".join(line for line in lines if line)


def same_values(one: Observation, two: Observation) -> bool:
    """The same tensors up to rounding (another dtype is allowed), and the same of what `read` wrote down as "values"."""
    return (
        one.error is None
        and two.error is None
        and one.tensors.keys() == two.tensors.keys()
        and one.facts.get("values") == two.facts.get("values")
        and all(close(one.tensors[name], two.tensors[name], loose=True) for name in one.tensors)
    )


def matches(evidence: Evidence, of_mistake: Callable[[Case], Observation]) -> bool:
    """The learner's function did what the mistake does, on every case: equal values, or an error in both.

    The mistake is tried case by case, and no longer once it has shown itself to be another one: most do in the first.
    At least one case must show it by values that are wrong, or else any error would look like any other. An error where the
    mistake gives wrong values is a way to write it, too, as long as no more cases stop than show it.
    """
    shown = stopped = 0
    for i, (case, mine) in enumerate(zip(evidence.cases, evidence.seen)):
        if case.device == "meta":
            continue
        theirs = of_mistake(case)
        if mine.error and theirs.error:
            continue
        if mine.error and not same_values(theirs, evidence.wanted[i]):
            stopped += 1
            continue
        if not same_values(mine, theirs):
            return False
        if set(mine.facts.get("changed", [])) != set(theirs.facts.get("changed", [])):
            return False
        shown += not evidence.values_right(i)
    return shown > 0 and stopped <= shown


def problem(case: Case, seen: Observation, wanted: Observation) -> tuple[str, str] | None:
    """What is wrong in one case, as a headline and a detail; None when nothing is."""
    if (
        case.device == "meta"
    ):  # a stand-in for a GPU: only the place of the result counts, and code may refuse to run there
        stray = (
            []
            if seen.error
            else [d for name, d in seen.facts.get("devices", {}).items() if d != "meta"]
        )
        detail = (
            f"The inputs were on the device 'meta' (a stand-in for a GPU), the result on {stray[0]!r}."
            if stray
            else ""
        )
        return ("the result is on another device than the inputs.", detail) if stray else None
    if seen.error is not None:
        return "your function stopped with an error.", f"{seen.error}" + (
            f"\n    in {seen.facts['line']}" if seen.facts.get("line") else ""
        )
    values = seen.facts.get("values"), wanted.facts.get("values")
    if None not in values and values[0] != values[1]:  # a wrong stride explains a wrong shape
        return facts_problem(*values)
    for name, tensor in wanted.tensors.items():
        what = "the result" if name == "output" and len(wanted.tensors) == 1 else name
        mine = seen.tensors.get(name)
        if mine is None:
            kind = seen.facts.get("types", {}).get(name, "missing")
            more = (
                " A function without a return statement returns None." if kind == "NoneType" else ""
            )
            return (
                f"{what} must be {wanted.facts.get('form', 'a torch.Tensor')}.",
                f"It is: {kind}.{more}",
            )
        if mine.shape != tensor.shape:
            return f"{what} has the wrong shape.", shape_difference(mine, tensor)
        if not close(mine, tensor, loose=True):
            head = (
                f"{what} has the right shape, but not the right values."
                if "form" not in wanted.facts
                else f"{what} is not right."
            )
            return head, value_difference(mine, tensor)
        if mine.dtype != tensor.dtype:
            return f"{what} has the wrong dtype.", f"It is {mine.dtype}, expected {tensor.dtype}."
        if not close(mine, tensor):
            return f"{what} is less precise than its dtype.", value_difference(
                mine, tensor
            ) + " Was it computed in another dtype on the way?"
    if values[0] != values[1]:
        return facts_problem(*values)
    if seen.facts.get("changed"):
        return (
            "your function changed its input.",
            f"After the call, {' and '.join(seen.facts['changed'])} held other numbers than before.",
        )
    if seen.facts.get("detached"):
        return (
            "no gradient flows through your function.",
            "The inputs require a gradient, the result does not: nothing before it could learn.",
        )
    if seen.facts.get("backward_error"):
        return (
            "no gradient can be computed through your function.",
            f"Going back stops with: {seen.facts['backward_error']}. The usual cause is a line that writes into a tensor.",
        )
    unreached = [
        name
        for name in seen.facts.get("no_gradient", [])
        if name not in wanted.facts.get("no_gradient", [])
    ]
    if unreached:
        return (
            "the gradient does not reach every input.",
            f"No gradient reaches {' and '.join(unreached)}: training could never change it.",
        )
    return None


def facts_problem(seen, wanted) -> tuple[str, str]:
    """The first of the written-down values (such as a convolution's stride) that differs."""
    seen, wanted = seen or {}, wanted or {}
    name = next(name for name in {**wanted, **seen} if seen.get(name) != wanted.get(name))
    return (
        f"{name} is not as it should be.",
        f"It is {seen.get(name)}, expected {wanted.get(name)}.",
    )
