"""What templates may send values through: `registry` lists the filters, the other modules are what they do."""
