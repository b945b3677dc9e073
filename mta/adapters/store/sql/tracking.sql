-- Named statements of tracking; as in spool.sql, lists travel as one JSON parameter.

-- --- conversations --------------------------------------------------------------------------------------------------

-- name: conversation_named
SELECT coalesce(merged_into, id) FROM conversation
WHERE organisation = ? AND module = ? AND number = ? AND nonce = ?

-- name: conversation_numbered
SELECT coalesce(merged_into, id) FROM conversation
WHERE organisation = ? AND module = ? AND number = ? ORDER BY id LIMIT 1

-- name: conversation
SELECT organisation, module, number, nonce FROM conversation WHERE id = ?

-- name: add_conversation
INSERT INTO conversation (organisation, module, number, nonce, merged_into, created_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: next_number
INSERT INTO conversation_number (organisation, module, last) VALUES (?, ?, 1)
ON CONFLICT (organisation, module) DO UPDATE SET last = last + 1
RETURNING last

-- name: lift_number
INSERT INTO conversation_number (organisation, module, last) VALUES (?, ?, ?)
ON CONFLICT (organisation, module) DO UPDATE SET last = excluded.last WHERE excluded.last > last

-- name: message_of_conversation
SELECT conversation, is_seen FROM conversation_message WHERE organisation = ? AND message_id = ?

-- What was only named by others goes with the one that says it has it.
-- name: see_message
INSERT INTO conversation_message (organisation, message_id, conversation, is_seen) VALUES (?, ?, ?, 1)
ON CONFLICT (organisation, message_id) DO UPDATE
SET conversation = excluded.conversation, is_seen = 1 WHERE is_seen = 0

-- name: name_messages
INSERT INTO conversation_message (organisation, message_id, conversation, is_seen)
SELECT ?, value, ?, 0 FROM json_each(?) WHERE true
ON CONFLICT (organisation, message_id) DO NOTHING

-- name: conversations_of_messages
SELECT message_id, conversation.organisation, module, number, nonce
FROM json_each(:message_ids)
CROSS JOIN conversation_message ON conversation_message.organisation = :organisation AND message_id = value
CROSS JOIN conversation ON conversation.id = conversation

-- name: add_participants
INSERT INTO participant (conversation, address) SELECT ?, value FROM json_each(?) WHERE true
ON CONFLICT (conversation, address) DO NOTHING

-- name: participants
SELECT address FROM participant WHERE conversation = ?

-- name: merge_conversation
UPDATE conversation SET merged_into = :into WHERE id = :gone OR merged_into = :gone

-- name: merge_messages
UPDATE conversation_message SET conversation = :into WHERE conversation = :gone

-- name: merge_participants
INSERT OR IGNORE INTO participant (conversation, address)
SELECT :into, address FROM participant WHERE conversation = :gone

-- name: merged_participants_gone
DELETE FROM participant WHERE conversation = :gone

-- name: merge_entries
UPDATE tracked_entry SET conversation = :into WHERE conversation = :gone

-- name: merge_mailboxes
UPDATE monitored_mailbox SET trouble = :into WHERE trouble = :gone

-- name: last_note
SELECT coalesce(max(number), 0) FROM note WHERE conversation = ?

-- name: is_record_deleted
SELECT is_deleted FROM record WHERE conversation = ?

-- name: forget_deleted_record
DELETE FROM record WHERE conversation = ? AND is_deleted = 1

-- name: merge_notes
UPDATE note SET conversation = :into, number = number + :ahead WHERE conversation = :gone

-- name: merge_tasks
UPDATE task SET conversation = :into WHERE conversation = :gone

-- name: move_record
UPDATE record
SET conversation = conversation.id, organisation = conversation.organisation, module = conversation.module,
    number = conversation.number, notes = notes + :ahead
FROM conversation WHERE record.conversation = :gone AND conversation.id = :into

-- name: delete_merged_record
UPDATE record SET is_deleted = 1, notes = 0, updated_at = max(updated_at, :at) WHERE conversation = :gone

-- name: add_notes_to_record
UPDATE record
SET notes = notes + :notes, updated_at = max(updated_at, :at), version = version + 1, touched_at = max(touched_at, :at)
WHERE conversation = :into

-- --- entries --------------------------------------------------------------------------------------------------------

-- name: taken_entry
SELECT id, state, reason, direction, conversation FROM tracked_entry WHERE organisation = ? AND key = ?

-- name: replace_entry
DELETE FROM tracked_entry WHERE id = ?

-- name: add_entry
INSERT INTO tracked_entry (organisation, key, mailbox, message_id, content_hash, state, reason, at, sender, direction,
                           conversation)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- `{which}` is put together from the conditions below.
-- name: entries
SELECT entry.id, key, entry.organisation, mailbox, entry.message_id, content_hash, state, reason, entry.at, sender,
       direction, conversation.organisation, module, number, nonce,
       CASE WHEN direction = 'sent' THEN (
           SELECT status FROM tracked_bounce AS bounce
           WHERE bounce.organisation = entry.organisation AND bounce.message_id = entry.message_id
             AND entry.message_id <> '') END
FROM tracked_entry AS entry LEFT JOIN conversation ON conversation.id = entry.conversation
WHERE {which} ORDER BY entry.id DESC LIMIT :limit

-- name: which_entry_organisation
entry.organisation = :organisation

-- name: which_entry_conversation
entry.conversation = :conversation

-- name: which_entry_key
entry.key = :key

-- name: which_entry_states
entry.state IN (SELECT value FROM json_each(:states))

-- name: which_entry_mailboxes
entry.mailbox IN (SELECT value FROM json_each(:mailboxes))

-- name: which_entry_sender
entry.sender LIKE :sender ESCAPE '\'

-- name: which_entry_since
entry.at >= :since

-- Of several with one Message-ID the first that joined: whoever uses it again puts himself in nobody's place.
-- name: which_entry_message_id
entry.id = (
    SELECT id FROM tracked_entry
    WHERE organisation = :organisation AND message_id = :message_id AND message_id <> ''
    ORDER BY state = 'joined' DESC, CASE WHEN state = 'joined' THEN id ELSE -id END LIMIT 1)

-- name: pending_entry
SELECT id, message_id, sender, conversation, at FROM tracked_entry
WHERE organisation = ? AND key = ? AND state = 'pending'

-- name: settle_entry
UPDATE tracked_entry SET state = ?, reason = ? WHERE id = ?

-- Of this message alone: others, who are still held, may have used its Message-ID.
-- name: note_let_in
UPDATE note SET kind = 'received', is_public = 1, author = :sender
WHERE conversation = :conversation AND kind = 'held' AND message_id = :message_id AND at = :at

-- The first one stays: what failed is not less failed for another report.
-- name: add_bounces
INSERT INTO tracked_bounce (organisation, message_id, status, at)
SELECT :organisation, json_extract(value, '$[0]'), json_extract(value, '$[1]'), :at FROM json_each(:bounces) WHERE true
ON CONFLICT (organisation, message_id) DO NOTHING

-- name: count_messages
INSERT INTO counted_message (organisation, address, minute, messages)
SELECT :organisation, value, :minute, 1 FROM json_each(:addresses) WHERE true
ON CONFLICT (organisation, address, minute) DO UPDATE SET messages = messages + 1

-- What a clock that was wrong has counted for times to come doesn't count.
-- name: counted_since
SELECT coalesce(sum(messages), 0) FROM counted_message
WHERE organisation = ? AND address = ? AND minute > ? AND minute <= ?

-- --- answers that came before what they answer ------------------------------------------------------------------------

-- What came since it was looked for makes it due at once. Rows between the oldest and the newest are more than there
-- are: so they stay few, whatever strangers send.
-- name: hold_answer
INSERT OR IGNORE INTO held_answer (organisation, key, mailbox, is_ours, at, file, data, is_due)
SELECT :organisation, :key, :mailbox, :is_ours, :at, :file, :data, EXISTS (
    SELECT 1 FROM json_each(:message_ids)
    CROSS JOIN conversation_message
    ON conversation_message.organisation = :organisation AND message_id = value AND (:is_ours OR is_seen))
WHERE coalesce((SELECT max(id) FROM held_answer) - (SELECT min(id) FROM held_answer) + 1, 0) < :most

-- name: await_messages
INSERT OR IGNORE INTO awaited_message (answer, organisation, message_id)
SELECT ?, ?, value FROM json_each(?)

-- name: answer_due
SELECT key, mailbox, file, data FROM held_answer WHERE organisation = ? AND is_due = 1 ORDER BY id LIMIT 1

-- name: let_answer_go
DELETE FROM held_answer WHERE organisation = ? AND key = ? RETURNING file

-- name: forget_answers
DELETE FROM held_answer WHERE id IN (SELECT id FROM held_answer WHERE at < ? ORDER BY at LIMIT ?) RETURNING file

-- --- records --------------------------------------------------------------------------------------------------------

-- One that was deleted is made anew, with the notes that it has.
-- name: create_record
INSERT INTO record (conversation, organisation, module, number, state, title, requester, owner, source, created_at,
                    updated_at, closed_at, fields, notes, is_deleted, version, touched_at)
SELECT id, organisation, module, number, :state, :title, :requester, :owner, :source, :at,
       :at, CASE WHEN :state = 'closed' THEN :at END, :fields,
       (SELECT count(*) FROM note WHERE note.conversation = :conversation), 0, 1, :at
FROM conversation WHERE id = :conversation
ON CONFLICT (conversation) DO UPDATE
SET state = excluded.state, title = excluded.title, requester = excluded.requester, owner = excluded.owner,
    source = excluded.source, created_at = excluded.created_at, updated_at = excluded.updated_at,
    closed_at = excluded.closed_at, fields = excluded.fields, is_deleted = 0, version = version + 1,
    touched_at = excluded.touched_at
WHERE is_deleted = 1

-- name: update_record
UPDATE record
SET state = coalesce(:state, state), title = coalesce(:title, title), owner = coalesce(:owner, owner),
    requester = coalesce(:requester, requester), fields = json_patch(fields, :fields),
    closed_at = CASE WHEN :state IS NULL THEN closed_at WHEN :state = 'closed' THEN coalesce(closed_at, :at) END,
    updated_at = max(updated_at, :at)
WHERE conversation = :conversation AND is_deleted = 0

-- name: delete_record
UPDATE record SET is_deleted = 1, updated_at = max(updated_at, :at) WHERE conversation = :conversation

-- name: touch_record
UPDATE record SET version = version + 1, touched_at = max(touched_at, :at) WHERE conversation = :conversation

-- name: add_note
INSERT INTO note (conversation, number, author, author_name, kind, text, at, message_id, is_public)
VALUES (:conversation, (SELECT coalesce(max(number), 0) + 1 FROM note WHERE conversation = :conversation), :author,
        :author_name, :kind, :text, :at, :message_id, :is_public)

-- name: note_added
UPDATE record SET notes = notes + 1, updated_at = max(updated_at, :at) WHERE conversation = :conversation

-- name: note_rule
INSERT INTO record_rule (conversation, rule, version) SELECT conversation, :rule, version FROM record
WHERE conversation = :conversation
ON CONFLICT (conversation, rule) DO UPDATE SET version = excluded.version

-- name: record
SELECT {record} FROM record JOIN conversation ON conversation.id = record.conversation
WHERE record.conversation = :conversation

-- name: record_columns
record.id, record.organisation, record.module, record.number, conversation.nonce, state, title, requester, owner,
source, record.created_at, updated_at, closed_at, fields, notes, is_deleted

-- name: records
SELECT {record} FROM record JOIN conversation ON conversation.id = record.conversation
WHERE record.id > :after AND {which} ORDER BY record.id LIMIT :limit

-- name: records_newest_first
SELECT {record} FROM record JOIN conversation ON conversation.id = record.conversation
WHERE (:after = 0 OR record.id < :after) AND {which} ORDER BY record.id DESC LIMIT :limit

-- name: count_records
SELECT organisation, module, state, count(*) FROM record WHERE {which} GROUP BY organisation, module, state

-- By the index that has the times: what is not old enough is not looked at.
-- name: overdue_by_age
SELECT {record} FROM record INDEXED BY record_state JOIN conversation ON conversation.id = record.conversation
WHERE {overdue} AND record.created_at <= :created_before
  AND (:unchanged_since IS NULL OR touched_at <= :unchanged_since)
ORDER BY record.created_at LIMIT :limit

-- name: overdue_by_rest
SELECT {record} FROM record INDEXED BY record_touched JOIN conversation ON conversation.id = record.conversation
WHERE {overdue} AND touched_at <= :unchanged_since ORDER BY touched_at LIMIT :limit

-- name: overdue
is_deleted = 0 AND record.organisation = :organisation AND record.module = :module
AND state IN (SELECT value FROM json_each(:states))
AND NOT EXISTS (SELECT 1 FROM record_rule AS done
                WHERE done.conversation = record.conversation AND rule = :rule AND done.version = record.version)

-- name: which_record_organisation
record.organisation LIKE :organisation ESCAPE '\'

-- name: which_record_module
record.module LIKE :module ESCAPE '\'

-- name: which_record_number
record.number = :number

-- name: which_record_state
record.state LIKE :state ESCAPE '\'

-- name: which_record_requester
record.requester LIKE :requester ESCAPE '\'

-- By the index, which LIKE can't use.
-- name: which_record_requester_is
record.requester = :requester_is COLLATE NOCASE

-- name: which_record_owner
record.owner LIKE :owner ESCAPE '\'

-- name: which_record_source
record.source LIKE :source ESCAPE '\'

-- name: which_record_title
record.title LIKE :title ESCAPE '\'

-- name: which_record_created_before
record.created_at <= :created_before

-- name: which_record_unchanged_since
record.updated_at <= :unchanged_since

-- name: which_record_not_deleted
record.is_deleted = 0

-- name: which_record_deleted
record.is_deleted = 1

-- name: notes
SELECT id, conversation, number, author, author_name, kind, text, at, message_id, is_public FROM note
WHERE conversation IN (SELECT value FROM json_each(:conversations)) ORDER BY conversation, number

-- name: attachments
SELECT attachment.note, name, content_type, size, sha256
FROM note JOIN attachment ON attachment.note = note.id JOIN octets ON octets.id = octets
WHERE conversation IN (SELECT value FROM json_each(:conversations)) ORDER BY attachment.id

-- name: records_to_purge
SELECT record.id, conversation FROM record WHERE record.id > :after AND {which} ORDER BY record.id LIMIT :limit

-- name: files_of_notes
SELECT DISTINCT file FROM note JOIN attachment ON attachment.note = note.id JOIN octets ON octets.id = octets
WHERE conversation IN (SELECT value FROM json_each(?)) AND file IS NOT NULL

-- name: purge_notes
DELETE FROM note WHERE conversation IN (SELECT value FROM json_each(?))

-- name: purge_rules
DELETE FROM record_rule WHERE conversation IN (SELECT value FROM json_each(?))

-- name: purge_records
DELETE FROM record WHERE conversation IN (SELECT value FROM json_each(?))

-- --- octets ---------------------------------------------------------------------------------------------------------

-- name: octets_of
SELECT id, file FROM octets WHERE sha256 = ?

-- name: add_octets
INSERT INTO octets (sha256, size, file, data) VALUES (?, ?, ?, ?)

-- name: replace_octets
UPDATE octets SET file = ?, data = ? WHERE id = ?

-- name: read_octets
SELECT file, data FROM octets WHERE sha256 = ?

-- name: add_attachment
INSERT INTO attachment (note, name, content_type, octets) VALUES (?, ?, ?, ?)

-- --- tasks ----------------------------------------------------------------------------------------------------------

-- name: task_exists
SELECT 1 FROM task WHERE key = ?

-- name: add_task
INSERT INTO task (key, kind, organisation, target, state, created_at, begun_at, due_at, recipients, conversation, octets)
VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?)

