-- The one live listener of each agent.

-- name: listener
select fence, mechanism, listener, server, began_at from listener where member = :member

-- name: listener_fence
select fence from listener where member = :member

-- name: take_listener
-- The newest listener replaces the stored one, whatever that is.
insert into listener (member, fence, mechanism, listener, server, began_at)
values (:member, 1, :mechanism, :listener, :server, :began_at)
on conflict (member) do update
set fence = listener.fence + 1, mechanism = :mechanism, listener = :listener, server = :server, began_at = :began_at
