-- Named statements of the Sent Items jobs; as in spool.sql, lists travel as one JSON parameter.

-- A job for a message's copies is made once; what comes later joins it.
-- name: make_jobs
INSERT INTO sent_job (id, mailbox, organisation, message_id, date, is_id_ours, state, created_at, due_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), 'waiting',
       json_extract(value, '$[6]'), json_extract(value, '$[7]')
FROM json_each(?) WHERE true
ON CONFLICT (id) DO NOTHING

-- A mark that is another one now is put on once more; a leased job's is put on when its attempt is over.
-- name: make_marks
INSERT INTO sent_job (id, mailbox, organisation, message_id, is_id_ours, state, created_at, due_at, mark)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), 0, 'waiting', json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]')
FROM json_each(?) WHERE true
ON CONFLICT (id) DO UPDATE
SET mark = excluded.mark, state = 'waiting', ended_at = NULL, attempts = 0, reason = '', detail = '',
    created_at = excluded.created_at,
    due_at = CASE WHEN lease_owner IS NULL THEN excluded.due_at ELSE due_at END
WHERE mark IS NOT excluded.mark

-- A copy's later recipients join it, and need its bytes again only where they make it one that went outside. A program
-- that gives all its mail one Message-ID and Date must not make a job that fills the memory: `copies_max`.
-- name: add_copies
INSERT INTO sent_copy (job, queue_id, variant, message, sent_at, external, recipients)
SELECT number, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       CASE WHEN state <> 'skipped' THEN json_extract(value, '$[3]') END,
       json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]')
FROM json_each(:copies) CROSS JOIN sent_job ON sent_job.id = json_extract(value, '$[0]')
WHERE (SELECT count(*) FROM sent_copy WHERE job = number) < :copies_max
ON CONFLICT (job, queue_id, variant) DO UPDATE
SET recipients = recipients + excluded.recipients,
    external = max(external, excluded.external),
    message = coalesce(message, CASE WHEN excluded.external > external THEN excluded.message END)

-- A job that was done has work again with a copy that came later; [id, due at] of each.
-- name: reopen_jobs
UPDATE sent_job
SET state = 'waiting', ended_at = NULL, attempts = 0, reason = '', detail = '',
    due_at = (SELECT json_extract(value, '$[1]') FROM json_each(:jobs) WHERE json_extract(value, '$[0]') = sent_job.id)
WHERE sent_job.id IN (SELECT json_extract(value, '$[0]') FROM json_each(:jobs)) AND state = 'done'
  AND EXISTS (SELECT 1 FROM sent_copy WHERE job = number AND message IS NOT NULL)

-- A loose index scan, as that for next hops: endpoints of mailboxes with jobs, and when the first of each is due.
-- name: due_endpoints
WITH RECURSIVE endpoint (name) AS (
    SELECT min(endpoint) FROM sent_mailbox WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(endpoint) FROM sent_mailbox WHERE due_at IS NOT NULL AND endpoint > endpoint.name)
    FROM endpoint WHERE endpoint.name IS NOT NULL
)
SELECT name, (SELECT min(due_at) FROM sent_mailbox WHERE due_at IS NOT NULL AND sent_mailbox.endpoint = name) AS first
FROM endpoint WHERE name IS NOT NULL ORDER BY first

-- One job of each mailbox there whose turn it is, in the order of their turns; none of one that has a job in work. Where
-- a mailbox is now, counts for all its jobs; where nobody knows that, it is where the job was tried last.
-- name: due_jobs
SELECT due_at, number FROM (
    SELECT due_at, (
        SELECT number FROM sent_job AS job
        WHERE job.mailbox = mailbox.mailbox AND job.due_at IS NOT NULL AND job.due_at <= :now
          AND (:endpoint <> '' OR job.endpoint NOT IN (SELECT value FROM json_each(:left_alone)))
        ORDER BY job.due_at LIMIT 1) AS number
    FROM sent_mailbox AS mailbox
    WHERE due_at IS NOT NULL AND endpoint = :endpoint AND due_at <= :now
      AND mailbox NOT IN (SELECT value FROM json_each(:busy))
      AND NOT EXISTS (
          SELECT 1 FROM sent_job AS leased
          WHERE leased.mailbox = mailbox.mailbox AND leased.lease_owner IS NOT NULL AND leased.due_at > :now)
    ORDER BY due_at)
