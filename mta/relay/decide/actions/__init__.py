"""What `actions` do: `schema` has the shapes, `compile` makes makers of them, which give recipients their actions.

Most give everyone the same (`makers`); some look at the recipient: addresses, header values, plug-ins.
"""
