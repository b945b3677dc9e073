"""What `when` and `unless` ask: `schema` has the shapes, `compile` makes conditions of them, the others test.

A condition (`condition`) gives the mask of the recipients for whom it holds, from the facts of the message.
"""
