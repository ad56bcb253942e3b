"""Everything that reads what a learner sent, each piece in a limited child (docs/security.md)."""
