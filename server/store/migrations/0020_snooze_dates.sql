-- The end of a snooze that was given as a date: seconds since 1970 by the wall clock. The end of one that lasts for a
-- while stays in room time.
alter table task add column snooze_date double precision;
