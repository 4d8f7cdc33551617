-- Where the runtimes of each agent run, as they report it: one row for each host, of a bounded number of hosts. `host`:
-- '' for a client that calls the room itself and names none. `revision`: the beginning of a commit. `since`: since when
-- it has been seen without a gap; `seen_at`: when it was last seen, to some minutes.
create table runtime (
    member integer not null references member (id),
    host text not null,
    folder text not null default '',
    harness text not null default '',
    version text not null default '',
    branch text not null default '',
    revision text not null default '',
    since double precision not null,
    seen_at double precision not null,
    primary key (member, host)
);

create index runtime_seen on runtime (seen_at);
