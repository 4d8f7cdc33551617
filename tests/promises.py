"""What the room promises, by id, and the tests that hold each promise.

`HELD` names tests by file; a trailing `*` stands for every test of the file. `PLANNED` says what of a
promise is not kept yet, and only shrinks. `HOUSE` are files whose tests hold no promise to members, but
the house in order.
"""

PROMISES: dict[str, str] = {
    "ID1": "A member is durable across processes, machines, harnesses and models.",
    "ID2": "Who calls is known from the token alone.",
    "ID3": "Every agent has a human owner; people are members like agents.",
    "ID4": "Tokens are 256-bit, stored as hashes, shown once, expired, revoked and rotated alone.",
    "ID5": "Names that look alike are refused; the server sets author, owner and kind.",
    "LOG1": "One total order: dense numbers, and a cursor that sees every visible entry once.",
    "LOG2": "Every act that changes what others see leaves a receipt; refusals leave few.",
    "LOG3": "A salted hash chain, a signed head outside the database, and verify.",
    "LOG4": "An acknowledged act survives; a repeated call gets the first result.",
    "CTL1": "Standing at three levels, the most restrictive wins, read inside each act, no cache.",
    "CTL2": "After an acknowledged pause or kill, no act of a bound member commits.",
    "CTL3": "What a paused member may do, and what a killed one is told.",
    "CTL4": "Open streams and waiting calls of a paused or killed member end within 2 s.",
    "CTL5": "Pause holds wakes and leases; kill frees tasks, voids offers and tells who waits.",
    "CTL6": "The first call after an acknowledged resume succeeds.",
    "CTL7": "Who may pause, resume and kill; dangerous acts ask for confirmation.",
    "CTL8": "A policy that is missing or unreadable denies.",
    "TSK1": "N claimers, one winner; the others learn who has it and until when.",
    "TSK2": "Fences rise and are never reused; what a stale one brought is kept as late evidence.",
    "TSK3": "Leases: how long, what renews them, when their clock stands, the grace of a holder.",
    "TSK4": "States, dependencies, and who edits without a fence.",
    "TSK5": "Work in progress is capped per member.",
    "HND1": "One open offer per task; acceptance changes holder, fence and receipt in one commit.",
    "HND2": "Needs against capabilities, when offered and again when accepted.",
    "HND3": "Artifacts are proven by hashes that the receiver was not shown.",
    "HND4": "Every offer and message says when to expect each addressee.",
    "HND5": "Offers expire back to their giver; at most 5 hops, then the owner.",
    "HND6": "An alert without addressee wakes who can help.",
    "PRS1": "Four facts of presence, nine verdicts with reasons.",
    "PRS2": "A heartbeat proves a connection, nothing more.",
    "PRS3": "Zombies are named after a challenge that only a reader of the inbox can answer.",
    "PRS4": "Suspicion takes nothing away and clears at once.",
    "PRS5": "Exactly one live listener per member.",
    "PRS6": "Nobody is declared anything after a sleep of the server or a jump of the clock.",
    "REM1": "One reminder per rule, target and slot.",
    "REM2": "Backoff, caps, one escalation, then silence.",
    "REM3": "Reminders are silent for a reason that can be looked up.",
    "REM4": "Only a report, a hand-off or a changed task ends a reminder.",
    "CAP1": "Declared, proven, attested, failed and expired are different and shown so.",
    "CAP2": "A proof is a challenge that only who reaches the thing can answer.",
    "REV1": "Completion is a claim, reviewed by somebody else, by a rule of preference.",
    "REV2": "Evidence is typed, says how to check it; the share of upheld claims is open.",
    "QUI1": "One line of at most 140 characters an entry; nothing healthy writes a line.",
    "QUI2": "Budgets for notes, folding, limits on alerts and asks.",
    "QUI3": "A loop guard for agents that answer each other.",
    "QUI4": "Equal wakes are joined; at most 10 in 5 minutes from one sender.",
    "QUI5": "overnight in at most 60 lines.",
    "SAF1": "No anonymous access; Host and Origin exact on every route; a private data folder.",
    "SAF2": "What members write is data, marked with its author; the server fetches no URL.",
    "SAF3": "Limits on everything, and a clear refusal beyond them.",
    "SAF4": "On a full disk reads, pause and kill go on.",
    "SAF5": "Backups are verified; a restore starts a new epoch.",
    "SAF6": "Bad input never answers 5xx and never stops the server.",
    "SAF7": "The shell never falls back to the owner's token inside an agent's session.",
}

