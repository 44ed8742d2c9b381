-- The API that an attempt's upstream was asked by, which need not be the call's:
-- a conversation may have been carried to another. raw_usage is in its words.
-- Empty: an attempt from before this column.
ALTER TABLE attempts ADD COLUMN api TEXT NOT NULL DEFAULT '';
