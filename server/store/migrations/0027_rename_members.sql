-- Names that members had before they were renamed. Each leads to its member, and nobody else ever gets one that is equal
-- or looks like it. `seq`: the entry of the rename that ended it.
create table former_name (
    name text primary key,
    folded text not null,
    looks text not null,
    member bigint not null references member (id),
    seq bigint not null
);
create index former_name_folded on former_name (folded);
create index former_name_looks on former_name (looks);
create index former_name_member on former_name (member, seq);

-- The subjects of entries that have a former name in them, and how they would be written now.
create view former_subject as
select '@' || former_name.name as subject, '@' || member.name as now
from former_name
join member on member.id = former_name.member
union all
select 'owner:' || former_name.name as subject, 'owner:' || member.name as now
from former_name
join member on member.id = former_name.member;

-- Entries with the subject as it would be written now.
create view log_now as
select log.seq, log.act, log.actor, log.outcome, log.detail,
    coalesce(
        (
            select case when log.subject like '@%' then '@' else 'owner:' end || member.name
            from former_name
            join member on member.id = former_name.member
            where former_name.name = case
                    when log.subject like '@%' then substr(log.subject, 2)
                    when log.subject like 'owner:%' then substr(log.subject, 7)
                end
        ),
        log.subject
    ) as subject
from log;

-- Asks, for those that nobody has answered.
create index message_ask on message (id) where kind = 'ask';
