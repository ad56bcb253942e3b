"""The command line: `python -m vit_tutorial COMMAND`. One module for each command; they parse and call."""
