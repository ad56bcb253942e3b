"""A check: a learner's function is called on cases, compared with the right one, and named."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ..progress import passed_here
from ..unlisted import NAMES, unlisted
from .case import Case, CaseMaker, Observation
from .errors import ERRORS
from .mistake import Evidence, Mistake
from .observe import call_once, observe, preserved_torch_state, record_output
from .problem import problem
from .session import learner_at_work, observe_quietly, sign_of_work
from .verdict import CheckFailed, Verdict


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """One exercise: its signature, its cases, the right function and the known mistakes.

    A check is called with the learner's function. A grader takes the same steps one by one: `draw`
    the cases, `observe` in a sandbox, `judge` outside. `judge` works on observations alone, so no
    learner's code runs beside it.
    """

    name: str  # "check_patchify"
    signature: str  # of the learner's function, with shapes, for messages and help()
    cases: CaseMaker
    reference: Callable  # the right function
    mistakes: tuple[Mistake, ...]
    record: Callable = field(default=record_output)  # (value, inputs) -> what is kept of a result
    call: Callable = field(default=call_once)  # (fn, inputs) -> the value; most call fn once
    # (case, actual, expected) -> where the numbers of the result come from, in words
    place: Callable = field(default=lambda case, actual, expected: "")
    hidden: tuple[
        str, ...
    ] = ()  # inputs of a case that `call` keeps to itself: fn does not get them

    def __post_init__(self):
        # help(checks.check_attention) and checks.check_attention? show these.
        object.__setattr__(self, "__name__", self.name)
        text = (
            "Try your function: one line when it passes, CheckFailed with a hint when it does not."
        )
        text += f"\n\nWrite {self.name}(my_function). Asked for: {self.signature}"
        text += (
            "\n\nTo try the failing case alone: `except CheckFailed as error:` and then "
            "my_function(*error.inputs.values())."
        )
        object.__setattr__(self, "__doc__", text)

    def __repr__(self) -> str:
        return f"<{self.name}: write {self.name}(my_function) to try your function>"

    def __call__(self, fn: Callable) -> None:
        """Try fn: print one line when it passes.

        Raises CheckFailed, with the mistake's name, when it does not pass, and TypeError when fn
        cannot be called. A function that is not written yet gets a line in a notebook, and
        CheckFailed elsewhere and under nbgrader. Of what fn prints, the first case is shown and
        the one that fails.
        """
        if not callable(fn):
            raise TypeError(
                f"{self.name} takes your function itself, got {type(fn).__name__}: "
                f"write {self.name}(my_function), without brackets behind it"
            )
        with preserved_torch_state():  # a notebook may have made a GPU the default device
            cases = self.draw(seed=0)
            with sign_of_work(self.name, len(cases)) as bar:
                one = lambda case: self.observe_one(fn, case)
                actual, printed = observe_quietly(one, cases, bar)
                verdict = self.judge(cases, actual)
        if verdict.passed:
            passed_here().add(self.name)
            print(verdict.message)
            return
        if verdict.mistake == "not_written" and learner_at_work():
            print(verdict.message)  # "Run All" goes on to what comes behind
            return
        if printed[verdict.failing]:
            print(f"What your function printed in the case that fails:\n{printed[verdict.failing]}")
        # "from None": what the learner's code raised is in the message, with its line.
        with preserved_torch_state():
            inputs = cases[verdict.failing].build()
        raise CheckFailed(verdict.message, self.name, verdict.mistake, inputs) from None

    def draw(self, seed: int) -> list[Case]:
        """The cases for a seed; another seed gives other numbers, and partly other sizes."""
        return self.cases(torch.Generator().manual_seed(seed))

    def observe(self, fn: Callable, cases: list[Case]) -> list[Observation]:
        """What fn gives on each case."""
        return [self.observe_one(fn, case) for case in cases]

    def observe_one(self, fn: Callable, case: Case) -> Observation:
        """What fn gives on one case."""
        return observe(self.record, fn, case, self.call)

    def judge(self, cases: list[Case], actual: list[Observation]) -> Verdict:
        """Compare with the reference, and find the mistake's name."""
        evidence = Evidence(cases, actual, self.observe(self.reference, cases))
        wrong = [i for i in range(len(cases)) if not evidence.right(i)]
        if not wrong:
            return Verdict(True, None, f"{self.name}: passed, {len(cases)} cases")
        known = (*self.mistakes, *ERRORS)
        mistake = next((m for m in known if m.made_in(evidence, self.observe_one)), None)
        mistake = mistake or unlisted(evidence, self.reference, self.observe_one, self.hidden)
        message = self._message(evidence, mistake, wrong)
        return Verdict(False, mistake.name if mistake else None, message, wrong[0])

    def _message(self, evidence: Evidence, mistake: Mistake | None, wrong: list[int]) -> str:
        if mistake and mistake.name == "not_written":
            return f"{self.name}: {mistake.explanation}\n    {mistake.hint}"
        i = wrong[0]
        case = evidence.cases[i]
        actual, expected = evidence.actual[i], evidence.expected[i]
        place = self.place(case, actual, expected) if case.has_values else ""
        explained = mistake is not None and mistake.name in NAMES
        headline, detail = problem(case, actual, expected, place, explained)
        about = f" ({case.about})" if case.about else ""
        verb = "is" if len(wrong) == 1 else "are"
        lines = [
            f"{self.name}: {headline}",
            mistake.explain(evidence) if mistake else "",
            detail,
            f"Tried with {case}{about}; {len(wrong)} of {len(evidence.cases)} cases {verb} wrong.",
            f"Hint: {mistake.hint}" if mistake and mistake.name else f"Asked for: {self.signature}",
        ]
        return "\n    ".join(line for line in lines if line)
