"""One process of an extension: started, spoken with, ended."""
