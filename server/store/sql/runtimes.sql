-- Where the runtimes of members run, as they report it.

-- name: note_runtime
insert into runtime (member, host, folder, harness, version, branch, revision, since, seen_at)
values (:member, :host, :folder, :harness, :version, :branch, :revision, :since, :at)
on conflict (member, host) do update set folder = :folder, harness = :harness, version = :version, branch = :branch,
    revision = :revision, since = :since, seen_at = :at

-- name: runtimes_of
-- The newest first.
select host, folder, harness, version, branch, revision, since, seen_at
from runtime
where member = :member
order by seen_at desc, host
limit :limit

-- name: forget_runtime
delete from runtime where member = :member and host = :host

-- name: old_runtimes
select member, host from runtime where seen_at < :before order by seen_at limit :limit

-- name: on_two_hosts
-- Members that run on two hosts at once: each of the two was seen after the other had begun.
select member.name, min(one.host) as first_host, max(other.host) as second_host,
    max(case when one.since > other.since then one.since else other.since end) as since
from runtime as one
join runtime as other on other.member = one.member and other.host > one.host
join member on member.id = one.member
left join standing as own on own.scope = 'member' and own.target = member.id
where one.seen_at > :alive and other.seen_at > :alive and one.host <> ''
    and one.since < other.seen_at and other.since < one.seen_at and coalesce(own.state, '') <> 'killed'
group by member.id, member.name
order by 4, member.name
limit :limit

-- name: count_on_two_hosts
select count(distinct one.member) as members
from runtime as one
join runtime as other on other.member = one.member and other.host > one.host
left join standing as own on own.scope = 'member' and own.target = one.member
where one.seen_at > :alive and other.seen_at > :alive and one.host <> ''
    and one.since < other.seen_at and other.since < one.seen_at and coalesce(own.state, '') <> 'killed'
