"""Pure rules and words: no I/O, standard library only."""
