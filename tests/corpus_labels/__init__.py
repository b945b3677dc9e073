"""Labels that say where the quoted part of the shared corpus' replies begins, and how well the relay finds it."""
