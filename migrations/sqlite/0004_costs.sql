-- Money. An amount is two columns, nano × 1e-9 + atto × 1e-18 dollars with
-- 0 <= atto < 1e9, so that both can be summed exactly. NULL: it is not known,
-- which is not 0. Rows from before this are unpriced, by the columns' default.
ALTER TABLE attempts ADD COLUMN cost_source TEXT NOT NULL DEFAULT 'unpriced';
ALTER TABLE attempts ADD COLUMN cost_nano INTEGER;
ALTER TABLE attempts ADD COLUMN cost_atto INTEGER;
ALTER TABLE attempts ADD COLUMN charge TEXT NOT NULL DEFAULT '';  -- JSON: what made it
ALTER TABLE calls ADD COLUMN cost_source TEXT NOT NULL DEFAULT 'unpriced';
ALTER TABLE calls ADD COLUMN cost_nano INTEGER;
ALTER TABLE calls ADD COLUMN cost_atto INTEGER;

-- Later knowledge of what an attempt cost. The attempt's row stays as it was;
-- of several adjustments the last one counts.
CREATE TABLE cost_adjustments (
	call_id     TEXT NOT NULL,
	n           INTEGER NOT NULL,       -- the attempt
	seq         INTEGER NOT NULL,       -- 1, 2, …
	at          INTEGER NOT NULL,
	from_source TEXT NOT NULL,
	from_nano   INTEGER,
	from_atto   INTEGER,
	cost_source TEXT NOT NULL,
	cost_nano   INTEGER,
	cost_atto   INTEGER,
	charge      TEXT NOT NULL,
	reason      TEXT NOT NULL,
	PRIMARY KEY (call_id, n, seq)
) STRICT, WITHOUT ROWID;

