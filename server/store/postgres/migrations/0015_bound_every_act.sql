create function teamroom_is_over(bigint) returns boolean language sql stable as $$ select state in ('done', 'cancelled') from task where id = $1 $$;

create function teamroom_dependency_added() returns trigger language plpgsql as $$ begin if not teamroom_is_over(new.needs_task) then update task set waits = waits + 1 where id = new.task; end if; return null; end $$;
create trigger dependency_added after insert on dependency for each row execute function teamroom_dependency_added();

create function teamroom_dependency_dropped() returns trigger language plpgsql as $$ begin if not teamroom_is_over(old.needs_task) then update task set waits = waits - 1 where id = old.task; end if; return null; end $$;
create trigger dependency_dropped after delete on dependency for each row execute function teamroom_dependency_dropped();

create function teamroom_task_finished() returns trigger language plpgsql as $$ begin update task set waits = waits - 1 where id in (select task from dependency where needs_task = new.id); return null; end $$;
create trigger task_finished after update of state on task for each row
when (new.state in ('done', 'cancelled') and old.state not in ('done', 'cancelled')) execute function teamroom_task_finished();

create function teamroom_task_reopened() returns trigger language plpgsql as $$ begin update task set waits = waits + 1 where id in (select task from dependency where needs_task = new.id); return null; end $$;
create trigger task_reopened after update of state on task for each row
when (old.state in ('done', 'cancelled') and new.state not in ('done', 'cancelled')) execute function teamroom_task_reopened();

create function teamroom_need_added() returns trigger language plpgsql as $$ begin update task set first_need = (select min(need collate "C") from need where task = new.task) where id = new.task; return null; end $$;
create trigger need_added after insert on need for each row execute function teamroom_need_added();

create function teamroom_need_dropped() returns trigger language plpgsql as $$ begin update task set first_need = coalesce((select min(need collate "C") from need where task = old.task), '') where id = old.task; return null; end $$;
create trigger need_dropped after delete on need for each row execute function teamroom_need_dropped();

create function teamroom_verdict_counted() returns trigger language plpgsql as $$ begin insert into share (member, reviewed, upheld) values (new.completer, 1, new.upheld) on conflict (member) do update set reviewed = share.reviewed + 1, upheld = share.upheld + new.upheld; return null; end $$;
create trigger verdict_counted after insert on verdict for each row execute function teamroom_verdict_counted();
