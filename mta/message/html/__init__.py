"""HTML as it comes in mail: scanned, never mended; what its reader sees of it; HTML from text, and text from HTML."""
