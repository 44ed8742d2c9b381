-- The directories whose spools are shipped to this store, so that a living
-- process can take over what a dead one has left.
CREATE TABLE spools (
	mark TEXT NOT NULL PRIMARY KEY, -- random; it stands in the directory too
	host TEXT NOT NULL,
	dir  TEXT NOT NULL,             -- absolute
	form INTEGER NOT NULL,          -- of its records: who knows older ones only leaves them alone
	seen INTEGER NOT NULL           -- microseconds: when its owner said so, at least once a day
) STRICT, WITHOUT ROWID;
