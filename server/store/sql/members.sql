-- Members, their tokens and presence.

-- name: principal
-- Everything that decides whether a token may act, in one row: token, member, owner, standing at three levels. Whether the
-- member has wakes that it has not acknowledged or open offers, and whether the room has former names, spare most acts a
-- statement.
select token.id as token, token.label as label, token.kind as token_kind, token.expires_at as expires_at,
    token.revoked_at as revoked_at,
    member.id as member, member.name as name, member.kind as kind, member.role as role,
    member.owner as owner, owner.name as owner_name, member.mode as mode, member.acknowledged as acknowledged,
    member.epoch as epoch, head.epoch as room_epoch, presence.last_call_at as last_call_at,
    presence.run_heard_at as run_heard_at, presence.run_ended_at as run_ended_at,
    coalesce(presence.seen, 0) as seen, coalesce(presence.acted, 0) as acted, coalesce(presence.woken, 0) as woken,
    coalesce(presence.lost_runs, 0) as lost_runs, trouble.verdict as trouble,
    levels.own_state, levels.own_until, levels.owner_state, levels.owner_until, levels.room_state,
    levels.room_until,
    exists (
        select 1 from wake where wake.member = token.member and wake.seq > member.acknowledged
    ) as has_wakes,
    exists (select 1 from offer where offer.receiver = token.member and offer.state = 'offered') as has_offers,
    exists (select 1 from former_name) as has_former_names
from token
join head on head.id = 1
join member on member.id = token.member
join member as owner on owner.id = member.owner
left join presence on presence.member = member.id
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where token.id = :token

-- name: kinds_waiting
-- Of what a check-in shows a member, what there may be: most kinds are empty, and each takes a statement. Anything that
-- waits for a review counts, because its reviewer may be lost.
select
    exists (select 1 from task where holder = :member and state in ('claimed', 'blocked', 'offered')) as tasks,
    exists (select 1 from capability where member = :member) as capabilities,
    exists (select 1 from task where state = 'in_review') as reviews,
    exists (select 1 from reminder where member = :member) as reminders,
    exists (select 1 from decision where asker = :member and state = 'open')
        or exists (select 1 from decision where asker = :member and state <> 'open' and settled_seq > :after)
        as decisions,
    coalesce((
        select message.seq from addressee join message on message.id = addressee.message
        where addressee.member = :member
        order by addressee.message desc
        limit 1
    ), 0) > :after as messages

-- part: token_columns
-- `replaces`: the token whose holder replaced it with this one, and that is in force until this one is first used.
select token.id as token, token.label as label, token.kind as token_kind, token.expires_at as expires_at,
    token.revoked_at as revoked_at,
    member.id as member, member.name as name, member.kind as kind, member.role as role,
    member.owner as owner, owner.name as owner_name, own.state as state, own.reason as reason, setter.name as by_name,
    (
        select older.id from token as older
        where older.id = token.issued_by and older.member = token.member and older.label = token.label
            and older.revoked_at is null and token.kind <> 'browser'
    ) as replaces,
    token.hash as hash

-- part: token_joins
join member on member.id = token.member
join member as owner on owner.id = member.owner
left join standing as own on own.scope = 'member' and own.target = member.id
left join member as setter on setter.id = own.by_member

-- name: token_by_hash
-- use: token_columns
from token
-- use: token_joins
where token.hash = :hash

-- name: token_hash
select hash from token where hash >= :start and hash < :after limit 1

-- name: add_member
insert into member (id, name, folded, looks, kind, role, owner, mode, created_at, acknowledged, epoch)
values (:id, :name, :folded, :looks, :kind, :role, :owner, :mode, :created_at, :acknowledged, :epoch)

-- name: change_member
update member set role = :role, owner = :owner, mode = :mode where id = :id

-- name: member_by_name
-- The member with a name now, else the one that had it before a rename. Case does not matter: names have ASCII letters
-- only, so both engines fold them alike.
select member.id, member.name, member.kind, member.role, member.owner, owner.name as owner_name, member.mode,
    member.created_at, member.acknowledged
from member
join member as owner on owner.id = member.owner
where member.id = coalesce(
    (select id from member where folded = lower(cast(:name as text))),
    (select former_name.member from former_name where folded = lower(cast(:name as text)) limit 1)
)

-- name: member_by_id
select id, name, kind, owner from member where id = :id

