-- What an act looks for is found by an index, at any age and size of the room.

-- `waits`: how many unfinished tasks it depends on. `first_need`: the first of the capabilities that it needs. The engine
-- keeps both up to date. `place`: its place in an order in which each task stands after those that it depends on.
alter table task add column waits bigint not null default 0;
alter table task add column first_need text not null default '';
alter table task add column place bigint not null default 0;
update task set place = id, first_need = coalesce((select min(need.need) from need where need.task = task.id), '');
update task set waits = (
    select count(*) from dependency
    join task as before on before.id = dependency.needs_task
    where dependency.task = task.id and before.state not in ('done', 'cancelled')
);

-- The board in the order of numbers, and the best open task of a member.
drop index task_state;
create index task_state on task (state, id);
create index task_unfinished on task (id) where state not in ('done', 'cancelled');
create index task_claimable on task (
    coalesce(assigned, 0), first_need, priority desc, coalesce(due, 1e300), id
) where state = 'open' and waits = 0;
create index task_open on task (coalesce(assigned, 0), priority desc, coalesce(due, 1e300), id)
where state = 'open' and waits = 0;
create index task_lease_end on task ((lease_from + lease_seconds)) where state = 'claimed';
create index task_in_review on task (coalesce(reviewer, 0), completed_at, id) where state = 'in_review';
create index task_completer on task (completed_by, completed_at, id) where state = 'in_review';
create index member_owner on member (owner);
create index presence_call on presence (last_call_at);
create index standing_paused on standing (since) where state = 'paused' and scope = 'member';

-- How many completions of a member were reviewed, and how many upheld. The engine keeps both up to date.
create table share (
    member bigint primary key references member (id),
    reviewed bigint not null,
    upheld bigint not null
);
insert into share (member, reviewed, upheld)
select completer, count(*), sum(upheld) from verdict group by completer;

-- What a redaction and a new stop look for.
create index pause_end on pause (scope, target, coalesce(until, 1e300));
create index wake_seq on wake (seq);
create index wake_subject on wake (subject);
create index task_entry_seq on task_entry (seq);
create index request_act on request (act, at);
drop index wake_sender;
create index wake_sender on wake (member, sender, folded, seq);
create index token_unrevoked on token (member) where revoked_at is null;

-- Remembered calls whose time is over are forgotten by a duty.
insert into due (rule, subject, member, at, since, span)
select 'forget', 0, 1, 0, 0, 0 where exists (select 1 from request);
