-- Damage to the database of a campaign, each with the promise that the checker must then find broken.

-- A: an acknowledged event is gone
DELETE FROM billing_events WHERE id = (SELECT event_id FROM campaign_effects WHERE nr = (SELECT min(nr) FROM campaign_effects WHERE resource_id = 'order-1'));

-- A: an event was never handled
DELETE FROM campaign_effects WHERE nr = (SELECT min(nr) FROM campaign_effects WHERE resource_id = 'order-1');

-- A: a handler gave up
INSERT INTO event_handler_failures (tenant_id, handler, shard, epoch, xid, seq, event_id, ordering_key, state,
    error, next_attempt_at, created_at)
SELECT tenant_id, 'x', shard, epoch, xid, seq, id, ordering_key, 'dead_letter', '', now(), now()
FROM billing_events LIMIT 1;

-- B: an event took effect twice
INSERT INTO campaign_effects (tenant_id, event_id, resource_id, version)
SELECT tenant_id, event_id, resource_id, version FROM campaign_effects WHERE nr = (SELECT min(nr) FROM campaign_effects WHERE resource_id = 'order-1');

-- B: an event was logged twice
INSERT INTO billing_events (shard, id, subject, tenant_id, resource_id, resource_version, ordering_key,
    payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at)
SELECT shard, id, subject, tenant_id, resource_id, resource_version, ordering_key,
    payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at
FROM billing_events LIMIT 1;

-- B: a delivery was made twice
INSERT INTO webhook_deliveries (tenant_id, id, webhook_id, event_id, subject, state, next_attempt_at, created_at)
SELECT tenant_id, id || 'x', webhook_id || 'x', event_id, subject, state, next_attempt_at, created_at
FROM webhook_deliveries LIMIT 1;

-- B: a money fact was posted twice
ALTER TABLE ledger_journals DROP CONSTRAINT ledger_journals_once;
INSERT INTO ledger_journals (tenant_id, id, source_type, source_id, customer_id, posted_at, created_at)
SELECT tenant_id, id || 'x', source_type, source_id, customer_id, posted_at, created_at
FROM ledger_journals LIMIT 1;

-- C: two events of one key changed places
UPDATE campaign_effects e SET event_id = o.event_id
FROM campaign_effects o,
    (SELECT array_agg(nr ORDER BY nr) AS nr FROM campaign_effects WHERE resource_id = 'order-2') two
WHERE (e.nr, o.nr) IN ((two.nr[2], two.nr[3]), (two.nr[3], two.nr[2]));

-- D: an entry's amount is wrong
UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE position = 1;

-- D: an invoice was not posted
DELETE FROM ledger_entries WHERE journal_id = (SELECT min(journal_id) FROM ledger_entries);

-- E: a period was billed twice
INSERT INTO invoices (tenant_id, id, customer_id, subscription_id, cycle_id, state, currency, total_minor,
    amount_due_minor, period_start, period_end, created_at)
SELECT tenant_id, id || 'x', customer_id, subscription_id, cycle_id || 'x', 'draft', currency, total_minor,
    amount_due_minor, period_start, period_end, created_at FROM invoices LIMIT 1;

-- F: an event was handled as another tenant's
UPDATE campaign_effects SET tenant_id = 'ten_other' WHERE nr = (SELECT min(nr) FROM campaign_effects WHERE resource_id = 'order-1');

-- G: an audit entry is another one
UPDATE audit_entries SET actor = 'nobody' WHERE id = (SELECT min(id) FROM audit_entries);

-- G: an audit entry is gone, with its seal and all after it
WITH cut AS (SELECT tenant_id, max(position) AS position FROM audit_seals GROUP BY tenant_id LIMIT 1)
DELETE FROM audit_seals s USING cut WHERE s.tenant_id = cut.tenant_id AND s.position = cut.position;
DELETE FROM audit_entries e
WHERE NOT EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = e.tenant_id AND s.audit_id = e.id);