-- Only the first of its line may be due. After tasks came to life again or changed lines:
-- name: align_tasks
UPDATE task SET is_first = NOT EXISTS (
    SELECT 1 FROM task AS ahead
    WHERE ahead.conversation = task.conversation AND ahead.kind = task.kind AND ahead.organisation = task.organisation
      AND ahead.target = task.target AND ahead.due_at IS NOT NULL AND ahead.number < task.number)
WHERE due_at IS NOT NULL AND (
    number IN (SELECT value FROM json_each(:numbers))
    OR conversation IN (SELECT value FROM json_each(:conversations)))

-- A loose index scan, as that for next hops. In three steps, for SQLite compares rows by their first column only.
-- name: due_targets
WITH RECURSIVE line (kind, organisation, target) AS (
    SELECT * FROM (SELECT kind, organisation, target FROM task WHERE is_first = 1
                   ORDER BY kind, organisation, target LIMIT 1)
    UNION ALL
    SELECT following.kind, following.organisation, following.target FROM line JOIN task AS following
    ON following.number = coalesce(
        (SELECT number FROM task
         WHERE is_first = 1 AND kind = line.kind AND organisation = line.organisation AND target > line.target
         ORDER BY target LIMIT 1),
        (SELECT number FROM task WHERE is_first = 1 AND kind = line.kind AND organisation > line.organisation
         ORDER BY organisation, target LIMIT 1),
        (SELECT number FROM task WHERE is_first = 1 AND kind > line.kind ORDER BY kind, organisation, target LIMIT 1))
)
SELECT kind, organisation, target, (
    SELECT min(due_at) FROM task
    WHERE is_first = 1 AND task.kind = line.kind AND task.organisation = line.organisation
      AND task.target = line.target) AS first