WHERE number IS NOT NULL LIMIT :limit

-- Whose lease ran out was in work when its process died or hung: `interrupted`, see mta.sentitems.reasons.
-- name: lease_jobs
UPDATE sent_job
SET attempts = CASE WHEN lease_owner IS NULL THEN attempts ELSE 0 END,
    reason = CASE WHEN lease_owner IS NULL THEN reason ELSE 'interrupted' END,
    detail = CASE WHEN lease_owner IS NULL THEN detail ELSE '' END,
    lease_owner = :owner, due_at = :until
WHERE number IN (SELECT value FROM json_each(:which)) AND state = 'waiting' AND due_at <= :now
RETURNING number

-- name: load_jobs
SELECT number, id, mailbox, organisation, message_id, date, is_id_ours, state, created_at, due_at, attempts, reason,
       detail, endpoint, placed, lease_owner IS NOT NULL, mark
FROM sent_job WHERE number IN (SELECT value FROM json_each(?))

-- name: load_copies
SELECT job, queue_id, variant, sent_at, external, recipients, message FROM sent_copy
WHERE job IN (SELECT value FROM json_each(?)) ORDER BY job, sent_at, queue_id, variant

-- name: load_copy_bodies
SELECT id, size, file, data FROM message JOIN content ON content.message = id
WHERE id IN (SELECT value FROM json_each(?))

-- name: load_copy_edits
SELECT message, variant, edits, is_changed FROM variant
WHERE (message, variant) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))

-- name: leased_jobs
SELECT number, attempts, reason, mark, id FROM sent_job
WHERE id IN (SELECT value FROM json_each(?)) AND lease_owner = ?

-- name: copies_of
SELECT job, queue_id, variant, external FROM sent_copy WHERE job IN (SELECT value FROM json_each(?))

-- name: settle_job
UPDATE sent_job
SET state = :state, due_at = :due_at, ended_at = :ended_at, attempts = :attempts, reason = :reason, detail = :detail,
    endpoint = CASE WHEN :endpoint <> '' THEN :endpoint ELSE endpoint END,
    placed = CASE WHEN :placed <> '' THEN :placed ELSE placed END, lease_owner = NULL
WHERE number = :number

-- name: give_back_job
UPDATE sent_job SET lease_owner = NULL, due_at = ? WHERE id = ? AND lease_owner = ?

-- name: renew_jobs
UPDATE sent_job SET due_at = ? WHERE lease_owner = ?

-- name: interrupt_job
UPDATE sent_job SET attempts = 0, reason = 'interrupted', detail = '', due_at = ? WHERE number = ?

-- name: release_jobs
UPDATE sent_job
SET attempts = 0, reason = 'interrupted', detail = '', lease_owner = NULL, due_at = ?
WHERE lease_owner IS NOT NULL AND lease_owner <> ?

-- name: files_of_jobs
SELECT DISTINCT file FROM sent_copy JOIN message ON message.id = sent_copy.message
WHERE job IN (SELECT value FROM json_each(?)) AND file IS NOT NULL

-- name: jobs_to_forget
SELECT number, mailbox FROM sent_job WHERE ended_at < ? ORDER BY ended_at LIMIT ?

-- name: forget_jobs
DELETE FROM sent_job WHERE number IN (SELECT value FROM json_each(?))

-- What is remembered of a mailbox goes with its last job.
-- name: forget_mailboxes
DELETE FROM sent_mailbox
WHERE mailbox IN (SELECT value FROM json_each(?))
  AND NOT EXISTS (SELECT 1 FROM sent_job WHERE sent_job.mailbox = sent_mailbox.mailbox)

-- name: mailbox_notes
SELECT mailbox, primary_name, endpoint, resolved_at, missing, seldom_until, absent_until, denied_since, resume_at
FROM sent_mailbox
WHERE mailbox IN (SELECT value FROM json_each(?))

-- name: mailbox_at
SELECT primary_name FROM sent_mailbox
WHERE endpoint = ? AND primary_name <> '' AND denied_since IS NULL AND absent_until IS NULL
ORDER BY resolved_at DESC LIMIT 1

