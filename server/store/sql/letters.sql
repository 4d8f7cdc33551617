-- What people chose for their letters, and the channels that they added themselves.

-- name: letter_setting
select quiet, per_hour, zone, digest_time, suspects, numbered from letter_setting where member = :member

-- name: set_letters
insert into letter_setting (member, quiet, per_hour, zone, digest_time, suspects, numbered)
values (:member, :quiet, :per_hour, :zone, :digest_time, :suspects, :numbered)
on conflict (member) do update set quiet = excluded.quiet, per_hour = excluded.per_hour, zone = excluded.zone,
    digest_time = excluded.digest_time, suspects = excluded.suspects, numbered = excluded.numbered

-- name: own_channels
select number, kind, mark, added_at from channel where member = :member order by number limit :limit

-- name: add_channel
insert into channel (member, number, kind, mark, added_at) values (:member, :number, :kind, :mark, :now)

-- name: remove_channel
delete from channel where member = :member and number = :number

-- name: count_own_channels
select count(*) as channels from channel

-- name: channel_marks
select mark from channel order by mark limit :limit

-- name: people_with_channels
select distinct member.id, member.name, member.kind, member.owner
from channel
join member on member.id = channel.member
order by member.id
limit :limit

-- name: look_at_letters_of
-- A person's letters may wait for the end of quiet hours, which are now at another time.
update delivery set next_at = :now where member = :member and state = 'pending' and next_at > :now

-- name: leave_out_deliveries
-- Ends what is pending on a channel that was removed.
update delivery set state = 'left out', reason = :reason, ended_at = :now
where member = :member and channel = :channel and state = 'pending'
