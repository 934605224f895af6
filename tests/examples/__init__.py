"""Tests of the helpers in examples/, each behind a real bridge with the manifest that comes with it."""