-- name: member_that_looks_like
-- A member other than one (0: any) whose name, or a name that it had before, looks like a name.
select member.name as name, member.name as now, member.id as member
from member
where member.id <> :besides and (member.folded = :folded or member.looks = :looks)
union all
select former_name.name as name, member.name as now, member.id as member
from former_name
join member on member.id = former_name.member
where member.id <> :besides and (former_name.folded = :folded or former_name.looks = :looks)
order by 3
limit 1

-- name: former_names
-- The names that a member had before, the newest first.
select name from former_name where member = :member order by seq desc, name limit :limit

-- name: keeps_former_names
-- Whether the migration that adds them was applied.
select count(*) as applied from migration where number = 27

-- name: all_former_names
select former_name.name as name, member.name as now from former_name join member on member.id = former_name.member

-- name: new_name
-- The name now of the member that had a name before.
select former_name.name as name, member.name as now
from former_name
join member on member.id = former_name.member
where former_name.folded = lower(cast(:name as text)) and member.folded <> former_name.folded
limit 1

-- name: former_subjects
-- How the log named a subject before its member was renamed.
select subject from former_subject where now = :subject limit :limit

-- name: change_name
update member set name = :name, folded = :folded, looks = :looks where id = :id

-- name: reserve_name
insert into former_name (name, folded, looks, member, seq) values (:name, :folded, :looks, :member, :seq)

-- name: take_name_back
delete from former_name where name = :name

-- name: names_between
-- Names to compare with an unknown one: those of members that were not killed, in the order of their folded form.
select member.name
from member
join standing on standing.scope = 'member' and standing.target = member.id
where member.kind <> 'room' and standing.state <> 'killed'
    and member.folded >= cast(:first as text) and member.folded < cast(:beyond as text)
order by member.folded
limit :limit

-- name: acknowledge
update member set acknowledged = :seq where id = :member and acknowledged < :seq

-- name: add_presence
insert into presence (member, last_call_at, last_progress_at, last_note, busy_until)
values (:member, null, null, null, null)

-- name: touch_presence
-- Calls without a gap between them count as one connection.
update presence
set last_call_at = :now,
    connected_since = case
        when last_call_at >= :gap_before or connected_at >= :gap_before then connected_since else :now
    end
where member = :member

-- name: touch_run
-- The same for a call that reports a run.
update presence
set last_call_at = :now,
    connected_since = case
        when last_call_at >= :gap_before or connected_at >= :gap_before then connected_since else :now
    end,
    run_since = :since, run_seconds = :seconds, run_moved_at = :moved_at, run_heard_at = :now, run_ended_at = null
where member = :member

-- name: end_run
update presence set run_ended_at = :now, slowest_run = :slowest where member = :member

-- name: forget_run
update presence set run_since = null, run_heard_at = null, run_ended_at = null where member = :member

-- name: run
-- The newest run of a member's listener.
select run_since, run_seconds, run_heard_at, slowest_run from presence where member = :member

-- name: record_progress
-- A new note about a task that the member holds.
update presence
set last_progress_at = :now, declared_at = :now, last_note = :note, busy_until = :busy_until, busy_task = :task
where member = :member

-- name: record_note
-- A new note about nothing that the room knows. It is no progress.
update presence set declared_at = :now, last_note = :note, busy_until = :busy_until, busy_task = null
where member = :member

-- name: last_note
select last_note, busy_until from presence where member = :member

-- name: seen
select seen from presence where member = :member

-- name: see
update presence set seen = :seq where member = :member

-- name: note_acted
update presence set acted = :seq where member = :member

-- name: add_answer_time
insert into answer_time (member, seq, seconds) values (:member, :seq, :seconds)
on conflict (member, seq) do nothing

-- name: forget_answer_times
delete from answer_time
where member = :member and seq not in (
    select seq from answer_time where member = :member order by seq desc limit :keep
)

-- name: answer_times
select seconds from answer_time where member = :member order by seq desc limit :limit

-- name: set_mode
update member set mode = :mode where id = :member

-- part: facts
-- The facts behind a member's presence and standing.
    presence.last_call_at, presence.last_progress_at, presence.declared_at, presence.busy_until,
    presence.works_on_task, presence.connected_at, presence.run_since, presence.run_moved_at, presence.run_heard_at,
    presence.run_ended_at, presence.slowest_run, presence.gate_at, presence.prompt_since, presence.tokens_until,
    wakes.is_verified, wakes.unacted_at,
    trouble.verdict as trouble, trouble.reason as trouble_reason,
    levels.own_state, levels.own_until, levels.owner_state, levels.owner_until, levels.room_state,
    levels.room_until