-- What attempts cost, by UTC hour and by UTC day of their call.
CREATE TABLE costs_hourly (
	hour         INTEGER NOT NULL,      -- microseconds, a whole hour
	project_id   TEXT NOT NULL,
	key_id       TEXT NOT NULL,
	customer     TEXT NOT NULL,
	feature      TEXT NOT NULL,
	provider     TEXT NOT NULL,
	model        TEXT NOT NULL,
	prompt       TEXT NOT NULL,
	tags         TEXT NOT NULL,         -- as in calls; '~': they are too long to group by
	source       TEXT NOT NULL,         -- the attempts' cost_source
	calls        INTEGER NOT NULL,      -- each call once, at its last attempt
	attempts     INTEGER NOT NULL,
	input        INTEGER NOT NULL,      -- input tokens without those of the caches
	cache_read   INTEGER NOT NULL,
	cache_write  INTEGER NOT NULL,
	output       INTEGER NOT NULL,      -- output tokens without reasoning
	reasoning    INTEGER NOT NULL,
	cost_nano    INTEGER NOT NULL,
	cost_atto    INTEGER NOT NULL,
	list_nano    INTEGER NOT NULL,
	list_atto    INTEGER NOT NULL,
	charged_nano INTEGER NOT NULL,      -- the providers' own charges
	charged_atto INTEGER NOT NULL,
	wasted_nano  INTEGER NOT NULL,      -- of the cost: what reached no client whole
	wasted_atto  INTEGER NOT NULL,
	wasted_attempts INTEGER NOT NULL,   -- attempts whose output reached no client whole
	compared     INTEGER NOT NULL,      -- attempts of which the provider's charge and the price book's are known
	drifted      INTEGER NOT NULL,      -- of them: where they differ by more than 1 %
	drift_nano   INTEGER NOT NULL,      -- the providers' charges less the book's; may be below 0
	drift_atto   INTEGER NOT NULL,
	book_nano    INTEGER NOT NULL,      -- the book's, of the attempts compared
	book_atto    INTEGER NOT NULL,
	cached       INTEGER NOT NULL,      -- attempts with input that was read from a cache or written to one
	cache_known  INTEGER NOT NULL,      -- of them: where it is known what that saved
	saved_nano   INTEGER NOT NULL,      -- what it saved; may be below 0
	saved_atto   INTEGER NOT NULL,
	PRIMARY KEY (hour, project_id, key_id, customer, feature, provider, model, prompt, tags, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE costs_daily (
	day          INTEGER NOT NULL,      -- microseconds, a whole day
	project_id   TEXT NOT NULL,
	key_id       TEXT NOT NULL,
	customer     TEXT NOT NULL,
	feature      TEXT NOT NULL,
	provider     TEXT NOT NULL,
	model        TEXT NOT NULL,
	prompt       TEXT NOT NULL,
	tags         TEXT NOT NULL,         -- as in calls; '~': they are too long to group by
	source       TEXT NOT NULL,         -- the attempts' cost_source
	calls        INTEGER NOT NULL,      -- each call once, at its last attempt
	attempts     INTEGER NOT NULL,
	input        INTEGER NOT NULL,      -- input tokens without those of the caches
	cache_read   INTEGER NOT NULL,
	cache_write  INTEGER NOT NULL,
	output       INTEGER NOT NULL,      -- output tokens without reasoning
	reasoning    INTEGER NOT NULL,
	cost_nano    INTEGER NOT NULL,
	cost_atto    INTEGER NOT NULL,
	list_nano    INTEGER NOT NULL,
	list_atto    INTEGER NOT NULL,
	charged_nano INTEGER NOT NULL,      -- the providers' own charges
	charged_atto INTEGER NOT NULL,
	wasted_nano  INTEGER NOT NULL,      -- of the cost: what reached no client whole
	wasted_atto  INTEGER NOT NULL,
	wasted_attempts INTEGER NOT NULL,   -- attempts whose output reached no client whole
	compared     INTEGER NOT NULL,      -- attempts of which the provider's charge and the price book's are known
	drifted      INTEGER NOT NULL,      -- of them: where they differ by more than 1 %
	drift_nano   INTEGER NOT NULL,      -- the providers' charges less the book's; may be below 0
	drift_atto   INTEGER NOT NULL,
	book_nano    INTEGER NOT NULL,      -- the book's, of the attempts compared
	book_atto    INTEGER NOT NULL,
	cached       INTEGER NOT NULL,      -- attempts with input that was read from a cache or written to one
	cache_known  INTEGER NOT NULL,      -- of them: where it is known what that saved
	saved_nano   INTEGER NOT NULL,      -- what it saved; may be below 0
	saved_atto   INTEGER NOT NULL,
	PRIMARY KEY (day, project_id, key_id, customer, feature, provider, model, prompt, tags, source)
) STRICT, WITHOUT ROWID;

-- What is there already.
INSERT INTO costs_hourly
SELECT c.start - c.start % 3600000000 AS h, c.project_id, c.key_id, c.customer, c.feature, coalesce(a.provider, ''), coalesce(a.model, ''), '',
	iif(length(CAST(c.tags AS BLOB)) > 512, '~', c.tags), CASE WHEN a.n IS NULL THEN iif(c.outcome = 'interrupted', 'unpriced', '') WHEN a.usage_source = '' THEN '' ELSE 'unpriced' END AS s,
	sum(a.n IS NULL OR a.n = c.attempts), sum(a.n IS NOT NULL OR c.outcome = 'interrupted'),
	sum(coalesce((SELECT sum(min(value, 1000000000000)) FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key LIKE 'input%' AND key NOT LIKE 'input_cache%'), 0)),
	sum(coalesce((SELECT sum(min(value, 1000000000000)) FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key LIKE 'input_cache_read%'), 0)),
	sum(coalesce((SELECT sum(min(value, 1000000000000)) FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key LIKE 'input_cache_write%'), 0)),
	sum(coalesce((SELECT sum(min(value, 1000000000000)) FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key LIKE 'output%' AND key <> 'output_reasoning'), 0)),
	sum(coalesce((SELECT sum(min(value, 1000000000000)) FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key = 'output_reasoning'), 0)),
	0, 0, 0, 0, 0, 0, 0, 0, sum(iif(a.n IS NULL, c.outcome = 'interrupted', a.n < c.attempts OR c.outcome <> 'ok')), 0, 0, 0, 0, 0, 0,
	sum(EXISTS (SELECT 1 FROM json_each(iif(a.usage = '', '{}', a.usage)) WHERE key LIKE 'input_cache%' AND value > 0)), 0, 0, 0
FROM calls c LEFT JOIN attempts a ON a.call_id = c.id
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

INSERT INTO costs_daily
SELECT hour - hour % 86400000000, project_id, key_id, customer, feature, provider, model, prompt, tags, source, sum(calls), sum(attempts),
	sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning), 0, 0, 0, 0, 0, 0, 0, 0, sum(wasted_attempts), 0, 0, 0, 0, 0, 0, sum(cached), 0, 0, 0
FROM costs_hourly GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