-- G: a change was audited twice
INSERT INTO audit_entries (tenant_id, id, occurred_at, actor, action, request_id, correlation_id, trace_id, ip,
    user_agent, reason)
SELECT tenant_id, id || 'x', now(), actor, action, request_id, correlation_id, trace_id, ip, user_agent, reason
FROM audit_entries LIMIT 1;

-- G: an audit entry is not sealed
DELETE FROM audit_seals WHERE audit_id = (SELECT max(audit_id) FROM audit_seals);

-- H: an event waits for the dispatcher
UPDATE outbox_shards SET epoch = 0, xid = 0, seq = 0;

-- H: an event waits for a handler
UPDATE event_watermarks SET epoch = 0 WHERE handler = 'campaign.witness';

-- H: a handler still fails
INSERT INTO event_handler_failures (tenant_id, handler, shard, epoch, xid, seq, event_id, ordering_key, state,
    error, next_attempt_at, created_at)
SELECT tenant_id, 'x', shard, epoch, xid, seq, id, ordering_key, 'failed', '', now(), now()
FROM billing_events LIMIT 1;

-- H: a delivery still waits
UPDATE webhook_deliveries SET state = 'pending';

-- I: an event has no delivery
DELETE FROM webhook_deliveries WHERE id = (SELECT min(id) FROM webhook_deliveries);

-- J: an invoice is off by a cent
UPDATE invoices SET total_minor = total_minor + 1;

-- J: an invoice is missing
DELETE FROM invoices WHERE id = (SELECT min(id) FROM invoices);

-- J: a number was left out
UPDATE invoices SET number = replace(number, '-000001', '-000091');

-- K: a usage record is gone
DELETE FROM usage_records WHERE ctid = (SELECT min(ctid) FROM usage_records);

-- K: a usage record is there twice
INSERT INTO usage_records SELECT * FROM usage_records LIMIT 1;

-- K: a total is wrong
UPDATE usage_totals SET quantity_sum = quantity_sum + 1;

-- K: a record was not counted
UPDATE usage_totals SET record_count = record_count - 1;

-- L: what is due of an invoice is wrong
UPDATE invoices SET amount_due_minor = amount_due_minor + 1;

-- L: a tax was not posted
UPDATE invoices SET tax_minor = tax_minor + 1;

-- L: a credit was not posted
INSERT INTO credits (tenant_id, id, customer_id, kind, currency, amount_minor, remaining_minor, valid_from, priority,
    description, created_at)
SELECT tenant_id, 'x', customer_id, 'prepaid', currency, 1, 1, now(), 0, '', now() FROM invoices LIMIT 1;

-- L: revenue was put off and never posted
INSERT INTO revenue_deferrals (tenant_id, invoice_line_id, invoice_id, customer_id, currency, period_start, period_end,
    grain, timezone, deferred_minor, remaining_minor, recognized_until, created_at)
SELECT i.tenant_id, l.id, i.id, i.customer_id, i.currency, now(), now() + interval '1 day', 'day', 'UTC', 5, 5, now(),
    now()
FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id LIMIT 1;

-- L: revenue was recognized and not posted
WITH line AS (
    INSERT INTO revenue_deferrals (tenant_id, invoice_line_id, invoice_id, customer_id, currency, period_start,
        period_end, grain, timezone, deferred_minor, recognized_minor, remaining_minor, recognized_until, created_at)
    SELECT i.tenant_id, l.id, i.id, i.customer_id, i.currency, now(), now() + interval '1 day', 'day', 'UTC', 5, 5, 0,
        now() + interval '1 day', now()
    FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id LIMIT 1
    RETURNING *
)
INSERT INTO revenue_recognitions (tenant_id, invoice_line_id, period_start, period_end, amount_minor)
SELECT tenant_id, invoice_line_id, period_start, period_end, 5 FROM line;