FROM line WHERE first <= ? ORDER BY first

-- name: due_tasks
SELECT due_at, number FROM task
WHERE is_first = 1 AND kind = :kind AND organisation = :organisation AND target = :target AND due_at <= :now
  AND number NOT IN (SELECT value FROM json_each(:busy))
ORDER BY due_at LIMIT :limit

-- name: task_columns
task.number, key, kind, task.organisation, target, state, task.created_at, begun_at, due_at, attempts, reason, detail,
recipients, conversation.organisation, conversation.module, conversation.number, conversation.nonce

-- name: load_tasks
SELECT {task}, sha256, file, data FROM task
LEFT JOIN conversation ON conversation.id = task.conversation LEFT JOIN octets ON octets.id = task.octets
WHERE task.number IN (SELECT value FROM json_each(?))

-- name: tasks
SELECT {task} FROM task LEFT JOIN conversation ON conversation.id = task.conversation
WHERE {which} ORDER BY task.number DESC LIMIT :limit

-- name: which_task_number
task.number = :number

-- name: which_task_kind
task.kind = :kind

-- name: which_task_organisation
task.organisation LIKE :organisation ESCAPE '\'

-- name: which_task_target
task.target LIKE :target ESCAPE '\'

-- name: which_task_state
task.state = :state

