-- Jobs that mark the copies of a filed message in a mailbox stand among those for Sent Items.

ALTER TABLE sent_job ADD COLUMN mark TEXT;  -- JSON, see mta.model.writeback.FiledMark; NULL: a job for Sent Items
