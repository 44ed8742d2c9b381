-- Whether an attempt's usage does not add up to the provider's own totals.
-- 0 of attempts from before this column: they were not asked.
ALTER TABLE attempts ADD COLUMN inconsistent INTEGER NOT NULL DEFAULT 0;
