-- Where tasks come from: the id that a task has elsewhere, such as `github:acme/api#12`. After a redaction, `external` is
-- a digest of it, so that an import does not bring the task back. `given`: a digest of what `create_task` was given, ''
-- for an imported task. `seq`: the entry of the newest import that wrote the task, 0 if none did. An import also brings
-- the dates that a task has elsewhere, which follow the wall clock.
create table origin (
    task integer primary key references task (id),
    external text not null unique,
    given text not null,
    seq bigint not null,
    created_date double precision,
    closed_date double precision
);
