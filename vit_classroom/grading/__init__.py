"""Grade one submission: repair it, run it, judge what came out."""
