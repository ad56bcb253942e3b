"""The sandbox in which what a learner wrote runs: no network, no other file, bounded time and memory."""
