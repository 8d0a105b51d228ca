"""Factors of change found without labels, how they are scored, and what they are compared with."""
