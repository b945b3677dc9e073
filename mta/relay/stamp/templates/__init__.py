"""The templates folder: files in; templates, checked and compiled, out.

`files` reads the folder, `settings` and `pictures` what belongs to a template, and `template_set` makes a whole of it;
`check` and `variables` find what is wrong; `html/` prepares the HTML. `sandbox` is where templates are rendered, with
the people's `values`, the `filters/` and the tags of our own (`lines`, `scheduled`, `banners`).
"""
