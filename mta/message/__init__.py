"""A message as bytes with spans: bytes in, bytes out, no I/O.

`parse` finds the header fields and the MIME tree as offsets into one buffer; `headers`, `body_text` and `classify` read
them; `edit` turns wishes (set this header, insert this text there, add this picture) into edits: (start, end,
replacement). What no edit covers stays byte-identical.
"""
