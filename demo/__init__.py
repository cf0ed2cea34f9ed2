"""`make demo`: the whole story on real machines, told step by step."""
