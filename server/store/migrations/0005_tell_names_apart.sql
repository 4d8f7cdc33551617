-- How each name is drawn, so that one that looks like another's is found at once. Names that look alike already stay.
alter table member add column looks text not null default '';

update member
set looks = replace(replace(replace(replace(
    lower(replace(replace(replace(name, 'I', 'l'), '1', 'l'), '0', 'O')),
    'm', 'rn'), 'w', 'vv'), '_', '-'), '.', '-');

create index member_by_looks on member (looks);
