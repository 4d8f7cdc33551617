-- Who needs what, found by what is needed: a repair that goes on is not asked for twice.
create index need_capability on need (need, task);
