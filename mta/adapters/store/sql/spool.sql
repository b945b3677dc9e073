-- Named statements. A list of values travels as one JSON parameter, and a list of rows comes back as one JSON value, so
-- that a batch of any size is one step (see statements.py). A delivery is named by [message, part].

-- name: highest_id
SELECT coalesce(max(id), 0) FROM message

-- name: insert_messages
INSERT INTO message (id, queue_id, accepted_at, size, reverse_path, message_id, file)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: insert_contents
INSERT INTO content (message, snapshot, trace, envelope, decision, data)
VALUES (?, ?, ?, ?, ?, ?)

-- name: insert_deliveries
INSERT INTO delivery (message, part, next_hop, state, due_at, attempts, lease_owner, recipients)
VALUES (?, ?, ?, ?, ?, 0, ?, ?)

-- name: held_claims
SELECT json_group_array(json_array(key, number)) FROM claim
WHERE key IN (SELECT value FROM json_each(?)) AND expires_at > ?

-- name: take_claims
INSERT OR REPLACE INTO claim (key, number, expires_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)

-- name: sweep_claims
DELETE FROM claim WHERE (key, number) IN (
    SELECT key, number FROM claim WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)

-- name: leased_deliveries
SELECT json_group_array(json_array(wanted.key, delivery.message, part, file, json(recipients)))
FROM json_each(?) AS wanted
CROSS JOIN message ON message.queue_id = json_extract(wanted.value, '$[0]')
CROSS JOIN delivery ON delivery.message = message.id
WHERE next_hop = json_extract(wanted.value, '$[1]') AND lease_owner = ?

-- name: delete_deliveries
DELETE FROM delivery
WHERE (message, part) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))

-- name: defer_delivery
UPDATE delivery SET lease_owner = NULL, due_at = ?, attempts = attempts + 1, recipients = ?, warned = max(warned, ?)
WHERE message = ? AND part = ?

-- name: insert_variants
INSERT OR IGNORE INTO variant (message, variant, edits, is_changed)
VALUES (?, ?, ?, ?)

-- name: named_files
SELECT json_group_array(file) FROM (
    SELECT file FROM message WHERE file IN (SELECT value FROM json_each(?1))
    UNION ALL SELECT file FROM octets WHERE file IN (SELECT value FROM json_each(?1))
    UNION ALL SELECT file FROM held_answer WHERE file IN (SELECT value FROM json_each(?1)))

-- name: give_back
UPDATE delivery SET lease_owner = NULL, due_at = :due_at
WHERE lease_owner = :owner AND (next_hop = :next_hop OR :next_hop IS NULL)
  AND message = (SELECT id FROM message WHERE queue_id = :queue_id)

-- name: renew
UPDATE delivery SET due_at = ? WHERE lease_owner = ?

-- name: release_leases_of
UPDATE delivery SET lease_owner = NULL, due_at = :now
WHERE lease_owner <> :owner
  AND substr(lease_owner, 1, instr(lease_owner, ':') - 1) IN (SELECT value FROM json_each(:slots))

-- A loose index scan: one seek for each next hop, however many deliveries wait for it.
-- name: due_next_hops
WITH RECURSIVE hop (name) AS (
    SELECT min(next_hop) FROM delivery WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(next_hop) FROM delivery WHERE due_at IS NOT NULL AND next_hop > hop.name)
    FROM hop WHERE hop.name IS NOT NULL
)
SELECT name, (SELECT min(due_at) FROM delivery WHERE due_at IS NOT NULL AND next_hop = hop.name) AS first
FROM hop WHERE name IS NOT NULL AND first <= ? ORDER BY first

-- A delivery waits while another of the same message for the same next hop is leased.
-- name: due_deliveries
SELECT message, part, due_at FROM delivery AS due
WHERE due_at IS NOT NULL AND next_hop = :next_hop AND due_at <= :now
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS other
      WHERE other.message = due.message AND other.part <> due.part AND other.next_hop = due.next_hop
        AND other.lease_owner IS NOT NULL AND other.due_at > :now)
ORDER BY due_at LIMIT :limit

