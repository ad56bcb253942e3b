"""JupyterLab as `python -m vit_tutorial start` runs it, for tests in a browser."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a test needs of Lab; the rest is as a learner has it.
CONFIG = """
c.ServerApp.open_browser = False
c.ServerApp.port = 0
c.LabApp.expose_app_in_browser = True
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
"""


@contextmanager
def lab(place: Path, *words: str, command: tuple[str, ...] = ()) -> Iterator[dict]:
    """Run `start WORDS`, or `command`, with empty settings below `place`: what the running server
    says of itself, {"url", "token", "root_dir", ...}. It is stopped at the end."""
    config, runtime = place / "config", place / "runtime"
    for folder in (config, runtime):
        folder.mkdir(parents=True)
    (config / "jupyter_lab_config.py").write_text(CONFIG, encoding="utf-8")
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(place / "share"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(place / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(place / "workspaces"),
        "PYTHONPATH": str(ROOT),
    }
    arguments = command or (sys.executable, "-m", "vit_tutorial", "start", *words)
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield wait_for_server(runtime, process, place / "log.txt")
        finally:
            for sign in (signal.SIGTERM, signal.SIGKILL):  # of its own session: kernels as well
                if process.poll() is None:
                    os.killpg(process.pid, sign)
                    try:
                        process.wait(timeout=20)
                    except subprocess.TimeoutExpired:
                        continue


def wait_for_server(runtime: Path, process: subprocess.Popen, log: Path, seconds: int = 90) -> dict:
    """The facts of the server that has written itself into `runtime`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for file in runtime.glob("jpserver-*.json"):
            try:
                facts = json.loads(file.read_text(encoding="utf-8"))
            except json.JSONDecodeError:  # half written
                continue
            if facts.get("port"):
                return facts
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def open_notebook(page, server: dict, name: str) -> None:
    """Open the notebook `name`, a path below the server's root, and wait for its kernel.

    Lab first shows the notebook that was open last, so the name counts.
    """
    page.goto(f"{server['url']}lab/tree/{name}?token={server['token']}")
    page.wait_for_function(
        """name => {
            const shown = window.jupyterapp?.shell?.currentWidget;
            return shown?.context?.path === name && shown.context.isReady
                && shown.sessionContext.session?.kernel?.status === 'idle';
        }""",
        arg=name,
        timeout=120_000,
    )


def clear(page) -> None:
    """Empty every code cell of the open notebook of its stored outputs and number, so that those
    that are there later come from a run."""
    page.evaluate(
        """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
            .filter(cell => cell.type === 'code').forEach(cell => cell.clearExecution())"""
    )


def cells(page) -> list[dict]:
    """Every cell of the open notebook: {"type", "count", "errors", "pictures"}; Lab draws only
    those in view, so its model is asked."""
    return page.evaluate(
        """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells).map(cell => {
            const outputs = cell.type === 'code' ? cell.sharedModel.toJSON().outputs : [];
            return {
                type: cell.type,
                count: cell.type === 'code' ? cell.executionCount : null,
                errors: outputs.filter(o => o.output_type === 'error').map(o => o.evalue),
                pictures: outputs.filter(o => o.data && o.data['image/png']).length,
            };
        })"""
    )


def wait_until_run(page, seconds: int) -> None:
    """Wait until every code cell has run, in the order of the notebook."""
    page.wait_for_function(
        """() => {
            const cells = Array.from(jupyterapp.shell.currentWidget.content.model.cells);
            const code = cells.filter(cell => cell.type === 'code');
            return code.every((cell, at) => cell.executionCount === at + 1)
                && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle';
        }""",
        timeout=1000 * seconds,
    )
