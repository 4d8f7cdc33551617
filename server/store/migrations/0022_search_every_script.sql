-- Words are found in every script, in messages and on the board. Tasks are indexed when their words have changed: the
-- engine notes them here, and removes their earlier words.
create table unindexed_task (task integer primary key);
insert into unindexed_task (task) select id from task;

-- The messages of an earlier release are indexed by a duty, the newest first. `slot`: the newest that is not indexed.
insert into due (rule, subject, member, at, since, span, slot)
select 'index', 0, 1, 0, 0, 0, head.messages from head where head.messages > 0 or head.tasks > 0;
