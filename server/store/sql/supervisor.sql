-- Timers, reminders and suspicions.

-- name: due_now
select rule, subject, member, at, since, span, slot, counted, escalated, failures
from due
where at <= :now
order by at
limit :limit

-- name: next_due
select min(at) as at from due

-- name: timer
select rule, subject, member, at, since, span, slot, counted, escalated, failures
from due
where rule = :rule and subject = :subject and member = :member

-- name: schedule
-- Starts the timer again; earlier counts are dropped.
insert into due (rule, subject, member, at, since, span)
values (:rule, :subject, :member, :at, :since, :span)
on conflict (rule, subject, member) do update
set at = :at, since = :since, span = :span, slot = 0, counted = 0, escalated = 0, failures = 0

-- name: schedule_both
-- The same for the two timers of a task that is held: its reminder, and the end of its lease.
insert into due (rule, subject, member, at, since, span)
values ('task', :task, :member, :remind_at, :since, :remind_span),
    ('lease', :task, :member, :lease_at, :since, :lease_span)
on conflict (rule, subject, member) do update
set at = excluded.at, since = excluded.since, span = excluded.span,
    slot = 0, counted = 0, escalated = 0, failures = 0

-- name: postpone
update due set at = :at, failures = 0 where rule = :rule and subject = :subject and member = :member

-- name: postpone_failed
update due set at = :at, failures = failures + 1 where rule = :rule and subject = :subject and member = :member

-- name: count_slot
update due
set at = :at, span = :span, slot = :slot, counted = :counted, escalated = :escalated, failures = 0
where rule = :rule and subject = :subject and member = :member

-- name: cancel_timer
delete from due where rule = :rule and subject = :subject and member = :member

-- name: check_leases_by
update due set at = :at where member = :member and rule = 'lease' and at > :at

-- name: look_sooner
-- After a wake, the supervisor checks two of the member's intervals later whether it answered.
update due set at = :now + :intervals * span
where rule = 'presence' and subject = :member and member = :member and span > 0 and at > :now + :intervals * span

-- name: check_presence_by
update due set at = :at where rule = 'presence' and subject = :member and member = :member and span > 0 and at > :at

-- name: looks_too_late
-- Whether a member's timer is later than any assessment would set it.
select 1 as found from due where rule = 'presence' and at > :now + :intervals * span limit 1

-- name: look_again
update due set at = :now where rule = 'presence' and at > :now + :intervals * span

-- name: oldest_ask
-- Since when a member's oldest ask waits, of those after a time and a number.
select min(due.since) as since
from due
join message on message.id = due.subject
where due.member = :member and due.rule = 'ask' and due.since > :after and message.seq > :from_seq

-- name: asks_shown_to
-- Asks that a member was shown and has not answered, by number.
select message.id, message.author, message.summary
from due
join message on message.id = due.subject
where due.member = :member and due.rule = 'ask' and due.subject > :past and message.seq <= :shown
    and not exists (
        select 1 from message as answer
        where answer.thread = message.thread and answer.author = due.member and answer.id > message.id
    )
order by due.subject
limit :limit

-- name: add_reminder
insert into reminder (rule, subject, member, since, slot, at, outcome, reason, missed)
values (:rule, :subject, :member, :since, :slot, :now, :outcome, :reason, :missed)

-- name: ended_for_good
-- What a member owed when it was killed, or had no valid token for long, newest first, each with its last slot.
select rule, subject, since, max(slot) as slot
from reminder
where member = :member
group by rule, subject, since
having max(case when outcome = 'silent' and reason in (:killed, :tokenless) then 1 else 0 end) = 1
order by max(at) desc, rule, subject
limit :limit

-- name: reminders_of_subject
select reminder.rule, member.name as member, reminder.at, reminder.outcome, reminder.reason, reminder.missed
from reminder
join member on member.id = reminder.member
where reminder.rule = :rule and reminder.subject = :subject
order by reminder.at desc
limit :limit

-- name: reminders_standing
-- The sent and held reminders of a member, the newest of each subject, among its newest reminders.
select reminder.rule, reminder.subject, max(reminder.at) as at, reminder.since, count(*) as times
from (
    select rule, subject, member, since, at from reminder
    where member = :member and outcome in ('sent', 'held')
    order by at desc
    limit :looked_at
) as reminder
cross join due
where due.rule = reminder.rule and due.subject = reminder.subject and due.member = reminder.member
    and due.since = reminder.since
group by reminder.rule, reminder.subject, reminder.since
order by reminder.since
limit :limit

-- name: count_reminders_of_member
select count(*) as reminders from reminder where member = :member and at > :since and outcome = 'sent'

-- name: reminders_sent_to
-- When a member was sent its newest reminders, newest first.
select at from reminder where member = :member and at > :since and outcome = 'sent' order by at desc limit :limit

-- name: nth_newest_reminder
-- When the room sent a reminder since some time, newest first.
select at from reminder where outcome = 'sent' and at > :since order by at desc limit 1 offset :offset