-- In the order of the index, so that it ends early where many are overdue; where none is, 100,000 cost 0.3 s.
-- name: overdue_deliveries
SELECT delivery.message, part FROM delivery JOIN message ON message.id = delivery.message
WHERE next_hop = :next_hop AND state = 'queued' AND due_at <= :now
  AND (accepted_at <= :expired OR (warned = 0 AND accepted_at <= :late))
ORDER BY due_at LIMIT :limit

-- Where more is due than is taken: the oldest and the latest, so that one sender's many don't hide all others.
-- name: due_by_sender
SELECT delivery.message, part, due_at, coalesce(reverse_path, '') FROM (
    SELECT * FROM (
        SELECT message, part, due_at FROM delivery
        WHERE due_at IS NOT NULL AND next_hop = :next_hop AND due_at <= :now ORDER BY due_at LIMIT :oldest)
    UNION
    SELECT * FROM (
        SELECT message, part, due_at FROM delivery
        WHERE due_at IS NOT NULL AND next_hop = :next_hop AND due_at <= :now ORDER BY due_at DESC LIMIT :latest)
) AS delivery
LEFT JOIN message ON message.id = delivery.message
WHERE NOT EXISTS (
    SELECT 1 FROM delivery AS other
    WHERE other.message = delivery.message AND other.part <> delivery.part AND other.next_hop = :next_hop
      AND other.lease_owner IS NOT NULL AND other.due_at > :now)
ORDER BY due_at

-- name: lease_deliveries
UPDATE delivery AS due SET lease_owner = :owner, due_at = :until
WHERE (message, part) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:which))
  AND due_at <= :now
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS other
      WHERE other.message = due.message AND other.part <> due.part AND other.next_hop = due.next_hop
        AND other.lease_owner IS NOT NULL AND other.due_at > :now)
RETURNING message, part

-- name: hold_undecodable
UPDATE delivery SET lease_owner = NULL, due_at = NULL, state = 'held' WHERE message = ? AND part = ?

-- name: load_deliveries
SELECT message, part, next_hop, state, attempts, recipients, warned FROM delivery
WHERE message IN (SELECT value FROM json_each(?)) ORDER BY message, part

-- name: load_messages
SELECT id, queue_id, accepted_at, size, message_id, snapshot, trace, envelope, decision, file, reverse_path, data
FROM message JOIN content ON content.message = message.id WHERE id IN (SELECT value FROM json_each(?))

-- name: load_variants
SELECT message, variant, edits, is_changed FROM variant WHERE message IN (SELECT value FROM json_each(?)) ORDER BY variant

-- name: message_of
SELECT id FROM message WHERE queue_id = ?

-- name: read_body
SELECT size, file, data FROM message JOIN content ON content.message = message.id
WHERE queue_id = ? AND EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id)

-- `{which}` is put together from the conditions below; `{recipients}` is the whole column, or `meant_recipients`.
-- name: matching_deliveries
SELECT delivery.message, part, {recipients}, file, queue_id, next_hop, recipients
FROM delivery JOIN message ON message.id = delivery.message
WHERE (lease_owner IS NULL OR due_at <= :now) AND (delivery.message, part) > (:message, :part) AND {which}
ORDER BY delivery.message, part LIMIT :limit

-- name: matching_messages
SELECT id, queue_id, accepted_at, size, reverse_path, message_id FROM message
WHERE EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id AND {which})
ORDER BY id LIMIT :limit

-- name: count_matching
SELECT count(*), coalesce(sum(deliveries), 0), coalesce(sum(recipients), 0), coalesce(sum(size), 0),
       coalesce(sum(leased), 0)
FROM (
    SELECT size, count(*) AS deliveries, sum(json_array_length({recipients})) AS recipients,
           sum(lease_owner IS NOT NULL AND due_at > :now) AS leased
    FROM message JOIN delivery ON delivery.message = message.id WHERE {which} GROUP BY message.id)

-- name: survey_matching
SELECT delivery.message, accepted_at, size, reverse_path, next_hop, state,
       lease_owner IS NOT NULL AND due_at > :now, {recipients}
FROM delivery JOIN message ON message.id = delivery.message WHERE {which} ORDER BY delivery.message, part

-- name: late_in_all
SELECT count(DISTINCT message), min(accepted_at) FROM delivery JOIN message ON message.id = delivery.message
WHERE state = 'queued' AND accepted_at <= :late

