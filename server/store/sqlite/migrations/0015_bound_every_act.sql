-- The order of a room in which an older task was made to depend on a newer one: by the longest way to a task that
-- depends on nothing. The look at it is bounded; a room beyond the bound keeps the order of numbers where it ends.
create table depth (task integer primary key, depth bigint not null);
insert into depth (task, depth)
with recursive longest (task, depth) as (
    select id, 0 from task where exists (select 1 from dependency where needs_task > task)
    union
    select dependency.task, longest.depth + 1
    from longest
    join dependency on dependency.needs_task = longest.task
    limit 5000000
)
select task, max(depth) from longest group by task;
create table placed (task integer primary key, place bigint not null);
insert into placed (task, place) select task, row_number() over (order by depth, task) from depth;
update task set place = (select placed.place from placed where placed.task = task.id) where exists (select 1 from placed);
drop table depth;
drop table placed;

create trigger dependency_added after insert on dependency
when (select state from task where id = new.needs_task) not in ('done', 'cancelled')
begin update task set waits = waits + 1 where id = new.task; end;

create trigger dependency_dropped after delete on dependency
when (select state from task where id = old.needs_task) not in ('done', 'cancelled')
begin update task set waits = waits - 1 where id = old.task; end;

create trigger task_finished after update of state on task
when new.state in ('done', 'cancelled') and old.state not in ('done', 'cancelled')
begin update task set waits = waits - 1 where id in (select task from dependency where needs_task = new.id); end;

create trigger task_reopened after update of state on task
when old.state in ('done', 'cancelled') and new.state not in ('done', 'cancelled')
begin update task set waits = waits + 1 where id in (select task from dependency where needs_task = new.id); end;

create trigger need_added after insert on need
begin update task set first_need = (select min(need) from need where task = new.task) where id = new.task; end;

create trigger need_dropped after delete on need
begin update task set first_need = coalesce((select min(need) from need where task = old.task), '') where id = old.task; end;

create trigger verdict_counted after insert on verdict
begin insert into share (member, reviewed, upheld) values (new.completer, 1, new.upheld) on conflict (member) do update set reviewed = reviewed + 1, upheld = upheld + new.upheld; end;
