"""Ways to tell administrators: by mail, past the queue, and by webhook."""
