-- Named statements. A list of values travels as one JSON parameter, so that a batch of any size is one statement.

-- name: highest_ids
SELECT coalesce((SELECT max(id) FROM message), 0), coalesce((SELECT max(id) FROM delivery), 0)

-- name: insert_messages
INSERT INTO message (id, queue_id, accepted_at, size, reverse_path, message_id, snapshot, trace, envelope, decision, file)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_bodies
INSERT INTO body (message, data) VALUES (?, ?)

-- name: insert_deliveries
INSERT INTO delivery (id, message, next_hop, state, due_at, attempts, lease_owner) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: insert_recipients
INSERT INTO recipient (delivery, position, address, variant, last_reply) VALUES (?, ?, ?, ?, ?)

-- name: forget_expired_keys
DELETE FROM once_key WHERE key IN (SELECT value FROM json_each(?)) AND expires_at <= ?

-- name: claim_keys
INSERT INTO once_key (key, expires_at) SELECT value, ? FROM json_each(?) WHERE true ON CONFLICT DO NOTHING RETURNING key

-- name: sweep_keys
DELETE FROM once_key WHERE key IN (SELECT key FROM once_key WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)

-- name: leased_deliveries
SELECT wanted.key, delivery.id, delivery.message
FROM json_each(?) AS wanted
CROSS JOIN message ON message.queue_id = json_extract(wanted.value, '$[0]')
CROSS JOIN delivery ON delivery.message = message.id
WHERE delivery.next_hop = json_extract(wanted.value, '$[1]') AND delivery.lease_owner = ?

-- name: open_recipients
SELECT delivery, position, variant FROM recipient WHERE delivery IN (SELECT value FROM json_each(?))

-- name: delete_recipient
DELETE FROM recipient WHERE delivery = ? AND position = ?

-- name: set_last_reply
UPDATE recipient SET last_reply = ? WHERE delivery = ? AND position = ?

-- name: defer_delivery
UPDATE delivery SET lease_owner = NULL, due_at = ?, attempts = attempts + 1 WHERE id = ?

-- name: insert_variant
INSERT INTO variant (message, variant, edits) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- name: delete_recipients
DELETE FROM recipient WHERE delivery IN (SELECT value FROM json_each(?))

-- name: delete_deliveries
DELETE FROM delivery WHERE id IN (SELECT value FROM json_each(?))

-- name: finished_messages
SELECT id, file FROM message
WHERE id IN (SELECT value FROM json_each(?))
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id)

-- name: delete_bodies
DELETE FROM body WHERE message IN (SELECT value FROM json_each(?))

-- name: delete_variants
DELETE FROM variant WHERE message IN (SELECT value FROM json_each(?))

-- name: delete_messages
DELETE FROM message WHERE id IN (SELECT value FROM json_each(?))

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
SELECT id, message, next_hop, due_at FROM delivery AS due
WHERE due_at IS NOT NULL AND next_hop = :next_hop AND due_at <= :now
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS other
      WHERE other.message = due.message AND other.next_hop = due.next_hop AND other.id <> due.id
        AND other.lease_owner IS NOT NULL AND other.due_at > :now)
ORDER BY due_at LIMIT :limit

-- name: lease_deliveries
UPDATE delivery AS due SET lease_owner = :owner, due_at = :until
WHERE id IN (SELECT value FROM json_each(:ids)) AND due_at <= :now
  AND NOT EXISTS (
      SELECT 1 FROM delivery AS other
      WHERE other.message = due.message AND other.next_hop = due.next_hop AND other.id <> due.id
        AND other.lease_owner IS NOT NULL AND other.due_at > :now)
RETURNING id

-- name: give_back_ids
UPDATE delivery SET lease_owner = NULL, due_at = ?
WHERE lease_owner = ? AND id IN (SELECT value FROM json_each(?))

-- name: hold_undecodable
UPDATE delivery SET lease_owner = NULL, due_at = NULL, state = 'held' WHERE id = ?

-- name: load_deliveries
SELECT delivery.id, delivery.message, delivery.next_hop, delivery.attempts,
       queue_id, accepted_at, size, message_id, snapshot, trace, envelope, decision, file, reverse_path, data
FROM delivery JOIN message ON message.id = delivery.message LEFT JOIN body ON body.message = message.id
WHERE delivery.id IN (SELECT value FROM json_each(?))

-- name: load_recipients
SELECT delivery.message, delivery.id, position, address, variant, next_hop, state, last_reply
FROM delivery JOIN recipient ON recipient.delivery = delivery.id
WHERE delivery.message IN (SELECT value FROM json_each(?)) ORDER BY position

-- name: load_variants
SELECT message, variant, edits FROM variant WHERE message IN (SELECT value FROM json_each(?)) ORDER BY variant

-- name: deliveries_of
SELECT delivery.id FROM message JOIN delivery ON delivery.message = message.id WHERE queue_id = ? ORDER BY delivery.id

-- name: read_body
SELECT size, file, data FROM message LEFT JOIN body ON body.message = message.id WHERE queue_id = ?

-- name: named_files
SELECT file FROM message WHERE file IN (SELECT value FROM json_each(?))

-- `{which}` is put together from the conditions below.
-- name: matching_deliveries
SELECT delivery.id, delivery.message FROM delivery JOIN message ON message.id = delivery.message
WHERE (delivery.lease_owner IS NULL OR delivery.due_at <= :now) AND delivery.id > :above AND {which}
ORDER BY delivery.id LIMIT :limit

-- name: matching_messages
SELECT id, queue_id, accepted_at, size, reverse_path, message_id FROM message
WHERE EXISTS (SELECT 1 FROM delivery WHERE delivery.message = message.id AND {which})
ORDER BY id LIMIT :limit

-- name: which_queue_id
message.queue_id = :queue_id

-- name: which_sender
message.reverse_path LIKE :sender ESCAPE '\'

-- name: which_recipient
EXISTS (SELECT 1 FROM recipient WHERE recipient.delivery = delivery.id AND address LIKE :recipient ESCAPE '\')

-- name: which_next_hop
delivery.next_hop = :next_hop

-- name: which_state
delivery.state = :state

-- name: which_accepted_before
message.accepted_at <= :accepted_before

-- name: delivery_states
SELECT message, attempts, due_at, lease_owner IS NOT NULL AND due_at > ? FROM delivery
WHERE message IN (SELECT value FROM json_each(?))

-- name: recipients_matching
SELECT position FROM recipient WHERE delivery = ? AND address LIKE ? ESCAPE '\'

-- name: count_recipients
SELECT count(*) FROM recipient WHERE delivery = ?

-- name: split_delivery
INSERT INTO delivery (id, message, next_hop, state, due_at, attempts, lease_owner)
SELECT (SELECT max(id) + 1 FROM delivery), message, next_hop, state, due_at, attempts, NULL FROM delivery WHERE id = ?
RETURNING id

-- name: move_recipient
UPDATE recipient SET delivery = ? WHERE delivery = ? AND position = ?

-- name: change_delivery
UPDATE delivery SET state = ?, due_at = ?, lease_owner = NULL WHERE id = ?
