-- People are reminded of open decisions under the rule `decision`; the timer of a decision's end has a name of its own.
update due set rule = 'decision_end' where rule = 'decision';

insert into due (rule, subject, member, at, since, span)
select 'decision', asked.decision, asked.member, decision.created_at, decision.created_at, 0
from asked
join decision on decision.id = asked.decision
where decision.state = 'open' and asked.member <> decision.asker;