-- name: late_by_next_hop
SELECT next_hop, count(*) FROM delivery JOIN message ON message.id = delivery.message
WHERE state = 'queued' AND accepted_at <= :late GROUP BY next_hop ORDER BY 2 DESC, 1 LIMIT :limit

-- Those of a delivery's recipients that a filter names.
-- name: meant_recipients
(SELECT json_group_array(json(value)) FROM json_each(delivery.recipients)
 WHERE (:recipient IS NULL OR json_extract(value, '$[1]') LIKE :recipient ESCAPE '\')
   AND (:reply IS NULL OR json_extract(value, '$[3]') LIKE :reply ESCAPE '\'))

-- name: which_queue_id
message.queue_id = :queue_id

-- name: which_sender
message.reverse_path LIKE :sender ESCAPE '\'

-- name: which_message_id
message.message_id LIKE :message_id ESCAPE '\'

-- name: which_recipients
EXISTS (SELECT 1 FROM json_each(delivery.recipients)
    WHERE (:recipient IS NULL OR json_extract(value, '$[1]') LIKE :recipient ESCAPE '\')
      AND (:reply IS NULL OR json_extract(value, '$[3]') LIKE :reply ESCAPE '\'))

-- What a rule sends there over verified TLS only, and what goes to one domain's MX, is behind the same name
-- (mta.model.delivery: VERIFIED_TLS, OF_DOMAIN; '0' follows '/').
-- name: which_next_hop
(delivery.next_hop IN (:next_hop, :next_hop || '+tls')
 OR (delivery.next_hop > :next_hop || '/' AND delivery.next_hop < :next_hop || '0'))

-- name: which_state
delivery.state = :state

-- name: which_accepted_before
message.accepted_at <= :accepted_before

-- name: which_accepted_after
message.accepted_at > :accepted_after

-- name: which_larger_than
message.size > :larger_than

-- name: which_smaller_than
message.size < :smaller_than

-- name: which_no_sibling_leased
NOT EXISTS (
    SELECT 1 FROM delivery AS other
    WHERE other.message = delivery.message AND other.part <> delivery.part AND other.next_hop = delivery.next_hop
      AND other.lease_owner IS NOT NULL AND other.due_at > :now)

-- name: entry_deliveries
SELECT message, next_hop, state, attempts, due_at, CASE WHEN due_at > ? THEN lease_owner END, recipients FROM delivery
WHERE message IN (SELECT value FROM json_each(?)) ORDER BY message, part

-- name: set_recipients
UPDATE delivery SET recipients = ? WHERE message = ? AND part = ?

-- name: split_delivery
INSERT INTO delivery (message, part, next_hop, state, due_at, attempts, lease_owner, recipients, warned)
SELECT message, (SELECT max(part) + 1 FROM delivery AS other WHERE other.message = whole.message),
       next_hop, state, due_at, attempts, NULL, ?, warned
FROM delivery AS whole WHERE message = ? AND part = ?
RETURNING part

-- name: change_delivery
UPDATE delivery SET state = ?, due_at = ?, lease_owner = NULL WHERE message = ? AND part = ?

-- name: reroute_delivery
UPDATE delivery SET next_hop = :next_hop, attempts = 0, lease_owner = NULL,
                    due_at = CASE WHEN state = 'held' THEN due_at ELSE :now END
WHERE message = :message AND part = :part

-- name: take_delivery
UPDATE delivery SET lease_owner = :owner, due_at = :until
WHERE message = :message AND part = :part
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS other
      WHERE other.message = delivery.message AND other.part <> delivery.part AND other.next_hop = delivery.next_hop
        AND other.lease_owner IS NOT NULL AND other.due_at > :now)

-- name: freeze
INSERT INTO frozen (next_hop, since, by_whom, reason) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: thaw
DELETE FROM frozen WHERE next_hop = ?

-- name: frozen
SELECT next_hop, since, by_whom, reason FROM frozen ORDER BY next_hop

-- name: drain
INSERT INTO draining (id, since, by_whom, reason) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: undrain
DELETE FROM draining

-- name: draining
SELECT since, by_whom, reason FROM draining
