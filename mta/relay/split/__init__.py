"""Groups of a Decision in; variants (one copy each, with its recipients) out."""
