-- The timer of remembered calls is always set, so that no act has to look whether it is.
insert into due (rule, subject, member, at, since, span)
select 'forget', 0, id, 0, 0, 0 from member where id = 1
on conflict (rule, subject, member) do nothing;
