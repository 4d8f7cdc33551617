-- The servers of a room that several have open at once. A server that does not renew `until`, in room time, has ended.
-- `listens` and `connected`: the numbers of the members that listen or are connected there, as a list in JSON.
create table server (
    id text primary key,
    until double precision not null,
    listens text not null,
    connected text not null
);

-- The duties that one server does at a time. Each new holder has a higher fence.
create table lease (
    duty text primary key,
    holder text not null,
    fence bigint not null,
    until double precision not null
);
