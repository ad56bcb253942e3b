"""The command line: `python -m vit_tutorial COMMAND`, with one module for each command."""
