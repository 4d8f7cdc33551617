-- How many calls of a member were refused: the log has an entry for only a few of them. One row counts the calls of an
-- act that were refused from a time of the room's clock on, after an entry of the log, the last one at `at`.
create table refused_call (
    member bigint not null references member (id),
    act text not null,
    since double precision not null,
    seq bigint not null,
    at double precision not null,
    calls bigint not null,
    primary key (member, act, since, seq)
);
create index refused_call_at on refused_call (at);
