-- What operators were told. Whoever inserts an alert's id tells of it, so that
-- restarts and replicas tell it once.
CREATE TABLE alerts (
	id      TEXT NOT NULL PRIMARY KEY,
	at      INTEGER NOT NULL,           -- microseconds
	kind    TEXT NOT NULL,
	subject TEXT NOT NULL,              -- of which kind is the state; empty: it is no change of a state
	event   TEXT NOT NULL               -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_at ON alerts (at, id);
CREATE INDEX alerts_subject ON alerts (subject, at) WHERE subject <> '';

-- How it goes with telling it to each webhook.
CREATE TABLE alert_deliveries (
	alert_id TEXT NOT NULL,
	webhook  TEXT NOT NULL,             -- its name
	state    TEXT NOT NULL,             -- pending, delivered, given_up
	tries    INTEGER NOT NULL,
	due      INTEGER NOT NULL,          -- of pending: when it is to be tried; while somebody tries: when another may
	at       INTEGER NOT NULL,          -- of the last try; 0: none yet
	answer   TEXT NOT NULL,             -- to the last try
	PRIMARY KEY (alert_id, webhook)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_due ON alert_deliveries (webhook, due) WHERE state = 'pending';
