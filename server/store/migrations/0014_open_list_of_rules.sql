-- The list of rules is in the code (`facts/owed.py`), so that a new reminder rule needs no migration.
alter table due rename to due_before;
create table due (
    rule text not null,
    subject bigint not null,
    member bigint not null references member (id),
    at double precision not null,
    since double precision not null,
    span double precision not null,
    slot bigint not null default 0,
    counted bigint not null default 0,
    escalated integer not null default 0,
    failures integer not null default 0,
    primary key (rule, subject, member)
);
insert into due (rule, subject, member, at, since, span, slot, counted, escalated, failures)
select rule, subject, member, at, since, span, slot, counted, escalated, failures
from due_before;
drop table due_before;
create index due_at on due (at);
create index due_member on due (member, rule);
