"""What `pip install .` gives: a wheel of this tree, in virtual environments of their own."""
