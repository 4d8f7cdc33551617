-- What a redaction keeps of the entries that it redacts, so that standing, tokens, roles, policy, tasks and offers can
-- still be rebuilt from the log: numbers, names and states, and no words. The redaction's own entry has a digest of it.
create table kept (
    seq integer primary key,
    redaction bigint not null,
    part text not null
);
create index kept_redaction on kept (redaction, seq);

-- Since which entry the log records the rows that its acts change. A room of an earlier release begins with its next act.
create table recording (
    id integer primary key check (id = 1),
    since bigint not null
);
