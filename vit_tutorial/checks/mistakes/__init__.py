"""The library of known mistakes: each a wrong implementation with a name, a hint, and where it was seen."""
