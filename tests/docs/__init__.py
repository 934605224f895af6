"""Tests of the documents: what they show is run, what they list is what the code has, their links lead somewhere."""
