"""Where a stamp goes: a decoded body in; its top, its bottom and the place under its newest reply out.

`place_plain` and `place_html` know top and bottom, `place_plain` and `html_reply` the end of the reply. `separators`
lists what mail programs write before quoted text; `quote_marks` compiles it together with `own_separators`, and
`quote_lines` tests single lines by it.
"""