-- name: which_task_module
task.conversation IN (SELECT id FROM conversation WHERE module LIKE :module ESCAPE '\')

-- name: which_task_record
task.conversation IN (SELECT coalesce(merged_into, id) FROM conversation WHERE number = :record)

-- name: which_task_reason
task.reason LIKE :reason ESCAPE '\'

-- name: count_tasks
SELECT kind, task.organisation, target, state, count(*) FROM task WHERE {which}
GROUP BY kind, task.organisation, target, state

-- Mailboxes are many: those that are written back to are one target.
-- name: look_at_tasks
SELECT kind, organisation, CASE WHEN kind = 'write-back' THEN '' ELSE target END AS place, sum(state = 'dead'),
    sum(state = 'waiting'), min(CASE WHEN state = 'waiting' THEN begun_at END)
FROM task WHERE state = 'dead' OR (state = 'waiting' AND begun_at < :late_since)
GROUP BY kind, organisation, place ORDER BY kind, organisation, place LIMIT :limit

-- name: tasks_to_drop
SELECT task.number FROM task WHERE task.number > :after AND state <> 'done' AND {which}
ORDER BY task.number LIMIT :limit

-- name: drop_tasks
UPDATE task
SET state = 'done', reason = :reason, detail = '', due_at = NULL, ended_at = :now, octets = NULL
WHERE number IN (SELECT value FROM json_each(:numbers))

-- name: files_of_tasks
SELECT DISTINCT file FROM task JOIN octets ON octets.id = task.octets
WHERE number IN (SELECT value FROM json_each(?)) AND file IS NOT NULL

-- name: settle_task
UPDATE task
SET state = :state, reason = :reason, detail = :detail, due_at = :due_at, ended_at = :ended_at,
    attempts = attempts + 1, octets = CASE WHEN :state <> 'done' THEN octets END
WHERE number = :number AND state = 'waiting'

-- name: tasks_to_replay
SELECT task.number FROM task WHERE task.number > :after AND state = :replayed AND {which}
ORDER BY task.number LIMIT :limit

-- name: replay_tasks
UPDATE task
SET attempts = CASE WHEN state = 'dead' THEN 0 ELSE attempts END,
    begun_at = CASE WHEN state = 'dead' THEN :now ELSE begun_at END,
    reason = CASE WHEN state = 'dead' THEN '' ELSE reason END,
    detail = CASE WHEN state = 'dead' THEN '' ELSE detail END,
    state = 'waiting', due_at = :now, ended_at = NULL
WHERE number IN (SELECT value FROM json_each(:numbers))

-- --- what is forgotten ----------------------------------------------------------------------------------------------

-- name: tasks_to_forget
SELECT number FROM task WHERE ended_at < ? ORDER BY ended_at LIMIT ?

-- name: forget_tasks
DELETE FROM task WHERE number IN (SELECT value FROM json_each(?))

-- name: forget_entries
DELETE FROM tracked_entry WHERE id IN (
    SELECT id FROM tracked_entry WHERE conversation IS NULL AND at < ? ORDER BY at LIMIT ?)

-- name: forget_counts
DELETE FROM counted_message WHERE id IN (SELECT id FROM counted_message WHERE minute < ? ORDER BY minute LIMIT ?)

-- Those that an entry shows stay with it.
-- name: forget_bounces
DELETE FROM tracked_bounce WHERE id IN (
    SELECT id FROM tracked_bounce AS bounce WHERE at < ? AND NOT EXISTS (
        SELECT 1 FROM tracked_entry AS entry
        WHERE entry.organisation = bounce.organisation AND entry.message_id = bounce.message_id
          AND entry.message_id <> '')
    ORDER BY at LIMIT ?)

-- name: forget_runs
DELETE FROM tracking_run WHERE id IN (SELECT id FROM tracking_run WHERE is_once = 1 AND at < ? LIMIT ?)

-- name: forget_attempts
DELETE FROM message_attempt WHERE id IN (SELECT id FROM message_attempt WHERE at < ? LIMIT ?)

-- --- mailboxes and runs ---------------------------------------------------------------------------------------------

-- name: monitored_mailboxes
SELECT name, paused_at, paused_by, failures, conversation.organisation, module, number, nonce, polled_at, answered_at,
       reason, detail, taken, set_aside, resume_at
FROM monitored_mailbox LEFT JOIN conversation ON conversation.id = trouble

-- name: note_monitored_mailbox
INSERT INTO monitored_mailbox (name, failures, trouble, polled_at, answered_at, reason, detail, taken, set_aside,
                               resume_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE
SET failures = excluded.failures, trouble = excluded.trouble, polled_at = excluded.polled_at,
    answered_at = excluded.answered_at, reason = excluded.reason, detail = excluded.detail, taken = excluded.taken,
    set_aside = excluded.set_aside, resume_at = excluded.resume_at

-- name: pause_mailbox
INSERT INTO monitored_mailbox (name, paused_at, paused_by) VALUES (:name, :at, :by_whom)
ON CONFLICT (name) DO UPDATE SET paused_at = :at, paused_by = :by_whom WHERE paused_at IS NULL

-- name: resume_mailbox
UPDATE monitored_mailbox SET paused_at = NULL, paused_by = '', resume_at = NULL
WHERE name = ? AND (paused_at IS NOT NULL OR resume_at IS NOT NULL)

-- name: begin_message
INSERT INTO message_attempt (mailbox, ref, attempts, at) VALUES (:mailbox, :ref, 1, :at)
ON CONFLICT (mailbox, ref) DO UPDATE SET attempts = attempts + 1, at = :at
RETURNING attempts

-- name: end_message
DELETE FROM message_attempt WHERE mailbox = ? AND ref = ?

-- name: last_run
SELECT at FROM tracking_run WHERE name = ?

-- name: note_run
INSERT INTO tracking_run (name, at, is_once) VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE SET at = excluded.at

-- name: run_once
INSERT INTO tracking_run (name, at, is_once) VALUES (?, ?, 1) ON CONFLICT (name) DO NOTHING

-- name: lines_of_tasks
SELECT DISTINCT conversation FROM task
WHERE conversation IS NOT NULL AND number IN (SELECT value FROM json_each(?))
