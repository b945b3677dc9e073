"""Rules: message, sender and recipients in; a Decision (equal action lists grouped) out."""
