"""Lines that stand in the way of a right answer, in honest submissions; and faults that a learner
must be told of. For the tests and for benchmarks/classroom.py."""

# Above a right answer these cost nothing, and need no note.
FREE = {
    "inline": "%matplotlib inline\n!pip install -q einops\n!nvidia-smi\n",
    "time": "%%time\n",
    "capture": "%%capture\n",
    "measured": "import time\n%timeit time.sleep(1.5)\nt = %timeit -o time.sleep(1.5)\n",
    "skipped": "%matplotlib widget\n%load_ext tensorboard\n%nosuch\nexit()\n",
}
# These stop the cell, so the answer is cut out and tried alone. With what the note says.
CUT = {
    "drive": ("from google.colab import drive\ndrive.mount('/x')\n", "line 1: from google.colab"),
    "cuda": ("import torch\ny = torch.zeros(3).to('cuda')\n", "NVIDIA driver"),
    "chdir": ("import os\nos.chdir('/content')\n", "line 2: os.chdir('/content')"),
    "files": ("files = !ls\nprint(files[0])\n", "IndexError"),
    "ends": ("import os\nos._exit(0)\n", "ended the run"),
}


def last_return(text: str, new: str) -> str:
    """The text with `new` for the last "    return "."""
    head, _, tail = text.rpartition("    return ")
    return f"{head}{new}{tail}"


# {name: (what a learner does to an answer, what the message says)}
TOLD = {
    "non-breaking space": (
        lambda text: last_return(text, "\u00a0\u00a0\u00a0 return "),
        "not valid Python, so nothing in it ran. The fault is in line",
    ),
    "open bracket": (lambda text: last_return(text, "    return ("), "not valid Python"),
    "another name": (lambda text: text.replace("def my_", "def mine_", 1), "Your cell defines"),
    "a typing error above": (lambda text: "y = undefind + 1\nz = 2", "line 1: y = undefind + 1"),
    "no function": (lambda text: "x = 3", "Your cell ran, and defines no function"),
}
