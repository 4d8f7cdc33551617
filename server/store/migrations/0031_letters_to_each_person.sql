-- What a person chose for its letters; null leaves a choice to the room's settings. `numbered`: how many channels the
-- person has added so far. So a number never names another channel later.
create table letter_setting (
    member integer primary key references member (id),
    quiet text,
    per_hour bigint,
    zone text,
    digest_time text,
    suspects bigint not null default 0,
    numbered bigint not null default 0
);

-- The channels that people added themselves. Their addresses are in a private file of the data folder, each under its
-- `mark`, which is random. `kind`: what comes before the colon of the address.
create table channel (
    member bigint not null references member (id),
    number bigint not null,
    kind text not null,
    mark text not null unique,
    added_at double precision not null,
    primary key (member, number)
);

-- Letters of a person by kind: a person's first channel is no longer always number 0.
create index delivery_of_kind on delivery (member, kind, letter);
