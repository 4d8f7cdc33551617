-- Offers of tasks from one member to another.

-- name: add_offer
insert into offer (id, task, giver, receiver, note, needs, artifacts, fence, state, created_at, expires_at, answered_at,
    reason)
values (:id, :task, :giver, :receiver, :note, :needs, :artifacts, :fence, 'offered', :now, :expires_at, null, '')

-- name: offer
select offer.id, offer.task, offer.giver, offer.receiver, offer.note, offer.needs, offer.artifacts, offer.fence,
    offer.state, offer.created_at, offer.expires_at, offer.answered_at, offer.reason,
    giver.name as giver_name, giver.owner as giver_owner, receiver.name as receiver_name,
    task.title as title
from offer
join member as giver on giver.id = offer.giver
join member as receiver on receiver.id = offer.receiver
join task on task.id = offer.task
where offer.id = :id

-- name: open_offers_to
select offer.id, offer.task, giver.name as giver_name, offer.note, offer.needs, offer.artifacts, offer.expires_at,
    task.title as title, creator.name as creator_name
from offer
join member as giver on giver.id = offer.giver
join task on task.id = offer.task
join member as creator on creator.id = task.creator
where offer.receiver = :member and offer.state = 'offered' and offer.expires_at > :now
order by offer.id
limit :limit

-- name: count_open_offers_to
select count(*) as offers from offer where receiver = :member and state = 'offered' and expires_at > :now

-- name: close_offer
update offer set state = :state, answered_at = :now, reason = :reason where id = :id

-- name: open_offers_of
-- Offers that a member made or received.
select offer.id, offer.task, offer.giver, offer.receiver
from offer
where (offer.giver = :member or offer.receiver = :member) and offer.state = 'offered'
order by offer.id
limit :limit
