-- The skeleton of each name, so that a name that looks like another is found by index. Existing names stay as they are.
alter table member add column looks text not null default '';

update member
set looks = replace(replace(replace(replace(
    lower(replace(replace(replace(name, 'I', 'l'), '1', 'l'), '0', 'O')),
    'm', 'rn'), 'w', 'vv'), '_', '-'), '.', '-');

create index member_by_looks on member (looks);
