"""One file for each exercise: signature, right function, cases, known mistakes, and the check."""
