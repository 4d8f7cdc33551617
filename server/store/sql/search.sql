-- What the engines have in common of the search by words. Each engine matches words in its own way.

-- part: beginning_of_message
select message.id, message.summary, substr(message.text, 1, :characters) as text

-- part: in_thread_and_mentioning
-- Filters that are 0 do not filter.
    and (:thread = 0 or message.thread = :thread)
    and (:mention = 0 or exists (select 1 from addressee where addressee.message = message.id and member = :mention))

-- part: tasks_in_state
-- `state`: '' for unfinished ones.
where case
        when :state = '' then task.state not in ('done', 'cancelled')
        when :state = 'all' then true
        else task.state = :state
    end
order by found.id
limit :limit