-- part: roster_facts
-- What else the roster shows of a member, and of what kinds there may be more.
    , harness.format as harness, harness.phase, harness.tool, harness.since as phase_since,
    exists (select 1 from former_name where former_name.member = member.id) as is_renamed,
    exists (select 1 from runtime where runtime.member = member.id) as has_runtimes,
    exists (select 1 from capability where capability.member = member.id) as has_capabilities,
    exists (select 1 from authorisation) as has_authorisations,
    exists (select 1 from approval_rule) as has_rules,
    exists (select 1 from share where share.member = member.id) as is_reviewed
from member
join member as owner on owner.id = member.owner
left join member_presence as presence on presence.member = member.id
left join member_wakes as wakes on wakes.member = member.id
left join harness on harness.member = member.id
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where member.kind <> 'room'
    and (cast(:capability as text) = '' or exists (
        select 1 from capability
        where capability.member = member.id and capability.capability = :capability
            and capability.withdrawn_at is null
    ))

-- name: roster
-- Every member except the room, with the facts behind its presence and standing.
select member.id, member.name, member.kind, member.role, member.owner, owner.name as owner_name, member.mode,
-- use: facts
-- use: roster_facts
    and member.name > :after
order by member.name
limit :limit

-- name: roster_member
-- The same for the member with a name, now or formerly.
select member.id, member.name, member.kind, member.role, member.owner, owner.name as owner_name, member.mode,
-- use: facts
-- use: roster_facts
    and member.id = coalesce(
        (select id from member where folded = lower(cast(:name as text))),
        (select former_name.member from former_name where folded = lower(cast(:name as text)) limit 1)
    )

-- name: troubled_agents_of
-- An owner's agents that the room suspects, the longest suspected first.
select member.name, trouble.since
from trouble
join member on member.id = trouble.member
where member.owner = :owner and member.kind = 'agent'
order by trouble.since, member.name
limit :limit

-- name: agents_of
select id from member where kind = 'agent' and owner = :owner

-- name: all_agents
select id from member where kind = 'agent'

-- name: agents_after
-- A page of the agents of an owner, or of all (0), by number.
select id from member
where id > :after and kind = 'agent' and (cast(:owner as bigint) = 0 or owner = :owner)
order by id
limit :limit

-- name: owns_agent
select 1 as found from member where owner = :owner and kind = 'agent' limit 1

-- name: count_owned
select count(*) as members from member where owner = :owner

-- name: add_token
insert into token (id, member, hash, label, kind, issued_by, created_at, expires_at, revoked_at)
values (:id, :member, :hash, :label, :kind, :issued_by, :created_at, :expires_at, null)

-- name: revoke_tokens
update token set revoked_at = :now where member = :member and revoked_at is null

-- name: revoke_token
update token set revoked_at = :now where id = :id and member = :member and revoked_at is null

-- name: live_tokens
select id, label, kind, created_at, expires_at
from token
where member = :member and revoked_at is null and (expires_at is null or expires_at > :now)
order by created_at

-- name: live_tokens_issued_by
-- What a member's tokens issued, ended ones included, and what those issued in turn. An empty label means all tokens.
with recursive issued (id) as (
    select id from token where member = :member and (cast(:label as text) = '' or label = :label)
    union
    select token.id from token join issued on token.issued_by = issued.id
)
select token.id, token.member
from token
join issued on issued.id = token.id
where token.revoked_at is null and (token.expires_at is null or token.expires_at > :now)
    and not (token.member = :member and (cast(:label as text) = '' or token.label = :label))
order by token.created_at, token.id
limit :limit

-- name: tokens_until
-- When the last of a member's tokens ends or ended; null if one has no end.
select tokens_until from member_presence where member = :member

-- name: people_that_own_the_room
select id, name, kind, owner from member where role = 'owner' and kind = 'human' order by id limit :limit

-- name: watch_tokens_of_all
-- Looks at each member that has no lasting token.
insert into due (rule, subject, member, at, since, span)
select 'tokenless', presence.member, presence.member, :now, :now, 0
from member_presence as presence
join member on member.id = presence.member
where member.kind <> 'room' and presence.tokens_until is not null
on conflict (rule, subject, member) do update set at = :now, since = :now, span = 0
