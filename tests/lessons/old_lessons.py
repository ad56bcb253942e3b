"""Lessons that do not hold every rule yet, by name. A lesson that does must leave its list: a test
fails until it has. An empty list stays empty."""

# Longer than one sitting, or with an older header.
NOT_REWRITTEN: tuple[str, ...] = ()
# Core lessons that do not draw the architecture, so that they have no card.
NO_CARD: tuple[str, ...] = ()
# The solution of one exercise passes the check of another.
SOLUTIONS_PASS_ELSEWHERE: tuple[str, ...] = ()
