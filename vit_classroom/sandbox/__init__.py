"""Run what a learner wrote: without network or other files, in bounded time and memory."""

# Grading refuses to run submissions without isolation unless the teacher types this.
NO_ISOLATION_FLAG = "--without-isolation-i-trust-every-submission"
