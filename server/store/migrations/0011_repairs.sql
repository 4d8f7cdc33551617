-- Repairs: a task each, the newest of a member being the one that counts. What stood beside a trouble moves here,
-- because a watchdog may find a dead runtime before the room is troubled by it.
create table repair (
    task bigint primary key references task (id),
    member integer not null references member (id)
);
create index repair_member on repair (member, task);

insert into repair (task, member)
select repair, member from trouble where repair is not null;

alter table trouble drop column repair;

-- What goes on is found by its member now.
drop index need_capability;