-- name: note_mailbox
INSERT INTO sent_mailbox (
    mailbox, primary_name, endpoint, resolved_at, missing, seldom_until, absent_until, denied_since, resume_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (mailbox) DO UPDATE
SET primary_name = excluded.primary_name, endpoint = excluded.endpoint, resolved_at = excluded.resolved_at,
    missing = excluded.missing, seldom_until = excluded.seldom_until, absent_until = excluded.absent_until,
    denied_since = excluded.denied_since, resume_at = excluded.resume_at

-- name: copy_to_come
SELECT 1 FROM sent_job
WHERE mailbox IN (SELECT value FROM json_each(?)) AND due_at IS NOT NULL AND mark IS NULL AND message_id = ? LIMIT 1

-- name: endpoint_notes
SELECT name, resume_at, is_stopped, reason, detail, failures, connections, settings FROM sent_endpoint

-- name: note_endpoint
INSERT OR REPLACE INTO sent_endpoint (name, resume_at, is_stopped, reason, detail, failures, connections, settings)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: switch
SELECT position FROM sent_switch

-- name: switch_on
DELETE FROM sent_switch

-- name: switch_to
INSERT INTO sent_switch (id, position, since, by_whom) VALUES (1, :position, :since, :by_whom)
ON CONFLICT (id) DO UPDATE SET position = :position, since = :since, by_whom = :by_whom WHERE position <> :position

-- What waits for the sender, or for the mailbox's own sake, is none of those who wait too long.
-- name: late_jobs
SELECT count(*), min(created_at) FROM sent_job
WHERE state = 'waiting' AND created_at <= ? AND reason NOT IN ('not-found', 'quota', 'mailbox-unavailable')

-- name: denied_mailboxes
SELECT mailbox, primary_name, endpoint, resolved_at, missing, seldom_until, absent_until, denied_since, resume_at
FROM sent_mailbox WHERE denied_since IS NOT NULL ORDER BY denied_since, mailbox LIMIT ?

-- name: count_denied
SELECT count(*) FROM sent_mailbox WHERE denied_since IS NOT NULL

-- name: switched_since
SELECT since FROM sent_switch

-- `{which}` is put together from the conditions below.
-- name: matching_jobs
SELECT number FROM sent_job WHERE {which} ORDER BY number LIMIT :limit

-- name: count_jobs
SELECT state, reason, count(*) FROM sent_job WHERE {which} GROUP BY state, reason

-- name: jobs_to_retry
SELECT number FROM sent_job
WHERE number > :after AND (state = 'given-up' OR (state = 'waiting' AND lease_owner IS NULL)) AND {which}
ORDER BY number LIMIT :limit

-- name: retry_jobs
UPDATE sent_job
SET attempts = CASE WHEN state = 'given-up' THEN 0 ELSE attempts END,
    reason = CASE WHEN state = 'given-up' THEN '' ELSE reason END,
    detail = CASE WHEN state = 'given-up' THEN '' ELSE detail END,
    state = 'waiting', ended_at = NULL, due_at = ?
WHERE number IN (SELECT value FROM json_each(?))

-- name: jobs_to_skip
SELECT number FROM sent_job
WHERE number > :after AND state = 'waiting' AND (lease_owner IS NULL OR due_at <= :now) AND {which}
ORDER BY number LIMIT :limit

-- name: skip_jobs
UPDATE sent_job
SET state = 'skipped', reason = ?, detail = '', due_at = NULL, ended_at = ?, lease_owner = NULL
WHERE number IN (SELECT value FROM json_each(?))

-- The digits of an id end with f.
-- name: which_job_id
sent_job.id >= :id AND sent_job.id < :id || 'g'

-- name: which_job_mailbox
sent_job.mailbox LIKE :mailbox ESCAPE '\'

-- name: which_job_message_id
sent_job.message_id LIKE :message_id ESCAPE '\'

-- name: which_job_queue_id
number IN (SELECT job FROM sent_copy WHERE queue_id = :queue_id)

-- name: which_job_endpoint
sent_job.endpoint LIKE :endpoint ESCAPE '\'

-- name: which_job_organisation
sent_job.organisation LIKE :organisation ESCAPE '\'

-- name: which_job_state
sent_job.state = :state

-- name: which_job_reason
sent_job.reason LIKE :reason ESCAPE '\'

-- name: which_job_kind
CASE WHEN sent_job.mark IS NULL THEN 'copy' ELSE 'mark' END = :kind

-- name: which_job_made_before
sent_job.created_at <= :made_before

-- name: which_job_made_after
sent_job.created_at > :made_after
