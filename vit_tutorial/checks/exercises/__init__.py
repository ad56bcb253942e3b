"""One file for each exercise; general.py and inputs.py hold what several of them share.

A file reads from top to bottom: the right function and the cases it is tried on, what the mistakes
need, the known mistakes, and at the end the check with the signature. A comment above `buggy` says
how the mistake is usually written, or where it comes from.
"""
