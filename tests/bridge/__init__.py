"""The bridge as a front end and its helpers see it: real processes, nothing of it imported."""