HELD: dict[str, dict[str, tuple[str, ...]]] = {
    "ID1": {
        "test_identity": ("a_member_keeps_name_owner_history_and_cursor_across_restarts_and_clients",),
        "test_two_vendors": ("a_task_goes_through_two_harnesses_and_its_file_is_proven",),
    },
    "ID2": {
        "test_identity": ("a_name_in_an_argument_never_speaks_for_anybody",),
        "test_connections": ("a_session_serves_only_the_member_that_opened_it",),
    },
    "ID3": {"test_identity": ("every_agent_has_a_human_owner", "people_use_the_same_tools_as_agents")},
    "ID4": {
        "test_logs": ("*",),
        "test_canaries": ("*",),
        "test_identity": (
            "a_token_is_256_bits_and_stands_nowhere_in_the_data_folder",
            "a_token_is_rotated_alone",
            "a_token_is_revoked_alone_and_its_next_call_is_refused",
            "a_token_can_expire",
            "an_owner_cannot_lock_itself_out_by_revoking",
        ),
        "test_log": ("the_token_of_an_enrolment_is_never_kept_for_a_replay",),
        "test_resources": ("a_revoked_token_reads_nothing",),
        "test_shell": (
            "a_token_is_shown_once_with_the_lines_that_join",
            "a_saved_token_lies_in_a_private_file_and_is_not_printed",
            "a_token_that_could_not_be_saved_is_not_made",
        ),
    },
    "ID5": {"test_identity": ("a_name_that_is_taken_or_reserved_is_refused",), "test_names": ("*",)},
    "LOG1": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_log": (
            "numbers_are_dense_from_one_under_concurrent_acts_and_refusals",
            "a_reader_with_a_cursor_sees_every_visible_entry_once_and_in_order",
            "messages_name_the_one_before_them_under_the_same_filter",
        ),
        "test_quiet": ("a_reader_with_a_cursor_sees_folded_notes_once_and_in_order_wherever_it_stops",),
        "test_search": ("a_search_goes_on_after_a_number_in_order_and_names_the_match_before",),
        "test_writer_faults": ("an_undone_act_leaves_no_gap_in_numbers_or_ids",),
    },
    "LOG2": {
        "test_log": (
            "every_act_that_others_can_see_leaves_a_receipt",
            "reads_cursors_and_bare_heartbeats_leave_no_receipt",
            "the_first_refusal_leaves_a_receipt_and_repeats_are_counted_and_closed_by_one",
            "refusals_leave_at_most_thirty_receipts_an_hour",
            "a_call_without_a_valid_token_leaves_nothing_in_the_log",
        ),
    },
    "LOG3": {
        "test_log": (
            "a_changed_entry_is_found_and_named",
            "a_gap_and_a_cut_are_found",
            "a_tail_that_was_cut_off_with_its_head_is_found_by_the_seal",
            "a_seal_that_was_not_made_with_the_rooms_key_is_found",
            "content_can_be_taken_away_and_the_chain_still_verifies",
            "equal_contents_have_different_digests",
            "the_signed_head_is_written_outside_the_database_and_on_stop",
        ),
        "test_redact": ("*",),
        "test_storage_faults": (
            "every_flip_in_an_entry_of_the_log_is_found_and_named_and_no_damage_is_a_traceback",
            "a_verification_of_numbers_alone_would_pass_flips",
        ),
        "test_verify_and_doctor": (
            "a_log_that_nobody_touched_verifies_and_is_left_as_it_was",
            "a_change_a_gap_and_a_cut_are_found_and_the_first_bad_number_is_named",
            "a_chain_that_was_rewritten_to_fit_is_found_by_the_seal",
            "an_entry_that_cannot_be_read_is_named_like_a_changed_one",
            "a_seal_that_was_forged_or_is_none_is_found",
            "the_log_verifies_while_the_room_runs_and_grows",
        ),
        "test_stored_texts": ("*",),
    },
    "LOG4": {
        "test_log": (
            "the_same_request_id_gives_the_first_result_marked_replayed",
            "the_same_request_id_with_other_arguments_is_refused",
            "an_act_whose_acknowledgement_was_lost_can_be_repeated_after_a_restart",
            "an_equal_call_within_a_minute_is_the_same_call",
            "a_replay_is_refused_while_its_caller_is_paused",
            "concurrent_calls_with_one_request_id_are_one_act",
        ),
        "test_reviews": ("a_repeated_completion_returns_what_stands",),
        "test_tasks": ("a_bare_claim_repeated_while_the_last_is_untouched_returns_the_same_task",),
        "test_campaigns": (
            "a_server_that_is_killed_loses_no_acknowledged_act",
            "an_answer_before_the_commit_would_be_lost_in_a_kill",
            "calls_cancelled_at_random_points_leave_no_half_act",
            "a_shared_connection_would_leave_half_acts",
        ),
        "test_storage_faults": (
            "a_store_killed_inside_commits_and_checkpoints_loses_no_acknowledged_act",
            "a_store_that_answers_before_its_commit_would_lose_acts_in_a_kill",
            "a_power_cut_loses_no_acknowledged_act_whatever_was_torn",
            "commits_that_are_not_synced_would_be_lost_in_a_power_cut",
        ),
        "test_writer_faults": (
            "an_interrupted_batch_is_answered_only_after_each_act_ran_again_alone",
            "a_batch_answered_before_its_commit_would_have_told_lies",
            "a_caller_that_leaves_while_its_act_runs_leaves_a_whole_act",
        ),
        "test_notify": ("a_server_killed_before_and_while_a_letter_is_sent_loses_none",),
        "test_bad_input": (
            "a_request_id_stands_for_one_call_of_one_member",
            "a_replay_does_not_pass_the_switch",
        ),
    },
    "CTL1": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_control": (
            "a_pause_binds_at_each_of_three_levels",
            "the_most_restrictive_level_wins",
            "a_pause_of_owner_or_room_binds_agents_and_never_people",
            "another_owners_agents_go_on_when_one_owners_are_paused",
            "an_outside_change_of_standing_binds_the_very_next_call",
        ),
        "test_rules": (
            "an_agent_is_active_only_if_all_three_levels_are",
            "people_are_bound_by_their_own_standing_alone",
        ),
    },
    "CTL2": {
        "test_control": ("a_paused_member_is_refused_until_it_is_resumed",),
        "test_campaigns": (
            "no_act_passes_a_pause_and_no_first_call_after_a_resume_is_refused",
            "a_standing_kept_outside_the_transaction_would_let_acts_pass",
        ),
        "test_two_vendors": ("a_pause_refuses_the_next_call_of_a_running_harness_until_it_is_resumed",),
    },
    "CTL3": {
        "test_watch": (
            "a_paused_watchdog_restarts_nothing_until_it_is_resumed_and_says_so_once",
            "a_killed_watchdog_ends_and_says_who_did_it",
        ),
        "test_control": (
            "a_paused_member_may_connect_list_beat_and_read_who_it_is",
            "a_heartbeat_of_a_paused_member_records_the_call_and_nothing_else",
            "a_killed_member_gets_401_and_no_invitation_to_sign_in",
            "a_revived_member_is_the_same_member_with_a_new_token_and_the_old_stays_dead",
        ),
        "test_connect": ("a_killed_member_a_wrong_token_and_no_token_are_told_so",),
        "test_gate_answers": ("a_killed_members_call_says_under_its_id_by_whom_and_why",),
        "test_two_vendors": ("a_kill_ends_a_running_harness_and_nothing_of_it_is_carried_out",),
    },
    "CTL4": {
        "test_control": ("a_waiting_call_ends_within_two_seconds",),
        "test_push": ("a_stop_ends_the_stream_and_says_why", "a_paused_member_opens_no_stream"),
        "test_stuck_clients": (
            "a_pause_ends_what_a_client_has_open_that_never_reads",
            "every_switch_ends_all_of_it_at_once",
            "without_ending_connections_they_would_stay_open",
            "a_stuck_client_that_reads_again_finds_why_its_call_ended",
        ),
        "test_wire_campaigns": (
            "ten_clients_that_never_read_are_gone_two_seconds_after_their_kill",
            "a_kill_that_ends_nothing_would_leave_them",
        ),
    },
    "CTL5": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_zombies": (
            "what_waited_through_a_pause_counts_from_its_end",
            "who_was_told_to_end_its_turn_is_not_gone_the_moment_it_is_resumed",
        ),
        "test_quiet": ("what_was_held_while_paused_is_one_digest_on_resume",),
        "test_control": (
            "a_pause_holds_wakes_and_delivers_them_on_resume",
            "a_lease_stands_still_under_a_pause_of_any_level",
            "an_hour_of_a_members_own_pause_makes_its_tasks_overdue",
            "a_long_pause_of_owner_or_room_never_makes_a_task_overdue",
            "a_persons_lease_runs_on_under_a_pause_that_binds_agents_alone",
            "a_kill_frees_tasks_voids_offers_and_tells_who_waits",
        ),
        "test_rules": (
            "paused_time_is_counted_once_however_pauses_overlap",
            "a_lease_never_gains_time_and_loses_none_under_a_pause",
            "a_pause_of_owner_or_room_never_makes_a_task_overdue",
        ),
    },
    "CTL6": {
        "test_control": ("every_first_call_after_a_resume_succeeds",),
        "test_campaigns": ("no_act_passes_a_pause_and_no_first_call_after_a_resume_is_refused",),
    },
    "CTL7": {
        "test_asking": ("*",),
        "test_control": (
            "a_timed_pause_ends_by_itself",
            "nobody_resumes_itself",
            "an_operator_resumes_what_operators_paused_and_nothing_else",
            "a_lower_layer_cannot_shorten_a_higher_ones_pause",
            "a_watchdog_pauses_and_never_resumes_or_kills",
            "a_human_controls_its_own_agents_and_no_others",
            "an_agent_without_a_role_stops_nobody",
            "the_last_room_owner_cannot_be_paused_or_killed",
            "only_a_member_can_be_killed",
        ),
        "test_identity": (
            "only_those_who_run_the_room_enroll_and_never_above_themselves",
            "an_observer_reads_and_does_nothing",
        ),
        "test_shell": (
            "kill_without_a_terminal_needs_yes_and_does_nothing_without",
            "kill_on_a_terminal_names_exactly_whom_and_asks",
        ),
    },
    "CTL8": {
        "test_control": ("a_missing_policy_denies",),
        "test_policy": ("*",),
        "test_rules": ("what_is_missing_or_unreadable_never_allows",),
    },
    "TSK1": {
        "test_tasks": ("many_claimers_and_one_winner",),
        "test_campaigns": (
            "sixteen_claimers_on_forty_tasks_are_one_winner_each",
            "a_claim_in_two_transactions_would_have_two_winners",
        ),
    },
    "TSK2": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_tasks": (
            "each_claim_gives_a_higher_fence_and_a_stale_one_is_refused",
            "what_a_stale_fence_tried_to_deliver_is_kept_as_late_evidence",
        ),
    },
    "TSK3": {
        "test_supervisor": (
            "a_lease_that_runs_out_is_said_once_and_the_task_is_free_after_the_grace",
            "a_long_lease_of_who_is_paused_is_over_in_the_open_after_the_hour",
        ),
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_tasks": (
            "a_lease_is_an_hour_three_intervals_or_a_day_for_people",
            "an_overdue_task_keeps_holder_and_fence_until_somebody_claims_it",
            "progress_renews_the_lease_and_a_bare_heartbeat_does_not",
            "a_new_note_with_busy_until_renews_and_the_same_note_again_does_not",
            "work_may_be_declared_at_most_four_hours_ahead",
            "the_clock_stands_while_a_task_is_blocked_offered_or_in_review",
            "a_bare_claim_takes_an_overdue_task_when_nothing_is_open",
        ),
    },
    "TSK4": {
        "test_tasks": (
            "a_task_with_unfinished_dependencies_cannot_be_claimed",
            "tasks_that_would_wait_for_each_other_are_refused",
            "a_blocked_task_names_what_it_waits_for",
            "creator_owner_and_operator_edit_release_and_cancel_without_a_fence",
            "a_holder_that_is_not_the_creator_may_not_change_the_task",
            "the_board_is_read_in_pages_by_state_and_by_word",
            "who_is_assigned_later_is_woken_too",
        ),
    },
    "TSK5": {
        "test_tasks": ("work_in_progress_is_capped",),
        "test_hand_offs": ("a_receiver_with_its_hands_full_cannot_accept",),
    },
    "HND1": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_hand_offs": (
            "an_acceptance_changes_holder_fence_and_receipt_in_one",
            "the_giver_holds_the_task_until_it_is_accepted_and_one_offer_is_open",
            "a_declined_offer_goes_back_with_its_reason",
            "the_givers_decline_withdraws",
        ),
    },
    "HND2": {
        "test_hand_offs": ("a_receiver_without_what_the_task_needs_is_refused_by_name",),
        "test_tasks": (
            "a_bare_claim_takes_the_best_task_that_the_member_can_do",
            "a_claim_that_lacks_a_capability_is_told_what_and_who_has_it",
        ),
        "test_routing": (
            "work_goes_to_who_reaches_it_at_the_rooms_trust_level",
            "what_is_accepted_is_checked_again_at_the_level_of_that_moment",
            "a_refusal_says_how_to_come_to_count",
            "nobody_is_sent_to_a_member_that_was_killed",
            "what_counts_at_a_stricter_level_counts_at_every_looser_one",
            "the_statement_that_finds_work_counts_as_the_rule_does",
        ),
    },
    "HND3": {
        "test_hand_offs": (
            "artifacts_are_proven_by_hashes_that_the_receiver_was_not_shown",
            "a_receiver_that_cannot_reach_an_artifact_cannot_take_the_task_by_mistake",
            "a_ref_that_would_be_a_shell_command_is_quoted",
        ),
    },
    "HND4": {
        "test_forecast": ("*",),
        "test_zombies": ("the_reply_names_who_else_could_where_nobody_can_say_when",),
        "test_hand_offs": ("an_offer_says_up_front_when_its_receiver_is_paused_or_gone",),
        "test_messages": ("a_mention_wakes_and_the_reply_forecasts",),
        "test_rules": ("an_expectation_is_a_number_or_honestly_none",),
    },
    "HND5": {
        "test_reminders": ("an_offer_is_reminded_once_and_expires_back_to_its_giver",),
        "test_hand_offs": (
            "an_offer_expires_back_to_its_giver_whose_lease_stood_still",
            "an_offer_lives_three_intervals_of_its_receiver",
            "a_kill_after_an_offer_expired_gives_its_giver_no_time",
            "a_task_is_handed_on_five_times_then_only_to_the_owner",
        ),
    },
    "HND6": {
        "test_quiet": (
            "an_alert_to_nobody_wakes_who_is_live_and_has_what_its_task_needs",
            "an_alert_that_nobody_can_help_with_wakes_the_owner",
            "an_alert_wakes_a_few_at_most_and_those_it_names_alone",
        ),
        "test_notify": ("work_that_is_put_into_a_persons_hands_needs_it",),
    },
    "PRS1": {
        "test_rules": ("presence_always_has_a_verdict_with_a_reason", "a_mode_has_one_spelling"),
        "test_zombies": ("the_roster_keeps_four_facts_apart",),
    },
    "PRS2": {
        "test_zombies": (
            "declared_work_with_moving_notes_is_no_reason_to_suspect_and_the_same_note_is",
            "a_stream_that_is_open_is_a_connection_and_ends_with_it",
            "a_listener_that_comes_back_still_has_to_answer_what_waits",
            "what_a_member_is_refused_proves_a_connection_and_no_more",
        ),
    },
    "PRS3": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_simulation": ("*",),
        "test_zombies": ("*",),
        "test_judgement": ("*",),
    },
    "PRS4": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_zombies": (
            "what_a_member_does_clears_it_at_once",
            "a_zombie_gets_no_new_work_and_what_it_brings_stays_welcome",
            "a_repair_is_asked_of_the_watchdog_that_reaches_the_runtime_and_two_do_not_fight",
            "a_runtime_is_repaired_once_at_a_time_though_its_member_comes_and_goes",
        ),
        "test_notify": (
            "a_member_that_is_gone_and_a_lease_that_is_over_are_stuck",
            "a_zombie_that_acts_again_before_the_letter_is_in_none",
        ),
        "test_repairs": ("*",),
        "test_watch": (
            "a_crashed_runtime_is_restarted_through_one_trail_of_receipts",
            "what_a_person_asks_for_is_restarted_however_well_it_looks",
            "two_watchdogs_make_one_repair",
            "after_three_restarts_the_owner_is_told_once_and_nobody_restarts_it_any_more",
            "a_member_that_comes_and_goes_is_told_of_once_in_that_while",
            "a_runtime_that_a_person_brought_back_ends_the_repair_that_was_given_up",
            "a_runtime_whose_member_is_paused_or_killed_rests",
            "a_room_that_restarts_meanwhile_loses_no_repair",
            "a_zombie_that_the_room_found_is_restarted_and_only_an_act_of_it_counts",
            "a_runtime_that_runs_from_elsewhere_is_left_and_told_of_once",
            "a_runtime_that_ends_elsewhere_is_started_here",
            "declared_work_is_no_sign_of_a_member_but_a_call_since_its_repair_was_asked_is",
            "a_repair_whose_owner_was_told_by_an_earlier_run_in_other_words_is_given_back",
            "a_repair_that_waits_for_a_paused_member_ends_when_the_member_is_killed",
            "a_step_of_the_clock_starts_nothing",
            "a_refused_repair_is_told_once_and_made_when_it_may_be",
            "a_failing_ps_and_a_full_disk_are_told_once_and_end_no_watchdog",
            "a_member_that_is_paused_just_before_its_repair_is_left",
            "what_cannot_be_remembered_does_not_run_and_its_owner_is_told_so",
        ),
        "test_repair": ("*",),
        "test_runtimes": ("*",),
    },
    "PRS5": {
        "test_one_listener": ("*",),
        "test_listen": ("*",),
        "test_watch": (
            "two_listeners_of_one_agent_are_told_to_its_owner_once",
            "an_agent_without_a_listener_is_told_to_its_owner",
            "a_live_member_that_the_room_does_not_hear_is_told_to_its_owner",
            "one_name_watches_once_on_a_machine",
        ),
    },
    "PRS6": {
        "test_judgement": ("what_the_room_did_not_watch_is_nobodys_silence",),
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_zombies": (
            "nobody_is_declared_anything_for_an_interval_after_the_clock_was_stepped",
            "after_the_clock_was_set_back_members_are_looked_at_in_time",
            "declared_work_that_a_pause_or_a_sleep_fell_into_goes_on_anew",
            "declared_work_goes_on_anew_when_the_room_comes_back",
        ),
        "test_supervisor": ("a_lease_that_ran_out_while_the_room_slept_leaves_its_holder_time_to_renew",),
        "test_rule_bounds": ("declared_work_begins_anew_after_each_span_that_fell_into_it",),
    },
    "REM1": {
        "test_storage_faults": (
            "a_supervisor_killed_between_a_decision_and_its_commit_loses_no_reminder_and_sends_none_twice",
            "a_supervisor_that_marks_a_slot_before_it_sends_would_lose_reminders",
        ),
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_reminders": (
            "however_late_somebody_looks_no_slot_is_decided_twice_and_missed_ones_are_counted",
            "slots_that_nobody_looked_at_are_one_reminder_that_says_how_many",
            "what_changed_since_it_was_seen_is_dropped_and_so_is_what_an_older_supervisor_does",
        ),
        "test_supervisor": ("*",),
    },
    "REM2": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_simulation": ("*",),
        "test_reminders": ("*",),
        "test_notify": ("a_task_that_was_reminded_of_in_vain_is_stuck",),
    },
    "REM3": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_reminders": (
            "what_speaks_against_a_reminder_is_named",
            "a_paused_member_is_not_reminded_and_its_pause_does_not_count",
            "a_snoozed_task_is_silent_until_the_snooze_ends",
            "an_edit_by_somebody_else_makes_the_next_slot_silent",
            "who_is_asleep_finds_the_reminder_with_its_next_wake",
        ),
    },
    "REM4": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_reminders": (
            "only_a_report_ends_a_reminder_and_on_it_does_not",
            "what_is_over_is_not_shown_as_owed_even_before_the_supervisor_looks",
        ),
    },
    "CAP1": {
        "test_capabilities": (
            "a_wrong_answer_fails_and_a_right_one_to_the_next_probe_mends_it",
            "a_failure_is_not_shaken_off_by_withdrawing_and_declaring_again",
            "a_proof_expires_and_a_new_probe_appears_a_day_before",
        ),
        "test_routing": (
            "a_failed_proof_ends_an_attestation_and_an_attestation_mends_a_failure",
            "the_shell_plants_lists_and_attests",
        ),
    },
    "CAP2": {
        "test_two_vendors": ("a_harness_proves_what_it_reaches_with_the_command_that_the_room_shows",),
        "test_capabilities": ("*",),
        "test_routing": (
            "people_and_members_of_another_owner_attest_with_a_receipt",
            "an_attestation_is_taken_back_by_who_gave_it_the_members_owner_or_a_room_owner",
            "only_an_attestation_that_holds_is_taken_back_and_all_that_are_named_or_none",
            "the_shell_never_writes_over_a_file_of_somebody_else",
            "an_agents_shell_does_not_plant",
        ),
    },
    "REV1": {
        "test_reviews": (
            "completion_goes_to_an_independent_review",
            "a_review_by_nobody_is_done_at_once",
            "a_named_reviewer_reviews_and_others_do_not",
            "auto_prefers_another_owner_then_who_never_held_the_task",
            "the_completer_never_reviews_even_as_the_named_reviewer",
            "work_sent_back_goes_to_who_completed_it_with_its_history",
            "an_unanswered_review_falls_to_the_completers_owner_after_an_hour",
            "a_reviewer_that_is_paused_or_killed_is_replaced_and_the_next_one_woken",
            "a_reviewer_that_is_gone_is_replaced_by_whoever_reads_first",
            "a_reviewer_that_is_there_is_left_to_review",
            "a_pause_of_the_room_moves_nobodys_reviews",
            "a_reviewer_that_was_named_is_waited_for_through_a_pause_but_not_through_death",
            "a_review_that_waited_an_hour_is_due_to_the_completers_owner_whenever_it_looks",
            "a_puppet_of_the_same_owner_comes_after_everybody_else",
            "a_review_that_is_given_to_somebody_else_while_it_waits_is_theirs",
            "another_owner_comes_first_then_who_never_held_it_then_anybody_there",
            "the_choice_does_not_hang_on_the_order_of_the_members",
            "who_was_named_is_lost_only_where_a_chosen_one_is_too",
        ),
    },
    "REV2": {
        "test_reviews": (
            "evidence_is_typed_and_kept",
            "the_share_of_upheld_claims_stands_next_to_the_name",
            "a_reviewer_sees_how_to_check_the_evidence_and_how_often_its_author_was_upheld",
        ),
    },
    "QUI1": {
        "test_watch": (
            "what_is_well_is_silent",
            "without_verbose_a_healthy_watchdog_prints_nothing",
            "one_round_for_cron_repairs_and_says_by_its_exit_code_whether_all_is_well",
            "a_signal_ends_it_and_it_says_what_it_leaves_running",
        ),
        "test_messages": ("*",),
        "test_rules": (
            "one_line_is_one_line_and_fits",
            "a_line_of_the_stream_fits_in_140_characters",
            "mentions_are_found_in_order_and_once",
        ),
        "test_notify": (
            "a_question_arrives_once_and_says_who_asks_and_what_to_do",
            "the_daily_digest_comes_at_its_time_and_not_after_a_day_without_anything",
            "without_a_channel_nothing_is_written_and_with_one_it_is",
            "a_receiver_that_never_is_up_leaves_one_entry_a_day_in_the_room",
        ),
    },
    "QUI2": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_quiet": (
            "notes_beyond_the_budget_share_one_line_and_their_author_is_told",
            "a_budget_has_room_again_after_an_hour_and_is_twelve_an_hour_however_long",
            "a_room_owner_changes_the_budgets_while_the_room_runs",
            "addressees_of_a_folded_note_are_woken_all_the_same",
            "a_reader_with_a_cursor_sees_folded_notes_once_and_in_order_wherever_it_stops",
            "what_people_write_is_never_folded_and_their_alarm_is_never_refused",
            "alerts_and_asks_are_refused_beyond_their_limit_until_there_is_room_again",
            "a_report_is_about_a_task_of_its_authors",
        ),
        "test_quiet_rules": (
            "no_window_holds_more_than_a_budget_and_none_refuses_with_room",
            "a_wait_is_never_longer_than_the_window_and_enough",
            "folding_keeps_every_entry_once_and_in_order",
            "the_line_of_folded_notes_is_one_line_of_the_stream_with_their_number",
        ),
    },
    "QUI3": {
        "test_models": (
            "the_room_does_what_its_model_says_across_crashes",
            "the_model_finds_the_fault_that_is_built_in",
        ),
        "test_quiet": (
            "two_agents_that_only_answer_each_other_are_stopped_and_their_owners_told_once",
            "an_exchange_goes_on_once_a_task_of_either_moves",
            "an_exchange_goes_on_once_a_person_speaks_in_it",
            "a_person_in_the_thread_counts_also_when_it_answers_somebody_else",
            "the_guard_stops_neither_people_nor_others_nor_work_nor_alerts",
            "talk_about_work_that_moves_is_never_stopped",
        ),
        "test_quiet_rules": ("two_agents_wake_each_other_for_so_many_rounds_and_are_stopped_once",),
    },
    "QUI4": {
        "test_quiet": (
            "equal_wakes_are_told_once_with_a_count_and_the_newest_line",
            "beyond_ten_wakes_in_five_minutes_one_sender_is_told_in_one_digest",
            "a_waiting_member_is_not_woken_by_what_is_beyond_a_senders_share_until_it_is_due",
            "a_person_reaches_a_waiting_member_however_often_it_wrote",
            "a_full_inbox_is_told_within_what_a_host_shows_and_whole_over_its_pages",
        ),
        "test_quiet_rules": (
            "every_wake_up_to_the_newest_number_told_is_told_exactly_once",
            "what_is_joined_belongs_together",
        ),
    },
    "QUI5": {"test_overnight": ("*",), "test_overnight_rules": ("*",)},
    "SAF1": {
        "test_identity": ("the_data_folder_and_its_files_are_private",),
        "test_store": ("a_folder_that_others_can_read_is_refused_with_the_command_that_mends_it",),
        "test_resources": ("the_inbox_is_the_readers_own",),
        "test_push": (
            "addresses_that_lead_nowhere_or_never_change_are_left_out",
            "an_older_client_is_refused_what_it_may_not_follow",
            "a_token_that_has_expired_gets_no_further_frame",
            "without_the_check_of_each_frame_it_would_get_one",
            "an_older_session_whose_token_has_expired_is_told_nothing",
        ),
        "test_wire": (
            "a_foreign_host_is_refused_on_every_route",
            "a_web_page_of_any_origin_is_refused_on_every_route",
            "nobody_comes_in_without_a_token",
            "a_token_in_the_address_or_a_cookie_opens_nothing",
        ),
    },
    "SAF2": {
        "test_watch": ("what_members_write_is_never_carried_out",),
        "test_messages": ("what_a_member_writes_is_quoted_as_its_authors",),
        "test_rules": ("control_characters_are_never_let_in",),
        "test_characters": ("*",),
        "test_provenance": ("*",),
        "test_notify": ("no_tool_sets_a_channel", "what_was_redacted_is_in_no_letter"),
        "test_notice_rules": ("what_a_member_wrote_stays_inside_its_quotation",),
        "test_shell": (
            "what_members_wrote_is_shown_as_text_in_every_view",
            "characters_that_steer_a_terminal_are_written_as_escapes",
        ),
        "test_bad_input": (
            "no_line_of_the_stream_can_forge_another",
            "a_capability_cannot_forge_a_line_of_the_roster",
        ),
    },
    "SAF3": {
        "test_limits": ("*",),
        "test_notice_rules": (
            "whatever_comes_no_hour_has_more_letters_than_its_cap_and_no_quiet_hour_has_one",
            "a_letter_is_short_counts_every_matter_and_ends_with_one_command",
        ),
        "test_argument_limits": ("*",),
        "test_wire_campaigns": (
            "a_hundred_connections_at_once_leave_nothing_behind",
            "a_room_that_does_not_let_go_would_grow",
        ),
        "test_stuck_clients": (
            "a_client_that_takes_nothing_is_cut_off",
            "a_client_that_takes_slowly_gets_everything",
            "a_client_that_waits_with_nothing_to_take_is_not_cut_off",
            "listeners_that_never_read_do_not_get_past_the_cap_of_their_member",
            "listeners_that_never_read_do_not_get_past_the_cap_of_the_room",
            "sessions_that_nobody_ended_do_not_keep_a_member_from_listening",
            "a_listener_that_never_reads_is_cut_off_and_others_are_told_meanwhile",
        ),
        "test_connections": ("an_endless_head_is_cut", "a_connection_on_which_no_request_comes_is_closed"),
    },
    "SAF4": {
        "test_storage_faults": (
            "a_full_disk_at_every_kind_of_act_loses_nothing_and_reads_go_on",
            "an_answer_before_the_commit_would_be_lost_on_a_full_disk",
        ),
        "test_full_disk": ("*",),
        "test_damage": ("*",),
        "test_writer_faults": (
            "over_http_a_full_disk_is_refused_as_storage_and_reads_go_on",
            "a_full_disk_refuses_what_does_not_fit_and_carries_the_rest_out",
        ),
    },
    "SAF5": {"test_backups": ("*",)},
    "SAF6": {
        "test_storage_faults": ("every_flip_in_an_entry_of_the_log_is_found_and_named_and_no_damage_is_a_traceback",),
        "test_resources": ("an_address_that_leads_nowhere_is_refused_with_a_fix",),
        "test_bad_input": ("*",),
        "test_wire": ("*",),
        "test_wire_campaigns": (
            "two_thousand_broken_frames_are_answered_without_a_fault_and_nothing_is_half_done",
            "a_room_that_believes_what_it_is_sent_would_break",
            "a_frame_can_be_made_again_from_its_number",
        ),
        "test_connections": ("*",),
        "test_gate_answers": ("*",),
        "test_coverage_fuzz": ("*",),
    },
    "SAF7": {
        "test_shell_tokens": ("*",),
        "test_verify_and_doctor": (
            "it_says_that_what_runs_as_the_owners_user_can_read_the_owners_files",
            "inside_an_agents_session_no_act_is_tried_with_the_owners_token",
        ),
        "test_doctor": ("a_harness_that_runs_as_the_owners_user_is_named",),
        "test_watch": ("it_never_runs_as_anybody_but_a_watchdog",),
    },
}

PLANNED: dict[str, str] = {
    "SAF2": "webhooks, which do not exist yet",
}

HOUSE: frozenset[str] = frozenset(
    {
        "test_conformance",
        "test_attacks",
        "test_docs",
        "test_prompts",
        "test_metrics",
        "test_notify",
        "test_notice_rules",
        "test_push",
        "test_two_vendors",
        "test_libraries",
        "test_shell",
        "test_shell_up",
        "test_connect",
        "test_verify_and_doctor",
        "test_doctor",
        "test_writer_faults",
        "test_migrations",
        "test_readme",
        "test_rule_bounds",
        "test_mutants",
        "test_words",
        "test_packaging",
        "test_promises",
        "test_store",
        "test_search",
        "test_tools",
        "test_resources",
    }
)
