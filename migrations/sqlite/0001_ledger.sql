-- Times are microseconds since 1970 UTC, durations nanoseconds. Ids of calls
-- are UUIDv7 with a prefix: they sort by time, so the primary key is the only
-- index that a list by time needs.
--
-- usage is the JSON object of leaf meters. Reports read calls_hourly, which
-- has a column for each group of meters that is asked for often.

CREATE TABLE projects (
	id      TEXT PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
	id          TEXT PRIMARY KEY,
	name        TEXT NOT NULL,
	project_id  TEXT REFERENCES projects (id),
	prefix      TEXT NOT NULL,          -- what may be shown of the key
	hash        BLOB NOT NULL UNIQUE,   -- HMAC-SHA256 under the secret
	pepper      TEXT NOT NULL,          -- which secret that was; tells nothing of it
	old_hash    BLOB,                   -- the secret before the last rotation
	old_until   INTEGER NOT NULL DEFAULT 0,
	models      TEXT NOT NULL DEFAULT '',   -- JSON list; empty: all
	customer    TEXT NOT NULL DEFAULT '',
	tags        TEXT NOT NULL DEFAULT '',   -- JSON object
	created     INTEGER NOT NULL,
	expires     INTEGER NOT NULL DEFAULT 0,
	paused      INTEGER NOT NULL DEFAULT 0,
	revoked     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE audit (
	id     INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	actor  TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	detail TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE calls (
	id           TEXT PRIMARY KEY,
	start        INTEGER NOT NULL,
	project_id   TEXT NOT NULL DEFAULT '',
	key_id       TEXT NOT NULL DEFAULT '',
	customer     TEXT NOT NULL DEFAULT '',
	feature      TEXT NOT NULL DEFAULT '',
	session      TEXT NOT NULL DEFAULT '',
	user         TEXT NOT NULL DEFAULT '',
	tags         TEXT NOT NULL DEFAULT '',
	metadata     TEXT NOT NULL DEFAULT '',
	user_agent   TEXT NOT NULL DEFAULT '',
	trace_id     TEXT NOT NULL DEFAULT '',
	dialect      TEXT NOT NULL,
	api          TEXT NOT NULL,
	method       TEXT NOT NULL,
	path         TEXT NOT NULL,
	asked_model  TEXT NOT NULL DEFAULT '',
	route        TEXT NOT NULL DEFAULT '',
	stream       INTEGER NOT NULL DEFAULT 0,
	provider     TEXT NOT NULL DEFAULT '',
	model        TEXT NOT NULL DEFAULT '',
	served_model TEXT NOT NULL DEFAULT '',
	status       INTEGER NOT NULL,
	outcome      TEXT NOT NULL,
	error_class  TEXT NOT NULL DEFAULT '',
	stop_reason  TEXT NOT NULL DEFAULT '',
	usage        TEXT NOT NULL DEFAULT '',
	usage_source TEXT NOT NULL DEFAULT '',
	queue        INTEGER NOT NULL DEFAULT 0,
	ttft         INTEGER NOT NULL DEFAULT 0,
	total        INTEGER NOT NULL,
	bytes_in     INTEGER NOT NULL,
	bytes_out    INTEGER NOT NULL,
	dropped      TEXT NOT NULL DEFAULT '',
	attempts     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Lists by one of these read only what they show, the newest first. What is
-- often empty takes no room where it is.
CREATE INDEX calls_by_project  ON calls (project_id, id) WHERE project_id <> '';
CREATE INDEX calls_by_key      ON calls (key_id, id) WHERE key_id <> '';
CREATE INDEX calls_by_customer ON calls (customer, id) WHERE customer <> '';
CREATE INDEX calls_by_feature  ON calls (feature, id) WHERE feature <> '';
CREATE INDEX calls_by_session  ON calls (session, id) WHERE session <> '';
CREATE INDEX calls_by_provider ON calls (provider, id) WHERE provider <> '';
CREATE INDEX calls_by_model    ON calls (model, id) WHERE model <> '';
CREATE INDEX calls_in_trouble  ON calls (id) WHERE outcome <> 'ok';

CREATE TABLE attempts (
	call_id      TEXT NOT NULL,
	n            INTEGER NOT NULL,
	provider     TEXT NOT NULL,
	model        TEXT NOT NULL DEFAULT '',
	start        INTEGER NOT NULL,
	ttft         INTEGER NOT NULL DEFAULT 0,
	total        INTEGER NOT NULL,
	status       INTEGER NOT NULL DEFAULT 0,
	error_class  TEXT NOT NULL DEFAULT '',
	stop_reason  TEXT NOT NULL DEFAULT '',
	served_model TEXT NOT NULL DEFAULT '',
	service_tier TEXT NOT NULL DEFAULT '',
	request_id   TEXT NOT NULL DEFAULT '',
	usage        TEXT NOT NULL DEFAULT '',
	usage_source TEXT NOT NULL DEFAULT '',
	raw_usage    TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (call_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE bodies (
	call_id   TEXT PRIMARY KEY,
	at        INTEGER NOT NULL,
	request   BLOB,
	response  BLOB,
	truncated INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX bodies_by_time ON bodies (at);

CREATE TABLE calls_hourly (
	hour         INTEGER NOT NULL,      -- microseconds, a whole hour
	project_id   TEXT NOT NULL,
	key_id       TEXT NOT NULL,
	customer     TEXT NOT NULL,
	feature      TEXT NOT NULL,
	provider     TEXT NOT NULL,
	model        TEXT NOT NULL,
	route        TEXT NOT NULL,
	api          TEXT NOT NULL,
	outcome      TEXT NOT NULL,
	usage_source TEXT NOT NULL,
	calls        INTEGER NOT NULL,
	attempts     INTEGER NOT NULL,
	input        INTEGER NOT NULL,      -- all input meters
	cache_read   INTEGER NOT NULL,      -- of which read from a cache
	output       INTEGER NOT NULL,      -- all output meters
	reasoning    INTEGER NOT NULL,      -- of which reasoning
	total        INTEGER NOT NULL,      -- summed duration
	PRIMARY KEY (hour, project_id, key_id, customer, feature, provider, model, route, api, outcome, usage_source)
) STRICT, WITHOUT ROWID;

-- Where the shipper of a spool has read to, written in the transaction of its
-- batch. It only saves reading again what is stored: rows are known by their id.
CREATE TABLE spool_position (
	spool   TEXT PRIMARY KEY,           -- the id that is in the names of its segments
	segment INTEGER NOT NULL,
	offset  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which provider account made an object that later requests name by id.
CREATE TABLE objects (
	id       TEXT PRIMARY KEY,
	provider TEXT NOT NULL,
	at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_by_time ON objects (at);
