-- Named statements that find a person and take him out. What is gone through is read in pages: rows after the last one.

-- --- the queue ------------------------------------------------------------------------------------------------------

-- name: erasure_messages
SELECT id, queue_id, reverse_path, envelope, decision, data, file,
       (SELECT json_group_array(json(recipients)) FROM delivery WHERE delivery.message = message.id)
FROM message JOIN content ON content.message = message.id
WHERE id > :after AND EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id) ORDER BY id LIMIT :limit

-- --- jobs in mailboxes ----------------------------------------------------------------------------------------------

-- name: erasure_jobs
SELECT number FROM sent_job WHERE number > :after ORDER BY number LIMIT :limit

-- name: erasure_job
SELECT number, id, mailbox, state, mark, detail, lease_owner IS NOT NULL AND due_at > :now, message_id
FROM sent_job WHERE number = :number

-- What its copies consist of, as far as it needs them.
-- name: erasure_copies
SELECT reverse_path, envelope, decision, data, file
FROM sent_copy JOIN message ON message.id = sent_copy.message JOIN content ON content.message = message.id
WHERE job = :number

-- name: erasure_strike_job
UPDATE sent_job SET detail = ? WHERE number = ?

-- name: erasure_sent_mailboxes
SELECT mailbox, primary_name, EXISTS (SELECT 1 FROM sent_job WHERE sent_job.mailbox = sent_mailbox.mailbox)
FROM sent_mailbox WHERE mailbox > :after ORDER BY mailbox LIMIT :limit

-- name: erasure_forget_primary
UPDATE sent_mailbox SET primary_name = '' WHERE mailbox IN (SELECT value FROM json_each(?))

-- --- conversations --------------------------------------------------------------------------------------------------

-- Which of them name him is judged row by row, by the columns of each table that can.
-- name: erasure_in_participant
SELECT id, conversation, address FROM participant WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_in_tracked_entry
SELECT id, conversation, sender, message_id FROM tracked_entry WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_in_record
SELECT id, conversation, requester, owner, title, fields, source FROM record WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_in_note
SELECT id, conversation, author, author_name, text, message_id FROM note WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_in_attachment
SELECT attachment.id, conversation, name, content_type FROM attachment JOIN note ON note.id = note
WHERE attachment.id > :after ORDER BY attachment.id LIMIT :limit

-- name: erasure_in_conversation_message
SELECT id, conversation, message_id FROM conversation_message WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_entries
SELECT id, sender, state, message_id FROM tracked_entry WHERE conversation = ?

-- name: erasure_notes
SELECT id, author, author_name, kind, text, message_id FROM note WHERE conversation = ? ORDER BY number

-- name: erasure_attachments
SELECT attachment.id, note, name, content_type, octets.file
FROM note JOIN attachment ON attachment.note = note.id JOIN octets ON octets.id = octets
WHERE conversation = ? ORDER BY attachment.id

-- What somebody may have sent about him.
-- name: erasure_contents
SELECT attachment.id, octets.id, octets.file, octets.data, conversation.module, conversation.number
FROM attachment JOIN octets ON octets.id = octets JOIN note ON note.id = note
JOIN conversation ON conversation.id = note.conversation
WHERE attachment.id > :after ORDER BY attachment.id LIMIT :limit

-- name: erasure_record
SELECT requester, owner, title, fields, source FROM record WHERE conversation = ?

-- name: erasure_participants
SELECT id, address FROM participant WHERE conversation = ?

-- name: erasure_message_ids
SELECT id, message_id FROM conversation_message WHERE conversation = ?

-- name: erasure_forget_participant
DELETE FROM participant WHERE id = ?

-- name: erasure_forget_message_id
DELETE FROM conversation_message WHERE id = ?

-- name: erasure_change_entry
UPDATE tracked_entry SET sender = ?, state = ?, reason = coalesce(?, reason) WHERE id = ?

-- name: erasure_change_sender
UPDATE tracked_entry SET sender = '' WHERE id = ?

-- A Message-ID that holds his address: the message is another one from now on.
-- name: erasure_rename_entry
UPDATE tracked_entry SET message_id = '', key = ? WHERE id = ?

-- name: erasure_change_note
UPDATE note SET author = ?, author_name = ?, text = ?, message_id = ? WHERE id = ?

-- name: erasure_forget_note
DELETE FROM note WHERE id = ?

-- name: erasure_forget_attachment
DELETE FROM attachment WHERE id = ?

-- name: erasure_change_attachment
UPDATE attachment SET name = ?, content_type = ? WHERE id = ?

-- name: erasure_change_record
UPDATE record SET requester = ?, owner = ?, title = ?, fields = ?, source = ? WHERE conversation = ?

-- name: erasure_count_notes
UPDATE record SET notes = (SELECT count(*) FROM note WHERE note.conversation = :conversation)
WHERE conversation = :conversation

-- --- what else tracking keeps ---------------------------------------------------------------------------------------

-- name: erasure_loose_entries
SELECT id, sender, message_id FROM tracked_entry WHERE conversation IS NULL AND id > :after ORDER BY id LIMIT :limit

-- Answers whole, which wait for what they answer.
-- name: erasure_answers
SELECT id, key, file, data,
       (SELECT sender FROM tracked_entry AS entry
        WHERE entry.organisation = held_answer.organisation AND entry.key = held_answer.key)
FROM held_answer WHERE id > :after ORDER BY id LIMIT :limit

-- Another one may have got its number meanwhile.
-- name: erasure_forget_answer
DELETE FROM held_answer WHERE id = ? AND key = ?

-- name: erasure_bounces
SELECT id, message_id, status FROM tracked_bounce WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_forget_bounce
DELETE FROM tracked_bounce WHERE id = ?

-- name: erasure_tasks
SELECT number FROM task WHERE number > :after ORDER BY number LIMIT :limit

-- name: erasure_task
SELECT number, kind, target, state, key, reason, detail, recipients, conversation, octets.file, octets.data
FROM task LEFT JOIN octets ON octets.id = octets WHERE number = :number

-- name: erasure_end_task
UPDATE task SET due_at = NULL WHERE number = ?

-- name: erasure_counts
SELECT id, address FROM counted_message WHERE id > :after ORDER BY id LIMIT :limit

-- name: erasure_forget_count
DELETE FROM counted_message WHERE id = ?

-- --- what servers and administrators said ---------------------------------------------------------------------------

-- name: erasure_said_monitored_mailbox
SELECT id, detail FROM monitored_mailbox

-- name: erasure_strike_monitored_mailbox
UPDATE monitored_mailbox SET detail = ? WHERE id = ? AND detail = ?

-- name: erasure_said_sent_endpoint
SELECT name, detail FROM sent_endpoint

-- name: erasure_strike_sent_endpoint
UPDATE sent_endpoint SET detail = ? WHERE name = ? AND detail = ?

-- name: erasure_said_frozen
SELECT next_hop, reason FROM frozen

-- name: erasure_strike_frozen
UPDATE frozen SET reason = ? WHERE next_hop = ? AND reason = ?

-- name: erasure_said_draining
SELECT id, reason FROM draining

-- name: erasure_strike_draining
UPDATE draining SET reason = ? WHERE id = ? AND reason = ?
