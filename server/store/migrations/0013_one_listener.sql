-- The one live listener of each agent. The fence rises when the listener changes, and a poll of the same listener
-- writes nothing. `listener` is the name that the listener gives itself; `began_at` is when it began.
create table listener (
    member integer primary key references member (id),
    fence bigint not null,
    mechanism text not null check (mechanism in ('long poll', 'stream', 'subscription')),
    listener text,
    server text not null,
    began_at double precision not null
);
