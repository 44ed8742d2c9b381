-- Limits that were set by the command line or the admin API. One takes the
-- place of the configuration's of the same scope, tag, value, measure and action.
CREATE TABLE limits (
	scope   TEXT NOT NULL,
	tag     TEXT NOT NULL,    -- empty: scope is not tag
	value   TEXT NOT NULL,    -- empty: each
	measure TEXT NOT NULL,    -- requests_per_minute, concurrent, usd_per_month …
	action  TEXT NOT NULL,
	entry   TEXT NOT NULL,    -- an entry of the configuration's limits, as JSON
	at      INTEGER NOT NULL, -- microseconds: when it was set
	actor   TEXT NOT NULL,    -- by whom
	PRIMARY KEY (scope, tag, value, measure, action)
) STRICT, WITHOUT ROWID;
