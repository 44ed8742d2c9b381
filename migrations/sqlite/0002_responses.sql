-- Replies of the Responses API that Weir keeps for its clients, where the
-- upstream keeps none. What was said is sealed; the rest says whose it is, what
-- it continues and how long it stays. A deleted one stays, empty, until then: a
-- spool that is shipped once more does not bring it back.
CREATE TABLE responses (
	id       TEXT PRIMARY KEY,
	scope    TEXT NOT NULL,             -- whose it is: a project, a key, a client; empty: everybody's
	created  INTEGER NOT NULL,
	expires  INTEGER NOT NULL,
	previous TEXT NOT NULL DEFAULT '',
	model    TEXT NOT NULL DEFAULT '',
	sealed   BLOB                       -- input and reply; null: deleted
) STRICT;
CREATE INDEX responses_by_expiry ON responses (expires);
