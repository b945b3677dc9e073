"""DKIM: the finished bytes of a variant in; one DKIM-Signature field out."""
