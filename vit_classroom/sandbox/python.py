"""The work of kind "test": Python code, a string as `repr` writes it, which tests of the sandbox
send and `isolation.probe`. It finds its connection as `channel`."""

import ast


def prepare(config: bytes) -> None:
    """Nothing is needed."""


def handle(state, job: bytes, channel) -> None:
    exec(compile(ast.literal_eval(job.decode()), "<test>", "exec"), {"channel": channel})
