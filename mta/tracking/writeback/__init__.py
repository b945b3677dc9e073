"""Category, link and columns on the copies of filed messages."""
