-- Whether the sender has been told that the delivery is late: once for each.
ALTER TABLE delivery ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