-- name: last_act
-- The time and number of a member's last act that counts as evidence of work. What it says of itself alone does not:
-- its mode, its capabilities and its notes.
with evidence (act) as (
    values ('accept'), ('answer_hand_off'), ('authorize'), ('claim_task'), ('complete_task'), ('create_task'), ('decide'),
        ('enroll'),
        ('hand_off'), ('import_task'), ('kill'), ('notify'), ('pause'), ('plant'), ('post_message'), ('redact'),
        ('repair'), ('request_decision'), ('require_approval'), ('resume'), ('review_task'), ('revoke'),
        ('set_policy'), ('sign_in'), ('update_task')
)
select entry_age.seq, entry_age.at
from entry_age
where entry_age.seq = (
    select max((
        select log.seq from log
        where log.act = evidence.act and log.actor = :member and log.outcome = 'ok'
        order by log.seq desc
        limit 1
    ))
    from evidence
)

-- name: entry_age
-- When an entry was written, in room time.
select at from entry_age where seq = :seq

-- name: unanswered_wake
-- The oldest wake after some time that a member was not shown, or that it had to act on.
select at from wake
where member = :member and seq > :from_seq and at > :after
    and (seq > :seen or reason in ('assigned', 'offer', 'review', 'repair', 'reminder', 'challenge'))
order by seq
limit 1

-- name: waits_for_act
-- Since when the oldest wake waits that a member was not shown, or that it had to act on and has not since.
select wake.at
from presence
join wake on wake.member = presence.member and wake.seq > presence.acted
where presence.member = :member
    and (wake.seq > presence.seen
        or wake.reason in ('assigned', 'offer', 'review', 'repair', 'reminder', 'challenge'))
order by wake.seq
limit 1

-- name: last_sign
-- When the room was last seen running: when its clock was saved, or a call.
select max(at) from (
    select room_at as at from head
    union all
    select max(last_call_at) as at from presence
) as sign

-- name: watched
-- The facts about a member that the supervisor looks at.
select member.id, member.name, member.kind, member.role, member.owner, owner.name as owner_name, member.mode,
    presence.seen, presence.last_call_at, presence.last_progress_at, presence.declared_at, presence.busy_until,
    presence.works_on_task, presence.connected_at, presence.connected_since, presence.evidence_at, presence.run_since,
    presence.run_moved_at, presence.run_heard_at, presence.run_ended_at, presence.slowest_run, presence.gate_at,
    presence.prompt_since, presence.tokens_until,
    trouble.verdict as trouble, trouble.since as trouble_since, trouble.reason as trouble_reason,
    trouble.misses, trouble.question, trouble.nonce, trouble.expected, trouble.asked_at,
    levels.own_state, levels.own_until, levels.own_since, levels.owner_state, levels.owner_until,
    levels.owner_since, levels.room_state, levels.room_until, levels.room_since
from member
join member as owner on owner.id = member.owner
join member_presence as presence on presence.member = member.id
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where member.id = :member

-- name: note_connected
update presence set connected_at = :now where member = :member

-- name: note_evidence
update presence set evidence_at = :now where member = :member

-- name: note_trouble
insert into trouble (member, verdict, since, reason, misses, question, nonce, expected, asked_at)
values (:member, :verdict, :now, :reason, :misses, :question, :nonce, :expected, :asked_at)
on conflict (member) do update
set verdict = :verdict, since = case when trouble.verdict = :verdict then trouble.since else :now end,
    reason = :reason, misses = :misses, question = :question, nonce = :nonce, expected = :expected,
    asked_at = :asked_at, wrong_answers = case when trouble.nonce = :nonce then trouble.wrong_answers else 0 end

-- name: ask_later
update trouble set asked_at = :now where member = :member

-- name: trouble
select verdict, since, reason, misses, question, nonce, expected, asked_at, wrong_answers
from trouble
where member = :member

-- name: count_wrong_answer
update trouble set wrong_answers = wrong_answers + 1 where member = :member

-- name: end_trouble
delete from trouble where member = :member

-- name: last_messages_of
select subject from log
where act = 'post_message' and actor = :member and outcome = 'ok'
order by seq desc
limit :limit

-- name: has_answered
-- Whether a member posted in a thread after a message.
select 1 as found from message where thread = :thread and author = :member and id > :message limit 1

-- name: watchdogs
-- Watchdogs that declare a runtime's capability and may act.
select member.id
from capability
join member on member.id = capability.member
join standing on standing.scope = 'member' and standing.target = member.id
where capability.capability = :capability and capability.withdrawn_at is null
    and member.role = 'watchdog' and standing.state = 'active'
    and exists (
        select 1 from token
        where token.member = member.id and token.revoked_at is null
            and (token.expires_at is null or token.expires_at > :now)
    )
order by member.id
limit :limit

-- name: supervisor
select holder, fence, until from supervisor where id = 1

-- name: take_supervisor
update supervisor set holder = :holder, fence = fence + 1, until = :until where id = 1

-- name: keep_supervisor
update supervisor set until = :until where id = 1
