"""The words that all packages share: pure frozen values, no I/O, no imports from the rest of the program."""
