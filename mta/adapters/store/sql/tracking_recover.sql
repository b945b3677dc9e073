-- Named statements that bring back what tracking kept; `old` is what was read, `place` where conversations are now.

-- name: conversation_row
SELECT id, coalesce(merged_into, id) FROM conversation WHERE organisation = ? AND module = ? AND number = ? AND nonce = ?

-- name: bring_conversation_message
INSERT INTO conversation_message (organisation, message_id, conversation, is_seen)
SELECT organisation, message_id, new, is_seen FROM old.conversation_message AS lost
JOIN temp.place ON place.id = lost.conversation WHERE lost.id >= :first AND lost.id < :end
ON CONFLICT (organisation, message_id) DO UPDATE SET conversation = excluded.conversation, is_seen = 1
WHERE is_seen = 0 AND excluded.is_seen = 1

-- name: bring_participant
INSERT OR IGNORE INTO participant (conversation, address)
SELECT new, address FROM old.participant AS lost JOIN temp.place ON place.id = lost.conversation
WHERE lost.id >= :first AND lost.id < :end

-- name: bring_tracked_entry
INSERT OR IGNORE INTO tracked_entry (organisation, key, mailbox, message_id, content_hash, state, reason, at,
                                     sender, direction, conversation)
SELECT organisation, key, mailbox, message_id, content_hash, state, reason, at, sender, direction, new
FROM old.tracked_entry AS lost LEFT JOIN temp.place ON place.id = lost.conversation
WHERE lost.id >= :first AND lost.id < :end ORDER BY lost.id

-- name: bring_tracked_bounce
INSERT OR IGNORE INTO tracked_bounce (organisation, message_id, status, at)
SELECT organisation, message_id, status, at FROM old.tracked_bounce AS lost
WHERE lost.id >= :first AND lost.id < :end

-- name: bring_counted_message
INSERT OR IGNORE INTO counted_message (organisation, address, minute, messages)
SELECT organisation, address, minute, messages FROM old.counted_message AS lost
WHERE lost.id >= :first AND lost.id < :end

-- name: bring_record_rule
INSERT OR IGNORE INTO record_rule (conversation, rule, version)
SELECT new, rule, version FROM old.record_rule AS lost JOIN temp.place ON place.id = lost.conversation
WHERE lost.id >= :first AND lost.id < :end

-- name: bring_monitored_mailbox
INSERT INTO monitored_mailbox (name, paused_at, paused_by, failures, trouble, polled_at, answered_at, reason,
                               detail, taken, set_aside, resume_at)
SELECT name, paused_at, paused_by, failures, new, polled_at, answered_at, reason, detail, taken, set_aside,
       resume_at
FROM old.monitored_mailbox AS lost LEFT JOIN temp.place ON place.id = lost.trouble
WHERE lost.id >= :first AND lost.id < :end
ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by
WHERE paused_at IS NULL AND excluded.paused_at IS NOT NULL

-- name: bring_tracking_run
INSERT OR IGNORE INTO tracking_run (name, at, is_once)
SELECT name, at, is_once FROM old.tracking_run AS lost WHERE lost.id >= :first AND lost.id < :end

-- Where a record was made anew meanwhile, the lost one tells what it is about, and the new one how it stands.
-- name: bring_record
INSERT INTO record (conversation, organisation, module, number, state, title, requester, owner, source, created_at,
                    updated_at, closed_at, fields, notes, is_deleted, version, touched_at)
SELECT conversation.id, conversation.organisation, conversation.module, conversation.number, state, title,
       requester, owner, source, lost.created_at, updated_at, closed_at, fields, 0, is_deleted, version, touched_at
FROM old.record AS lost, conversation WHERE lost.id = :old AND conversation.id = :place
ON CONFLICT (conversation) DO UPDATE
SET title = excluded.title, requester = excluded.requester, source = excluded.source,
    owner = CASE WHEN owner = '' THEN excluded.owner ELSE owner END,
    created_at = min(created_at, excluded.created_at), fields = json_patch(excluded.fields, fields)
WHERE created_at > excluded.created_at

-- One that an earlier run has brought back; each stands for one only, for somebody may have said a thing twice.
-- name: same_note
SELECT id FROM note
WHERE conversation = ? AND author = ? AND author_name = ? AND kind = ? AND text = ? AND at = ? AND message_id = ?
  AND is_public = ? AND id NOT IN (SELECT id FROM temp.matched)
ORDER BY id LIMIT 1

-- name: add_numbered_note
INSERT INTO note (conversation, number, author, author_name, kind, text, at, message_id, is_public)
VALUES (:conversation, :number, :author, :author_name, :kind, :text, :at, :message_id, :is_public)

-- name: count_notes
UPDATE record SET notes = (SELECT count(*) FROM note WHERE note.conversation = ?) WHERE conversation = ?

-- name: bring_task
INSERT INTO task (mark, key, kind, organisation, target, state, created_at, begun_at, due_at, ended_at, attempts,
                  reason, detail, recipients, conversation, octets)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
