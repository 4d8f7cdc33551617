-- How long members take from a wake to the call that shows it. Forecasts are made from this.

-- The newest few of each member.
create table answer_time (
    member bigint not null references member (id),
    seq bigint not null,
    seconds double precision not null,
    primary key (member, seq)
);

-- The highest number of a wake that a member was shown, acknowledged or not.
alter table presence add column seen bigint not null default 0;
update presence set seen = (select acknowledged from member where member.id = presence.member);
