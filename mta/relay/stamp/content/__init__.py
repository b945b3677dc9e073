"""Actions on texts, parts and header fields: each gives changes or edits (`changes`), `stamp.py` joins them."""
