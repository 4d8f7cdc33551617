-- Repairs: each is a task, and the newest one of a member counts. They move here from the suspicions, because a
-- watchdog may find a dead runtime before the room suspects its member.
create table repair (
    task bigint primary key references task (id),
    member integer not null references member (id)
);
create index repair_member on repair (member, task);

insert into repair (task, member)
select repair, member from trouble where repair is not null;

alter table trouble drop column repair;

-- An open repair is now found by its member.
drop index need_capability;
