"""Fuzzing what reads bytes from others: frames, control messages, manifests.

    targets      what must hold for any bytes at all; a plain call, which pytest makes for each file of the corpus
    corpus       inputs, by target, that between them reach all that was ever reached; inputs.py finds them
    minimal      what of a corpus is worth keeping
    explore      one target under atheris, a fuzzer that is guided by coverage: an optional extra, `fuzz`

`python -m tests.fuzz` runs all targets for ten minutes together, and keeps in the corpus what reaches anything new.
"""
